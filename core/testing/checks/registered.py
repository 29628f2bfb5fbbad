"""What is trained is registered: torch saves, moves and steps parameters and buffers, and nothing else."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from genmod.testing.case import Case, whole
from genmod.testing.check import check_for, expect
from genmod.testing.checks._asking import around, losses

__all__ = ["trained_by"]

_PARTS = ("encoder", "posterior", "prior", "decoder", "network", "divergence")


def trained_by(answers: Iterable[Tensor]) -> Iterator[Tensor]:
    """The tensors that answers are differentiable functions of: parameters, and inputs that require a gradient.

    Example:
        >>> import torch
        >>> weight = nn.Parameter(torch.ones(2))
        >>> [leaf is weight for leaf in trained_by([(2 * weight).sum()])]
        [True]
    """
    ahead = [answer.grad_fn for answer in answers if answer.grad_fn is not None]
    met: set[Any] = set(ahead)
    while ahead:
        node: Any = ahead.pop()
        if hasattr(node, "variable"):
            yield node.variable
        for below, _ in node.next_functions:
            if below is not None and below not in met:
                met.add(below)
                ahead.append(below)


@check_for(
    *_PARTS,
    "objective",
    "critic",
    "model",
    remedy="make layers and parameters in the constructor; layers in a list belong in an nn.ModuleList",
)
def check_registered(case: Case) -> None:
    """Whatever it is a differentiable function of is among its parameters, which are the same before and after it is asked."""
    part, ask = _asked(case)
    part.train()
    before, known = set(part.state_dict()), {id(p) for p in part.parameters()}
    # Twice: leaves that are made anew each time are places where a gradient is taken, as of a velocity.
    first, second = ({id(leaf): leaf for leaf in trained_by(list(ask()))} for _ in range(2))
    registered = {id(p) for p in part.parameters()}
    for key, leaf in first.items():
        lasting = key in second or isinstance(leaf, nn.Parameter)
        expect(
            key in registered or not lasting,
            f"a tensor of shape {tuple(leaf.shape)} that is trained is none of its parameters",
        )
    new = registered - known
    expect(not new, f"{len(new)} of its parameters are made when it is asked: no optimizer has them")
    for mode in (True, False):
        part.train(mode)
        list(ask())
        changed = before ^ set(part.state_dict())
        expect(not changed, f"asking it changes which tensors are saved: {', '.join(sorted(changed)[:5])}")


def _asked(case: Case) -> tuple[nn.Module, Callable[[], Iterable[Tensor]]]:
    """What has the parameters, and a function that asks it."""
    if case.kind not in _PARTS:
        model, x = around(case)
        return model, lambda: losses(model, x)
    trial = case.trial()
    for companion in trial.companions:
        companion.requires_grad_(False)
    return whole(trial.part), trial
