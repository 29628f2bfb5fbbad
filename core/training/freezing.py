"""Parts of a model that a run leaves as they are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from genmod.errors import UsageError
from genmod.options.values import closest

__all__ = ["frozen", "frozen_modules"]


@contextmanager
def frozen(model: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Context in which parts keep their weights and stay in evaluation mode, so that no statistics of theirs move either.

    Gradients pass through them.

    Args:
        model: the model.
        names: of the parts, such as ``encoder``.

    Raises:
        UsageError: there is no such part.

    Example:
        >>> model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
        >>> with frozen(model, ["a"]):
        ...     [each.training for each in model.train().values()], model["a"].weight.requires_grad
        ([False, True], False)
    """
    known = dict(model.named_children())
    unknown = [name for name in names if name not in known]
    if unknown:
        meant = closest(unknown[0], known)
        raise UsageError(
            f"no such part of the model to freeze: {', '.join(map(repr, unknown))}"
            + (f"; did you mean {meant}?" if meant else ""),
            hint=f"the parts are: {', '.join(known)}",
        )
    parts = [known[name] for name in dict.fromkeys(names)]
    modes = {each: each.training for part in parts for each in part.modules()}
    wanted = {p: p.requires_grad for part in parts for p in part.parameters()}
    try:
        for part in parts:
            part.eval().requires_grad_(False)
            # A model puts its parts into a mode by this method.
            part.__dict__["train"] = _stay
        yield
    finally:
        for part in parts:
            part.__dict__.pop("train", None)
        for each, mode in modes.items():
            each.training = mode
        for parameter, wants in wanted.items():
            parameter.requires_grad_(wants)


def frozen_modules(model: nn.Module) -> set[nn.Module]:
    """The modules in frozen parts of a model."""
    return {
        each for part in model.modules() if part.__dict__.get("train") is _stay for each in part.modules()
    }


def _stay(mode: bool = True) -> None:
    """The mode does not change."""
