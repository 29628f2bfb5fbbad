"""How whole models are asked for their losses: of an objective, of a critic, and those that are components themselves."""

from typing import Any

import torch
from torch import Tensor

from genmod.errors import UsageError
from genmod.testing.case import Case, NotApplicable
from genmod.testing.checks import critics, models
from genmod.testing.inputs import examples
from genmod.testing.reference import DATA, ReferenceKL, ReferenceNothing, reference_model

__all__ = ["around", "losses"]


def around(case: Case) -> tuple[Any, Tensor]:
    """The model with an objective or a critic, or that is the component, and examples of its data.

    Raises:
        NotApplicable: it refuses all that are tried.
    """
    if case.kind == "critic":
        model: Any = critics.beside_model(case)
        return model, torch.rand(4, *model.data.shape, dtype=torch.float64)
    if case.kind == "model":
        model = models.prepared(case)
        return model, examples(model.data, 4)
    refusal = ""
    for divergence in (ReferenceKL(), ReferenceNothing()):
        try:
            model = reference_model(case.build(), divergence)
            model.objective.check(model)
        except UsageError as error:
            refusal = error.message
            continue
        return model, torch.randn(4, *DATA.shape, dtype=torch.float64)
    raise NotApplicable(f"it refuses a normal model with a KL, and one without: {refusal}")


def losses(model: Any, x: Tensor) -> list[Tensor]:
    """The losses of a batch, one for each group of parameters."""
    loss = model.terms(x).loss
    return [loss] if isinstance(loss, Tensor) else list(loss.values())
