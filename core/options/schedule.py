"""Numbers that change during training: a text gives start, final value, shape and length.

A schedule is written in the same way on the command line, in TOML, in JSON and in Python::

    4                                         always 4
    0->4 over 10 epochs                       linear
    0->4 over 5000 steps
    0->4 over 50%                             of the run
    cosine 0->1 over 10 epochs                slow at both ends
    cyclical 0->1 over 10 epochs x4           4 cycles in 10 epochs: up in the first half of each, then held
    0->1 over 10 epochs after 2 epochs        2 epochs of 0 first

``→`` may stand for ``->``. Before it begins, a schedule is at its start; afterwards it stays at its final
value.
"""

import math
import re
from dataclasses import dataclass, field, replace
from typing import Literal, cast, final

from genmod.errors import UsageError

__all__ = ["EXAMPLES", "Clock", "Schedule", "ScheduleError", "Span"]

EXAMPLES = "'0->4 over 10 epochs', 'cosine 0->1 over 50%', 'cyclical 0->1 over 5000 steps x4'"

_Shape = Literal["linear", "cosine", "cyclical"]
_GRAMMAR = "[cosine|cyclical] START->FINAL over LENGTH [xCYCLES] [after DELAY], in steps, epochs or %"
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
_SPAN = rf"({_NUMBER})\s*(steps?|epochs?|%)"
_TEXT = (
    rf"(?:(linear|cosine|cyclical)\s+)?({_NUMBER})\s*(?:->|→)\s*({_NUMBER})\s+over\s+{_SPAN}"
    rf"(?:\s*[x×]\s*(\d{{1,9}}))?(?:\s+after\s+{_SPAN})?"
)
_FLAGS = re.IGNORECASE | re.ASCII


class ScheduleError(UsageError):
    """The value is not a schedule; ``reason`` says why."""

    def __init__(self, given: object, reason: str) -> None:
        super().__init__(f"{given!r:.80} is not a schedule: {reason}", hint=f"Write a number, or {EXAMPLES}.")
        self.reason = reason


@dataclass(frozen=True)
class Clock:
    """The position in a run.

    Args:
        step: optimizer steps done.
        steps_per_epoch: optimizer steps in one pass over the training data.
        total_steps: optimizer steps of the whole run.
    """

    step: int
    steps_per_epoch: int
    total_steps: int


