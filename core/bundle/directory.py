"""A model directory: its files by name, what may be written where, and how nothing in it is lost."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genmod.bundle.aside import files_of_others, link
from genmod.bundle.rows import rows_in
from genmod.errors import DataError, FileError, quoted
from genmod.model.resolve import resolve_kinds
from genmod.spec import ModelSpec
from genmod.system.files import (
    alone_in,
    move,
    own_path,
    parse_json,
    read_bytes,
    read_text,
    remove_leftovers,
    remove_own,
    staged_directory,
    write_json,
)
from genmod.system.nearby import similar_folder
from genmod.system.tensors import FORMAT

if TYPE_CHECKING:
    from genmod.data.dataset import DataInfo

__all__ = ["CARD", "CONFIG", "ModelDirectory"]

CARD, CONFIG = "README.md", "config.json"
_DESCRIPTION, _RECORD, _ROWS = "model.json", "run.json", "metrics.jsonl"
_WEIGHTS = {"best": "model.safetensors", "last": "last.safetensors"}
_CHECKPOINTS, _STOPPED, _SAMPLER, _PICTURES = "checkpoints", "non-finite", "sampler", "samples"
_STEP = r"step-\d{8,}"
_BEFORE = re.compile(r"before-\d{8}T\d{6}(-\d+)?")
_RECORDED: dict[str, Any] = {
    **dict.fromkeys(("status", "started", "before"), str),
    **dict.fromkeys(("step", "total_steps", "best_step", "best_loss", "seconds"), int | float),
    **dict.fromkeys(("settings", "versions", "environment", "git", "weights", "data"), dict),
    "command": list,
}
_ELSEWHERE = "choose another place with -o DIR"
_MOST_DESCRIPTION, _MOST_ROWS = 4_000_000, 1_000_000_000


@dataclass(frozen=True)
class ModelDirectory:
    """The files of a model on disk; only this class has their names.

    Every path lies in the directory: a link in the place of a file or folder of genmod's is refused.

    Args:
        path: of the directory.

    Example:
        >>> ModelDirectory(Path("model")).weights("last").name
        'last.safetensors'
    """

    path: Path

    @classmethod
    def of(cls, directory: "Path | str | ModelDirectory") -> "ModelDirectory":
        """The directory at a path; a ModelDirectory is returned itself, so that its files are read once."""
        return directory if isinstance(directory, ModelDirectory) else cls(Path(directory))

    @property
    def description(self) -> Path:
        """``model.json``: components, options, shape and range of the data."""
        return own_path(self.path, _DESCRIPTION)

    @property
    def record(self) -> Path:
        """``run.json``: command, machine and status of the run."""
        return own_path(self.path, _RECORD)

    @property
    def rows(self) -> Path:
        """``metrics.jsonl``: rows of metrics."""
        return own_path(self.path, _ROWS)

    @property
    def checkpoints(self) -> Path:
        """The folder of complete training states."""
        return own_path(self.path, _CHECKPOINTS)

    @property
    def stopped_step(self) -> Path:
        """The folder with the state before a step that gave a value that was not finite."""
        return own_path(self.path, _STOPPED)

    @property
    def sampler(self) -> Path:
        """The folder of a sampler that was fitted to the codes of the model."""
        return own_path(self.path, _SAMPLER)

    def weights(self, which: Literal["best", "last"] = "best") -> Path:
        """The weights with the lowest validation loss, or those of the last step."""
        return own_path(self.path, _WEIGHTS[which])

    def pictures(self, *names: str) -> Path:
        """The folder of pictures, or a file in it."""
        return own_path(self.path, _PICTURES, *names)

    @property
    def is_model(self) -> bool:
        """Whether genmod wrote it: other programs write files named ``model.json``, too."""
        try:
            plain = self._content
        except FileError:
            return False
        return isinstance(plain, dict) and type(plain.get("format")) is int and "components" in plain

    @property
    def is_trained(self) -> bool:
        """Whether training has begun."""
        return self.record.exists() and self.is_model

    @property
    def is_published(self) -> bool:
        """Whether it has a card, as :func:`genmod.save_pretrained` and ``genmod pull`` write it: a model without a record."""
        return self.is_model and all((self.path / name).is_file() for name in (CARD, CONFIG))

    @cached_property
    def _content(self) -> Any:
        text = read_text(self.description, "model description", limit=_MOST_DESCRIPTION, links=False)
        return parse_json(text, str(self.description))

    def read_spec(self) -> tuple[ModelSpec, "DataInfo"]:
        """The specification and the description of the data; they are read once.

        Raises:
            FileError: there is none, or it is damaged; says what is wrong with which file.
        """
        return self._spec_and_data

    def read_seed(self) -> int | None:
        """The seed that the first weights were drawn with; None where that is not known."""
        seed = self._content.get("seed")
        return seed if type(seed) is int and 0 <= seed < 2**63 else None

    def with_dataset(self) -> ModelSpec:
        """The specification, its dataset resolved; that is done once.

        Raises:
            UsageError: an unknown dataset or wrong options.
            FileError: there is no model, or it is damaged.
        """
        spec, data = self.read_spec()
        spec = resolve_kinds(spec, ("dataset",))
        vars(self)["_spec_and_data"] = spec, data
        return spec

    def check(self) -> None:
        """Refuse what is no model directory; the description of the data is not read, and torch not imported.

        Raises:
            FileError: there is no model, or its specification is damaged.
        """
        _ = self._spec

    @cached_property
    def _spec_and_data(self) -> tuple[ModelSpec, "DataInfo"]:
        from genmod.data.dataset import DataInfo

        spec = self._spec
        try:
            return spec, DataInfo.from_json(self._content.get("data", {}))
        except DataError as error:
            raise FileError(f"{self.description} is damaged: {error.message}") from None

    @cached_property
    def _spec(self) -> ModelSpec:
        path = self.description
        if not path.exists():
            lacking = (
                f"{self.path} has no {_DESCRIPTION}"
                if self.path.exists()
                else f"there is no model directory {self.path}"
            )
            close = similar_folder(self.path, _DESCRIPTION)
            meant = f"did you mean {quoted(close)}?\n" if close and close != self.path else ""
            raise FileError(lacking, hint=f"{meant}make one: genmod build -o {quoted(self.path)}")
        plain = self._content
        if not isinstance(plain, dict) or "format" not in plain:
            raise FileError(f"{path} is damaged or not a genmod model: it has no format number")
        if plain["format"] != FORMAT:
            raise FileError(
                f"{path} has format {plain['format']!r}; this version of genmod reads format {FORMAT}",
                hint="pip install --upgrade genmod-torch",
            )
        spec = ModelSpec.from_json(plain, where=str(path))
        if spec.missing:
            raise FileError(f"{path} is damaged: it names no {', '.join(spec.missing)}")
        return spec

    def write_spec(self, spec: ModelSpec, data: "DataInfo", *, seed: int | None = None) -> None:
        """Replace the specification, the description of the data, and the seed of the first weights.

        Raises:
            FileError: it cannot be written.
        """
        plain = {"format": FORMAT, **spec.to_json(), "data": data.to_json(), "seed": seed}
        write_json(self.description, plain, limit=_MOST_DESCRIPTION)
        for read in ("_content", "_spec", "_spec_and_data"):
            vars(self).pop(read, None)

    def read_record(self) -> dict[str, Any]:
        """Command, settings and status of the run; empty where there is none.

        Raises:
            FileError: it is damaged.
        """
        path = self.record
        if not path.exists():
            return {}
        plain = parse_json(read_text(path, "record of a run", links=False), str(path))
        if not isinstance(plain, dict):
            raise FileError(f"{path} is damaged: it is no record of a run")
        for name, types in _RECORDED.items():
            if not isinstance(plain.get(name), types | None):
                raise FileError(
                    f"{path} is damaged: its {name} is {plain[name]!r:.80}", hint="remove it, or restore it"
                )
        return plain

    def read_rows(self) -> list[dict[str, Any]]:
        """The rows of metrics, without a last one that a crash has cut; empty where there are none.

        A value that is not a finite number is None.

        Raises:
            FileError: they cannot be read.
        """
        path = self.rows
        if not path.exists():
            return []
        content = read_bytes(path, "rows of metrics", limit=_MOST_ROWS, links=False)
        return rows_in(content.decode("utf-8", errors="replace"))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the directory against other processes, and remove unfinished files of a killed one.

        Raises:
            FileError: another process uses it, or it cannot be written.
        """
        with alone_in(self.path):
            remove_leftovers(self.path, r"[\w-]+\.(json|jsonl|csv|safetensors)", _SAMPLER, _BEFORE.pattern)
            remove_leftovers(self.pictures(), r"[\w-]+\.\w+")
            yield

    def check_free(self, *, overwrite: bool) -> None:
        """Refuse to overwrite a trained model, one of the Hub, or foreign files.

        Raises:
            FileError: a trained model without ``overwrite``, one of the Hub, or anything that is not a model directory.
        """
        if not self.path.exists() and not self.path.is_symlink():
            return
        if (
            not self.path.is_dir()
            or self.path.is_symlink()
            or (not self.is_model and any(self.path.iterdir()))
        ):
            raise FileError(f"{self.path} exists and is no genmod model; it is left alone", hint=_ELSEWHERE)
        if self.is_trained and not overwrite:
            raise FileError(
                f"{self.path} holds a trained model",
                hint="replace it with --overwrite, or choose another place with -o DIR",
            )
        if self.is_published and not self.is_trained:
            there = f"{self.path} holds a model with its card, as from the Hub"
            raise FileError(f"{there}; it is left alone", hint=_ELSEWHERE)

    def set_aside(self) -> Path:
        """Copy the model, complete, to a folder of the directory, before a new one replaces it.

        Returns:
            That folder; :meth:`forget_before` removes it.

        Raises:
            FileError: it cannot be written; the model is unchanged.
        """
        now = datetime.now(UTC).strftime("before-%Y%m%dT%H%M%S")
        names = (f"{now}-{n}" if n else now for n in range(1000))
        place = next(self.path / name for name in names if not (self.path / name).exists())
        kept = [_DESCRIPTION, _RECORD, _ROWS, *_WEIGHTS.values(), _CHECKPOINTS, _SAMPLER]
        try:
            with staged_directory(place) as stage:
                for name in kept:
                    path = own_path(self.path, name)
                    if path.is_dir():
                        shutil.copytree(
                            path, stage / name, symlinks=True, copy_function=link, ignore=files_of_others
                        )
                    elif path.is_file():
                        link(path, stage / name)
        except BaseException:
            remove_own(place)
            raise
        return place

    def put_back(self, before: Path) -> None:
        """Undo :meth:`set_aside`, after an error.

        Raises:
            FileError: it cannot be done; the model is still in its folder.
        """
        try:
            for path in before.iterdir():
                target = own_path(self.path, path.name)
                if path.is_dir():
                    remove_own(target)
                    move(path, target)
                else:
                    move(path, target)
                    # Renaming does nothing where both are names of one file.
                    path.unlink(missing_ok=True)
            before.rmdir()
        except OSError as error:
            raise FileError(
                f"{self.path} cannot be written: {error.strerror or error}",
                hint=f"the model that was there is in {before}",
            ) from error

    def clear(self) -> None:
        """Remove a run and the files made from its weights, except its record and foreign files."""
        for folder in (self.checkpoints, self.stopped_step):
            for path in folder.iterdir() if folder.is_dir() else ():
                if re.fullmatch(_STEP, path.name):
                    remove_own(path)
        for path in (self.sampler, self.weights("last"), self.rows):
            remove_own(path)

    def forget_before(self) -> None:
        """Remove the copies of earlier models, once the new one is trained."""
        for path in self.path.iterdir():
            if _BEFORE.fullmatch(path.name) and not path.is_symlink():
                remove_own(path)
