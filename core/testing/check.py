"""What a check is, and the list of all of them.

A check is a small function ``check_<law>(case)``. It returns if the law holds, raises :class:`CheckFailed` with the
numbers if it does not, and :class:`genmod.testing.NotApplicable` with the reason if the component declares that the law
does not apply. Kinds and traits decide which components a law applies to, names never do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from genmod.testing.case import Case, NotApplicable

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailed",
    "check_for",
    "expect",
    "expect_close",
    "expect_gradient",
    "expect_shape",
    "listed",
    "needs_density",
]


Needs = Literal["record", "class", "options"]


class CheckFailed(AssertionError):
    """A law does not hold; the message has the numbers."""


@dataclass(frozen=True)
class Check:
    """A law of some kinds of components.

    Args:
        function: raises what the module says.
        kinds: of component that it applies to.
        remedy: one line: what the author has to change where it fails.
        slow: takes many seconds, so that it runs only on demand.
        once: does not depend on the options, so that it runs with one setting of them.
        needs: what it uses, and what must be valid before it runs: the record, the class, or its options.
    """

    function: Callable[[Case], None]
    kinds: tuple[str, ...]
    remedy: str
    slow: bool = False
    once: bool = False
    needs: Needs = "options"

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def summary(self) -> str:
        """The law in one line."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


CHECKS: list[Check] = []
"""Every check, in the order in which they run."""


def check_for(
    *kinds: str, remedy: str, slow: bool = False, once: bool = False, needs: Needs = "options"
) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Register a function as a check of these kinds; the function does not change."""

    def register(function: Callable[[Case], None]) -> Callable[[Case], None]:
        CHECKS.append(Check(function, kinds, remedy, slow, once, needs))
        return function

    return register


def expect(holds: Any, message: str) -> None:
    """Fail with a message unless it holds.

    Raises:
        CheckFailed: it does not.
    """
    if not holds:
        raise CheckFailed(message)


def expect_shape(tensor: Tensor, shape: tuple[int, ...], what: str) -> None:
    """Fail unless a tensor has a shape.

    Raises:
        CheckFailed: it has another one.
    """
    expect(tensor.shape == shape, f"{what} has shape {tuple(tensor.shape)}, not {shape}")


def expect_gradient(gradient: Tensor | None, name: str) -> None:
    """Fail unless the gradient of a parameter is there, finite and not zero.

    Raises:
        CheckFailed: it is not.
    """
    expect(gradient is not None and bool(gradient.any()), f"no gradient reaches {name}")
    expect(gradient is not None and bool(gradient.isfinite().all()), f"the gradient of {name} is not finite")


def needs_density(part: Any) -> None:
    """Refuse a part without a density.

    Raises:
        NotApplicable: it declares that it has none.
    """
    if not part.has_density:
        raise NotApplicable("it declares has_density = False")


def listed(values: Tensor) -> str:
    """Numbers ``(N,)`` for a message.

    Example:
        >>> listed(torch.tensor([0.5, -1.0]))
        '0.5, -1'
    """
    return ", ".join(f"{x:.5g}" for x in values.tolist())


def expect_close(given: Tensor, wanted: Tensor, what: str, *, rtol: float = 1e-7, atol: float = 1e-9) -> None:
    """Fail with the largest difference unless two tensors agree in shape, type and value.

    Raises:
        CheckFailed: they do not.
    """
    expect(given.shape == wanted.shape, f"{what}: shapes {tuple(given.shape)} and {tuple(wanted.shape)}")
    expect(given.dtype == wanted.dtype, f"{what}: {given.dtype} and {wanted.dtype}")
    if torch.allclose(given, wanted, rtol=rtol, atol=atol, equal_nan=True):
        return
    difference = (given - wanted).abs().nan_to_num(torch.inf).flatten()
    worst = int(difference.argmax())
    raise CheckFailed(
        f"{what}: {given.flatten()[worst].item():.6g} and {wanted.flatten()[worst].item():.6g} where they differ most"
    )
