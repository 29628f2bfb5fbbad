"""``genmod grid``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.options import DataRoot, Json
from genmod.defaults import DATASET, USUAL

if TYPE_CHECKING:
    from genmod.model.compatibility import Cell

__all__ = ["grid"]


def _only(kind: str) -> Any:
    return typer.Option(
        metavar="NAME",
        help=f"Only this {kind}; repeatable.",
        show_default="all",
        autocompletion=component_names(kind),
    )


def grid(
    posterior: Annotated[list[str] | None, _only("posterior")] = None,
    prior: Annotated[list[str] | None, _only("prior")] = None,
    divergence: Annotated[list[str] | None, _only("divergence")] = None,
    objective: Annotated[list[str] | None, _only("objective")] = None,
    data: Annotated[
        str, typer.Option(metavar="NAME", help="The dataset.", autocompletion=component_names("dataset"))
    ] = DATASET,
    refused: Annotated[
        bool, typer.Option("--refused", help="Show refused combinations instead, with the reasons.")
    ] = False,
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Show which parts of a model go together.

    Every posterior is combined with every prior, divergence and objective, and checked as `genmod build` checks it.
    With --json each combination is an entry of its own, a refused one with the reason and with what to choose.

    Examples:
      genmod grid --posterior normal
      genmod grid --posterior delta --refused
      genmod grid --prior vamp --objective elbo --json
    """
    import torch

    from genmod.model.assembly import open_dataset
    from genmod.model.compatibility import AXES, combinations, grid_spec

    # The tensors are small: more threads would only wait for each other.
    torch.set_num_threads(1)
    given = dict(zip(AXES, (posterior, prior, divergence, objective), strict=True))
    spec = grid_spec(tuple(USUAL.values()), (4,), data=data)
    info = open_dataset(spec, data_root).info
    cells = list(combinations(info, chosen={kind: names for kind, names in given.items() if names}))
    if json:
        console.print_json({"data": data, "combinations": [cell.to_json() for cell in cells]})
        return
    shown = [cell for cell in cells if cell.allowed != refused]
    if refused:
        console.print_table(
            ["posterior", "prior", "divergence", "objective", "why", "what to choose"], _reasons(shown)
        )
    else:
        console.print_table(["posterior", "prior", "latent", "divergence", "objective"], _rows(shown))
    allowed = len(cells) - len(shown) if refused else len(shown)
    console.note(f"{allowed:,} of {len(cells):,} combinations can be built")


def _rows(cells: Iterable["Cell"]) -> list[list[str]]:
    """A row for each posterior, prior and set of divergences that go with the same objectives."""
    found: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for cell in cells:
        latent = ",".join(map(str, cell.latent))
        pair = found.setdefault((cell.posterior, cell.prior, latent), {})
        pair.setdefault(cell.divergence, []).append(cell.objective)
    return [
        [*pair, " ".join(divergences), " ".join(objectives)]
        for pair, by_divergence in found.items()
        for objectives, divergences in _swapped(by_divergence).items()
    ]


def _reasons(cells: Iterable["Cell"]) -> list[list[str]]:
    """A row for each reason for which a posterior and a prior are refused."""
    found: dict[tuple[str, str, str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for cell in cells:
        divergences, objectives = found.setdefault(
            (cell.posterior, cell.prior, cell.reason, cell.hint), ({}, {})
        )
        divergences[cell.divergence] = objectives[cell.objective] = None
    return [
        [posterior, prior, " ".join(divergences), " ".join(objectives), reason, hint]
        for (posterior, prior, reason, hint), (divergences, objectives) in found.items()
    ]


def _swapped(by_divergence: dict[str, list[str]]) -> dict[tuple[str, ...], list[str]]:
    by_objectives: dict[tuple[str, ...], list[str]] = {}
    for divergence, objectives in by_divergence.items():
        by_objectives.setdefault(tuple(objectives), []).append(divergence)
    return by_objectives
