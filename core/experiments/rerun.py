"""Repeating a run from its record: the same model, first weights, data and settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import DataInfo, Dataset
from genmod.errors import FileError, UsageError, quoted
from genmod.interfaces.model import GenerativeModel
from genmod.model.assembly import assemble, open_dataset
from genmod.model.foreign import foreign_kinds
from genmod.model.resolve import resolve_kinds
from genmod.nn.weights import weights_follow
from genmod.registry.file_plugin import is_local
from genmod.registry.file_version import shortened
from genmod.spec import ComponentSpec, ModelSpec
from genmod.system.device import pick_device
from genmod.system.free import free
from genmod.system.tensors import checksum, read_tensors
from genmod.training.record import surroundings, versions_used
from genmod.training.settings import TrainSettings

__all__ = ["RecordedRun", "free_place", "same_weights"]

_SURROUNDINGS = ("device", "processor", "cpu_capability", "threads", "processes")
"""Facts about the machine, beside versions, that decide how results are rounded."""
_MOST_CHANGES = 50


@dataclass(frozen=True)
class RecordedRun:
    """What the directory of a run says about it. Nothing of it is executed: names, numbers and texts are checked.

    Args:
        place: the directory.
        spec: of the model.
        info: the description of the data that it was built for.
        data: the dataset of the run, which may be another; None where the record does not say.
        settings: of the run; without trackers, which send numbers to places that the record names.
        seed: of the first weights.
        sha256: their checksum; empty if it was not recorded.
        record: the rest of the record.
    """

    place: ModelDirectory
    spec: ModelSpec
    info: DataInfo
    data: ComponentSpec | None
    settings: TrainSettings
    seed: int
    sha256: str
    record: Mapping[str, Any]

    @classmethod
    def of(cls, directory: Path, *, seed: int | None = None) -> "RecordedRun":
        """The run in a directory.

        Args:
            directory: of the model.
            seed: of the first weights, where the record has none.

        Raises:
            FileError: there is no model or no record of a run, or it lacks what is needed; says what.
            UsageError: a seed is given, and the record has one.
        """
        place = ModelDirectory(directory)
        spec, info = place.read_spec()
        record = place.read_record()
        if not record.get("settings"):
            raise FileError(
                f"{directory} has no record of a run with its settings",
                hint=f"genmod train {quoted(directory)}",
            )
        try:
            settings = TrainSettings.from_json(record["settings"])
        except (UsageError, TypeError) as error:
            raise FileError(
                f"{place.record}: {getattr(error, 'message', error)}",
                hint="a newer genmod may read it: pip install --upgrade genmod-torch",
            ) from None
        if foreign_kinds(spec):
            raise FileError(
                f"{directory} has parts that were given in Python: {', '.join(foreign_kinds(spec))}",
                hint="repeat it by the program that gave them",
            )
        weights = record.get("weights") or {}
        return cls(
            place,
            spec,
            info,
            _data(record, place),
            # Without those that change no number, and that a stranger could choose badly.
            replace(settings, trackers=(), workers=min(settings.workers, os.cpu_count() or 1)),
            _seed(weights, seed, place),
            str(weights.get("sha256", "")),
            record,
        )

    @property
    def is_whole(self) -> bool:
        """Whether it came to its end."""
        return self.record.get("status") in ("finished", "stopped early")

    def differences(self) -> list[str]:
        """Versions and facts about the machine that have changed since, as ``torch: 2.14.0 → 2.15.0``."""
        there = self.record.get("environment") or {}
        here = surroundings(str(pick_device(self.settings.device)))
        return self._versions() + _changes(there, {key: here[key] for key in _SURROUNDINGS})

    def dataset(self, root: Path | None = None) -> Dataset:
        """The data of the run, in the terms of the model.

        Raises:
            UsageError, PluginError: the dataset is missing, or does not take its recorded options.
        """
        data = {} if self.data is None else {"dataset": self.data}
        spec = replace(self.spec, components={**self.spec.components, **data})
        return open_dataset(spec, root, info=self.info)

    def model(self) -> GenerativeModel:
        """The model with its first weights.

        Raises:
            FileError: they are not those that the run began with, although nothing else has changed.
            UsageError, PluginError: a component is missing, or does not take its recorded options.
        """
        model = assemble(self.spec, self.info, seed=self.seed)
        if self.sha256 and checksum(model.state_dict()) != self.sha256 and not self._versions():
            raise FileError(
                f"the run in {self.place.path} did not begin with weights drawn from seed {self.seed}, but with others, "
                "such as those of a run before it, which are not recorded",
                hint=f"its settings are in {self.place.record}; a new run of the same model: genmod build …, genmod train",
            )
        return model

    def _versions(self) -> list[str]:
        files = [kind for kind, part in self.spec.components.items() if is_local(part.provider)]
        now = versions_used(resolve_kinds(self.spec, files))
        before = self.record.get("versions") or {}
        return _changes(before, {**dict.fromkeys(before, "not installed"), **now})


def free_place(directory: Path) -> Path:
    """A directory beside another, for a repetition: the first of ``NAME-rerun``, ``NAME-rerun-2``, … that does not exist."""
    whole = directory if directory.name not in ("", "..") else directory.resolve()
    return free(whole.with_name(f"{whole.name}-rerun"))


def same_weights(one: Path, other: Path) -> bool | None:
    """Whether the last weights of two directories of one model are the same to the last bit; None if one has none.

    Raises:
        FileError: a file is damaged.
    """
    paths = [ModelDirectory(each).weights("last") for each in (one, other)]
    if not all(path.exists() for path in paths):
        return None
    with weights_follow():
        wanted = assemble(*ModelDirectory(one).read_spec()).state_dict()
    return len({checksum(read_tensors(path, wanted)) for path in paths}) == 1


def _data(record: Mapping[str, Any], place: ModelDirectory) -> ComponentSpec | None:
    if "data" not in record:  # an older version wrote it
        return None
    if record["data"] is None:
        raise FileError(
            f"the run in {place.path} was on data that were given in Python",
            hint="repeat it by the program that gave them",
        )
    try:
        return ComponentSpec.from_json(record["data"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise FileError(f"{place.record} is damaged: its data", hint="restore it") from None


def _seed(weights: Mapping[str, Any], given: int | None, place: ModelDirectory) -> int:
    if "seed" not in weights:
        if given is not None:
            return given
        raise FileError(
            f"{place.record} does not say which seed the first weights were drawn with: an older version wrote it",
            hint=f"give it; genmod build takes 0 where none is typed: genmod rerun {quoted(place.path)} --seed 0",
        )
    seed = weights["seed"]
    if seed is None:
        raise FileError(
            f"the run in {place.path} began with weights that were not drawn from a seed, such as those of another library",
            hint="build that model again, and train it with the settings in its run.json",
        )
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise FileError(f"{place.record} is damaged: its seed is {seed!r:.80}", hint="restore it")
    if given not in (None, seed):
        raise UsageError(
            f"--seed is {given}, and the run began with the weights of seed {seed}",
            hint="leave it out; for other weights: genmod build --seed N, then genmod train",
        )
    return seed


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = [
        f"{key:.80}: {shortened(str(before[key])):.80} → {shortened(str(now[key]))}"
        for key in now
        if key in before and before[key] != now[key]
    ]
    more = len(found) - _MOST_CHANGES
    return found if more <= 0 else [*found[:_MOST_CHANGES], f"and {more:,} others"]
