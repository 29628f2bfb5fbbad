"""``run.json``: command, settings, environment and status of a run."""

import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Dataset
from genmod.interfaces.model import GenerativeModel
from genmod.registry.file_plugin import is_local
from genmod.spec import ModelSpec
from genmod.system.environment import environment, git_state, versions
from genmod.system.files import write_json
from genmod.system.tensors import checksum
from genmod.training.distributed import Team
from genmod.training.precision import rounding
from genmod.training.settings import TrainSettings

__all__ = ["Record", "beginning", "surroundings", "versions_used"]


def surroundings(device: str) -> dict[str, Any]:
    """The facts beside the settings that can change the bits of a run."""
    found = versions()
    return {**environment(device), "torch": found["torch"], "processes": Team().size}


def versions_used(spec: ModelSpec) -> dict[str, str]:
    """Versions of what a model is computed with: of packages, and of plugins that are files, where they are resolved."""
    parts = [part for part in spec.components.values() if part.provider]
    files = {part.provider: part.version for part in parts if is_local(part.provider)}
    return {**versions(*(part.provider for part in parts)), **files}


def beginning(
    model: GenerativeModel, data: Dataset, place: ModelDirectory | None, *, resumed: bool
) -> dict[str, Any]:
    """What a run begins with, for its record: the seed and the checksum of its weights, and its data by name.

    A resumed run has that of its first part.
    """
    if place is None or not Team().leads:
        return {}
    if resumed:
        return {key: value for key, value in place.read_record().items() if key in ("weights", "data")}
    weights = {"seed": model.weights_seed, "sha256": checksum(model.state_dict())}
    return {"weights": weights, "data": data.opened_as}


class Record:
    """Writes ``run.json``.

    Args:
        directory: model directory; None for no record.
        spec: specification of the model.
        settings: settings of the run.
        device: device of the run.
        began: from :func:`beginning`.
    """

    def __init__(
        self,
        directory: Path | None,
        spec: ModelSpec,
        settings: TrainSettings,
        device: str,
        began: Mapping[str, Any],
    ) -> None:
        self.environment = {**surroundings(device), **rounding(torch.device(device))}
        self._path = ModelDirectory(directory).record if directory is not None else None
        self._fixed = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "settings": settings.to_json(),
            **began,
            "versions": versions_used(spec),
            "environment": self.environment,
            "git": git_state() if directory is not None else None,
        }

    def write(self, status: str, **progress: Any) -> None:
        """Replace the file.

        Args:
            status: ``running``, ``finished``, ``stopped early``, ``interrupted`` or ``failed``.
            **progress: steps, losses and times.

        Raises:
            FileError: it cannot be written.
        """
        if self._path is not None:
            finite = {
                k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in progress.items()
            }
            write_json(self._path, {"status": status, **finite, **self._fixed})
