"""Laws for recipes: their components exist and fit each other."""

import tomllib

import torch

from genmod.defaults import RECIPE
from genmod.distributions.unvalidated import unvalidated
from genmod.errors import DataError, GenmodError
from genmod.model.assembly import assemble, blueprint, open_dataset
from genmod.model.resolve import resolve
from genmod.spec import ModelSpec
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.inputs import examples

__all__: list[str] = []

_MANY = 20_000_000
"""Parameters from which on a model is tried without values, in little time and memory."""


def _spec(case: Case) -> ModelSpec:
    if case.provided is None:
        raise NotApplicable("it is no file")
    return ModelSpec.from_toml(case.provided.text(), recipe=case.provided.name, where=case.label)


@check_for(
    "recipe",
    remedy=f"give latent, and a name or a table for each part, as `genmod show recipe {RECIPE}`",
    once=True,
    needs="record",
)
def check_recipe(case: Case) -> None:
    """It is a specification in TOML, with a summary and the paper that it follows."""
    try:
        _spec(case)
    except GenmodError as error:
        raise CheckFailed(str(error)) from None
    table = tomllib.loads(case.provided.text()) if case.provided else {}
    for key in ("summary", "paper"):
        expect(isinstance(table.get(key), str) and table[key].strip(), f"it has no {key}")


@check_for(
    "recipe",
    remedy="name components as `genmod list` does, those of plugins DISTRIBUTION/NAME",
    once=True,
    needs="record",
)
def check_recipe_names(case: Case) -> None:
    """Every component and every option that it names exists."""
    try:
        resolve(_spec(case), registry=case.registry)
    except GenmodError as error:
        raise CheckFailed(str(error)) from None


@check_for(
    "recipe",
    remedy="choose parts that fit each other and the data: genmod build RECIPE --dry-run",
    once=True,
    needs="record",
)
def check_recipe_builds(case: Case) -> None:
    """It builds, and its loss on data of the right shape is finite; of large models alone the shapes are computed."""
    spec = _spec(case)
    try:
        info = open_dataset(spec, case.root, registry=case.registry).info
    except DataError as error:
        raise NotApplicable(f"its data are not there: {error.message.splitlines()[0]}") from None
    try:
        planned = blueprint(spec, info, registry=case.registry)
        if sum(p.numel() for p in planned.parameters()) > _MANY:
            with torch.device("meta"), unvalidated():
                planned.terms(examples(info, 4).to("meta"), planned.asked(None, 4)).total.backward()
            return
        model = assemble(spec, info, registry=case.registry)
    except GenmodError as error:
        raise CheckFailed(str(error)) from None
    loss = model.terms(examples(info, 4), model.asked(None, 4)).total
    loss.backward()
    expect(torch.isfinite(loss), f"its loss is {loss.item()}")
