"""What a step is computed with: as it is, or compiled by ``torch.compile``, where that is asked for or where it pays."""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch

from genmod.interfaces.objective import Terms
from genmod.system.kept import kept_folder
from genmod.system.private import private_folder
from genmod.training.distributed import Team

__all__ = ["Compilation"]

Result = TypeVar("Result")

_TRIAL, _WARM = 40, 20
"""Steps of each trial, and how many of them are not timed."""
_LONG = 300.0
"""Seconds of a run that is left, from which on compiling is tried. That takes 20, or 3 where torch kept the result."""
_LEAST_GAIN = 0.03


class Compilation:
    """Decides what the terms of each step are computed with.

    With ``auto``, the first 40 steps are not compiled; if the rest of the run would take five minutes or more at their
    speed, the next 40 are; from then on the faster of the two is used. Numbers that are rounded otherwise, and on a GPU
    other random ones, are the price; so what was chosen is part of a checkpoint, and a resumed run does not choose again.

    Args:
        terms: loss and terms of stored examples.
        wanted: whether they are compiled; ``auto`` to find out whether that pays.
        total: steps of the run.
        device: that computes them.
        team: the processes, which decide together.
        warn: called with what was decided, and where the step cannot be compiled.
        found: what :meth:`state` returned, in a run that is resumed.

    Attributes:
        terms: what they are computed with now.
    """

    def __init__(
        self,
        terms: Callable[..., Terms],
        wanted: bool | str,
        *,
        total: int,
        device: torch.device,
        team: Team,
        warn: Callable[[str], None],
        found: Mapping[str, Any] | None = None,
    ) -> None:
        self._plain, self.terms = terms, terms
        self._total, self._device, self._team, self._warn = total, device, team, warn
        self._seconds = {kind: list[float]() for kind in ("plain", "compiled")}
        self._medians: dict[str, float] = dict((found or {}).get("seconds", {}))
        self._chosen: bool | None = (found or {}).get("chosen") if wanted == "auto" else bool(wanted)
        self._untried = False
        if self._chosen:
            self._compile()

    def state(self) -> dict[str, Any]:
        """What was decided, and the seconds it is decided by, as plain data."""
        return {"chosen": self._chosen, "seconds": self._known()}

    def run(self, step: int, compute: Callable[[], Result], undo: Callable[[], None]) -> Result:
        """What ``compute`` returns for a step, with :attr:`terms` as they are to be then.

        Args:
            step: counted from 0.
            compute: computes the step.
            undo: drops what it has done where it failed on its way.
        """
        if self._chosen is None and step >= _TRIAL:
            self._decide(step)
        if self._untried:
            return self._first(compute, undo)
        if self._chosen is not None or step % _TRIAL < _WARM:
            return compute()
        self._wait()
        began = time.perf_counter()
        result = compute()
        self._wait()
        self._seconds["plain" if step < _TRIAL else "compiled"].append(time.perf_counter() - began)
        return result

    def _known(self) -> dict[str, float]:
        return self._medians | {kind: median(times) for kind, times in self._seconds.items() if times}

    def _decide(self, step: int) -> None:
        """After the first trial whether there is a second one, after that what is used from now on."""
        if step < 2 * _TRIAL and self.terms is not self._plain:
            return
        # All processes go by the slowest. Where a resumed run has timed nothing, nothing is compiled.
        known = {kind: round(1e9 * self._known().get(kind, 0.0)) for kind in self._seconds}
        plain, compiled = (each / 1e9 for each in self._team.largest(*known.values()))
        if step < 2 * _TRIAL:
            if plain * (self._total - _TRIAL) >= _LONG:
                self._compile()
            else:
                self._chosen = False
            return
        self._chosen = 0 < compiled * (1 + _LEAST_GAIN) <= plain
        if not self._chosen:
            self.terms = self._plain
        elif self.terms is self._plain:  # resumed here
            self._compile()
        self._warn(
            f"compiled, a step takes {compiled * 1e3:.3g} ms, and {plain * 1e3:.3g} if not: the rest of the run is "
            + ("compiled" if self._chosen else "not compiled")
        )

    def _first(self, compute: Callable[[], Result], undo: Callable[[], None]) -> Result:
        """The first compiled step; without compiling, where that is impossible."""
        self._untried = False
        try:
            return compute()
        except Exception as error:
            # If the error is that of the model itself, the uncompiled step raises it again.
            self.terms, self._chosen = self._plain, False
            undo()
            result = compute()
            first = str(error).strip().partition("\n")[0]
            self._warn(f"the step cannot be compiled and runs uncompiled: {first}")
            return result

    def _compile(self) -> None:
        if not os.environ.get("TORCHINDUCTOR_CACHE_DIR"):
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(_place())
        # On the processor, numbers are drawn by torch's own generator: those of a step that is not compiled. The compiler's own
        # code draws them one by one, which takes several times as long.
        options: dict[str, Any] | None = {"fallback_random": True} if self._device.type == "cpu" else None
        self.terms, self._untried = torch.compile(self._plain, options=options), True

    def _wait(self) -> None:
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def _place() -> Path:
    """Where torch keeps what it has compiled, which it executes: a folder in which nobody else can put anything.

    Without one in the cache folder it is one of temporary files, which do not outlive the machine's next start. By default
    torch takes such a folder whoever has made it.
    """
    folder = kept_folder()
    user = os.getuid() if hasattr(os, "getuid") else "compiled"
    usual = Path(tempfile.gettempdir()) / f"genmod-compiled-{user}"
    for place in (*([] if folder is None else [folder / "compiled"]), usual):
        if (found := private_folder(place)) is not None:
            return found
    return Path(tempfile.mkdtemp(prefix="genmod-compiled-"))