@dataclass(frozen=True)
class Span:
    """A length of time; ``%`` is of the whole run.

    Example:
        >>> str(Span(10, "epochs")), str(Span(1, "steps")), str(Span(12.5, "%"))
        ('10 epochs', '1 step', '12.5%')
    """

    amount: float
    unit: Literal["steps", "epochs", "%"]

    def steps(self, steps_per_epoch: int, total_steps: int) -> float:
        """Optimizer steps, not yet rounded."""
        match self.unit:
            case "steps":
                return self.amount
            case "epochs":
                return self.amount * steps_per_epoch
            case "%":
                return self.amount * total_steps / 100

    def __str__(self) -> str:
        if self.unit == "%":
            return f"{_text(self.amount)}%"
        return f"{_text(self.amount)} {self.unit[:-1] if self.amount == 1 else self.unit}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class Schedule:
    r"""An immutable description of a changing number, and its current value.

    With :math:`p \in [0, 1]` the fraction of the schedule that has passed, the value is :math:`\text{start} +
    (\text{final} - \text{start}) f(p)`: linear :math:`f = p`; cosine :math:`f = (1 - \cos \pi p) / 2`;
    cyclical :math:`f = \min(1, 2 (p M \bmod 1))` with M cycles, and :math:`f(1) = 1`.

    Components read ``float(schedule)`` or ``schedule.value``. Only the trainer moves it, by :meth:`advance`;
    at all other times (a new model, a loaded one, validation, evaluation) it is settled at its final value.
    Two schedules are equal when their descriptions are. A component keeps its own, ``self.beta =
    Schedule.parse(beta)``, so that no two models share one.

    Args:
        final: the last value.
        start: the first value.
        shape: linear, cosine or cyclical.
        over: its length; None for a constant.
        after: length of the wait at the start.
        cycles: number of cycles of a cyclical schedule.

    Raises:
        ScheduleError: the parts do not fit together.

    References:
        | Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing (Fu et al., 2019)
        | https://arxiv.org/abs/1903.10145

    Example:
        >>> beta = Schedule.parse("0->4 over 10 epochs")
        >>> beta.value
        4.0
        >>> beta.advance(Clock(step=250, steps_per_epoch=100, total_steps=2000))
        >>> float(beta)
        1.0
        >>> beta.settle()
        >>> float(beta)
        4.0
    """

    final: float
    start: float
    shape: _Shape = "linear"
    over: Span | None = None
    after: Span | None = None
    cycles: int = 1
    _value: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        self.settle()
        # The difference overflows when the two are too far apart.
        if not all(map(math.isfinite, (self.final, self.start, self.final - self.start))):
            raise ScheduleError(str(self), "its values must be finite")
        if self.over is None and (self.start != self.final or self.after is not None):
            raise ScheduleError(str(self), "it must say over how many steps, epochs or % of the run")
        spans = [span for span in (self.over, self.after) if span is not None]
        for span in spans:
            if not 0 < span.amount < 2**53 or (span.unit == "steps" and span.amount % 1):
                raise ScheduleError(str(self), f"'{span}' is not a length of time")
        if sum(span.amount for span in spans if span.unit == "%") > 100:
            raise ScheduleError(str(self), "it would end after 100% of the run")
        if self.cycles < 1 or (self.cycles > 1 and self.shape != "cyclical"):
            raise ScheduleError(str(self), "xN, N = 1, 2, …, is the number of cycles of a cyclical schedule")

    @staticmethod
    def parse(given: "float | str | Schedule") -> "Schedule":
        """A new settled schedule from a number, a text or another schedule.

        Raises:
            ScheduleError: it is none of the forms at the top of this module.

        Example:
            >>> print(Schedule.parse("cyclical 0 → 1.0 over 1 epochs x 4"))
            cyclical 0->1 over 1 epoch x4
        """
        if isinstance(given, Schedule):
            return replace(given)
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise ScheduleError(given, "it is neither a number nor a text")
        try:
            return _read(given) if isinstance(given, str) else Schedule(float(given), float(given))
        except ScheduleError as error:
            raise ScheduleError(given, error.reason) from None
        except OverflowError:
            raise ScheduleError(math.inf, "its values must be finite") from None

    def at(self, clock: Clock) -> float:
        """The value at a step: ``start`` at step 0, exactly ``final`` at its last step and ever after."""
        if self.over is None:
            return self.final
        begin, end = self._bounds(clock.steps_per_epoch, clock.total_steps)
        if clock.step >= end:
            return self.final
        done, length = max(0, clock.step - begin), end - begin
        match self.shape:
            case "linear":
                part = done / length
            case "cosine":
                part = (1 - math.cos(math.pi * done / length)) / 2
            case "cyclical":
                part = min(1.0, 2 * (done * self.cycles % length) / length)
        # start + (final - start) may round to beyond the final value, which a constraint may forbid.
        return self.start + (self.final - self.start) * part if part < 1 else self.final

    def advance(self, clock: Clock) -> None:
        """Move the current value to that of a step; only the trainer does."""
        object.__setattr__(self, "_value", self.at(clock))

    def settle(self) -> None:
        """Move the current value to the final one."""
        object.__setattr__(self, "_value", self.final)

    def check(self, total_steps: int, steps_per_epoch: int, name: str) -> None:
        """Refuse a run that is too short for this schedule.

        Args:
            total_steps: optimizer steps of the run.
            steps_per_epoch: optimizer steps in one epoch.
            name: of the option, such as ``objective.beta``.

        Raises:
            UsageError: the run ends before the final value is reached, or a cycle has less than two steps.
        """
        if self.is_constant:
            return
        begin, end = self._bounds(steps_per_epoch, total_steps)

        def duration(steps: int) -> str:
            return f"{Span(round(steps / steps_per_epoch, 2), 'epochs')} ({Span(steps, 'steps')})"

        if end > total_steps:
            whole = replace(self, over=Span(100, "%"), after=None)
            raise UsageError(
                f"{name} = '{self}' needs {duration(end)}, but the run has {duration(total_steps)}",
                hint=f"Train for {Span(math.ceil(end / steps_per_epoch), 'epochs')} or more, or shorten the "
                f"schedule: '{whole}' takes as long as the run.",
            )
        if self.shape == "cyclical" and end - begin < 2 * self.cycles:
            raise UsageError(
                f"{name} = '{self}' has {self.cycles} cycles in {Span(end - begin, 'steps')}, "
                "but a cycle needs 2 steps",
                hint="Use fewer cycles or a longer schedule.",
            )

    @property
    def value(self) -> float:
        """The current value."""
        return self._value

    @property
    def is_constant(self) -> bool:
        return self.start == self.final

    @property
    def lowest(self) -> float:
        """The smallest value that it takes."""
        return min(self.start, self.final)

    @property
    def highest(self) -> float:
        """The largest value that it takes."""
        return max(self.start, self.final)

    def to_json(self) -> float | str:
        """A number for a constant, else the text; :meth:`parse` reads both."""
        return self.final if self.over is None else str(self)

    def _bounds(self, steps_per_epoch: int, total_steps: int) -> tuple[int, int]:
        """First and last step, at least one apart; rounded so that a share of the run ends within it."""
        wait = self.after.steps(steps_per_epoch, total_steps) if self.after else 0.0
        length = self.over.steps(steps_per_epoch, total_steps) if self.over else 0.0
        end = max(1, round(wait + length))
        return min(round(wait), end - 1), end

    def __float__(self) -> float:
        return self._value

    def __str__(self) -> str:
        if self.over is None:
            return _text(self.final)
        shape = "" if self.shape == "linear" else f"{self.shape} "
        cycles = f" x{self.cycles}" if self.shape == "cyclical" else ""
        after = f" after {self.after}" if self.after else ""
        return f"{shape}{_text(self.start)}->{_text(self.final)} over {self.over}{cycles}{after}"

    def __repr__(self) -> str:
        return f"Schedule.parse({self.to_json()!r})"


def _read(text: str) -> Schedule:
    if re.fullmatch(_NUMBER, text.strip(), _FLAGS):
        return Schedule(float(text), float(text))
    match = re.fullmatch(_TEXT, text.strip(), _FLAGS)
    if match is None:
        raise ScheduleError(text, f"expected {_GRAMMAR}")
    shape, start, end, amount, unit, cycles, delay, delay_unit = match.groups()
    shape = cast(_Shape, (shape or "linear").lower())
    if shape == "cyclical" and cycles is None:
        raise ScheduleError(text, "it must say how many cycles, such as x4")
    after = _span(delay, delay_unit) if delay else None
    return Schedule(float(end), float(start), shape, _span(amount, unit), after, int(cycles or 1))


def _span(amount: str, unit: str) -> Span:
    return Span(float(amount), "%" if unit == "%" else "steps" if unit[0] in "sS" else "epochs")


def _text(number: float) -> str:
    return repr(float(number)).removesuffix(".0")
