"""A fitted sampler on disk: a folder ``sampler`` in the model directory, written and replaced as one."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from genmod.bundle.directory import ModelDirectory
from genmod.defaults import SAMPLER
from genmod.errors import FileError, GenmodError, UndefinedError, UsageError, quoted
from genmod.interfaces.sampler import Origin, Sampler
from genmod.options.schema import validate
from genmod.registry.lookup import Registry, current_registry
from genmod.registry.migration import find_recorded, migrated
from genmod.system.files import own_path, parse_json, read_text, remove_own, write_json
from genmod.system.random import seeded
from genmod.system.tensors import checksum, precision_of, read_tensors, write_tensors

if TYPE_CHECKING:
    from genmod.model.latent_variable import LatentVariableModel

__all__ = [
    "check_no_sampler",
    "fit_folder",
    "has_sampler",
    "read_origin",
    "read_sampler",
    "sampler_files",
    "save_sampler",
    "write_sampler",
]

FORMAT = 1
_DESCRIPTION = "sampler.json"
_FILE = "sampler.safetensors"
_STATE = re.compile(r"sampler(-[0-9a-f]{16})?\.safetensors")


def has_sampler(directory: Path) -> bool:
    """Whether a sampler was fitted in a model directory."""
    return (ModelDirectory(directory).sampler / _DESCRIPTION).is_file()


def sampler_files(directory: Path) -> tuple[Path, Path]:
    """The description of a sampler, and its state where no other was there before it."""
    folder = ModelDirectory(directory).sampler
    return own_path(folder, _DESCRIPTION), own_path(folder, _FILE)


def fit_folder(directory: Path) -> Path:
    """The folder in which the fit of a sampler keeps its state until it has ended."""
    return own_path(ModelDirectory(directory).sampler, "fit")


def check_no_sampler(directory: Path, *, overwrite: bool) -> None:
    """Refuse to fit a sampler where one would be lost.

    Raises:
        FileError: there is one, and it may not be replaced.
    """
    if has_sampler(directory) and not overwrite:
        raise FileError(
            f"{directory} has a sampler already: {read_origin(directory).component.name}",
            hint="replace it with --overwrite",
        )


def save_sampler(
    sampler: Sampler, directory: Path | str | ModelDirectory, *, overwrite: bool = False
) -> Path:
    """Write a fitted sampler into the directory of its model, in one step.

    Args:
        sampler: as :func:`genmod.fit_sampler` gives it.
        directory: a model directory.
        overwrite: replace a sampler that is there.

    Returns:
        The folder of the sampler.

    Raises:
        UsageError: it was not fitted by :func:`genmod.fit_sampler`.
        FileError: there is a sampler, or no model; or it cannot be written.
    """
    place = ModelDirectory.of(directory)
    place.read_spec()
    check_no_sampler(place.path, overwrite=overwrite)
    with place.alone():
        check_no_sampler(place.path, overwrite=overwrite)
        write_sampler(sampler, place.path)
    return place.sampler


def write_sampler(sampler: Sampler, directory: Path) -> None:
    """Write a sampler, in place of one that is there; see :func:`save_sampler`.

    The description names the file of the state, so that the new sampler replaces the old one in one step, with the
    description.
    """
    if sampler.origin is None:
        raise UsageError(
            "this sampler has no record of what it was fitted to, so it cannot be saved",
            hint="fit it with genmod.fit_sampler(model, sampler=…)",
        )
    state = sampler.state_dict()
    digest = checksum(state)
    folder, name = ModelDirectory(directory).sampler, _FILE
    if own_path(folder, name).exists():
        # The old state is needed until the description gives the new one.
        name = f"sampler-{digest[:16]}.safetensors"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder} cannot be written: {error.strerror or error}") from error
    write_tensors(own_path(folder, name), state)
    write_json(
        own_path(folder, _DESCRIPTION),
        {"format": FORMAT, **sampler.origin.to_json(), "state": digest}
        | ({"file": name} if name != _FILE else {}),
    )
    for path in folder.iterdir():
        if path.name != name and _STATE.fullmatch(path.name):
            remove_own(path)


def read_origin(directory: Path | str) -> Origin:
    """Component, codes and weights of the sampler in a model directory.

    Raises:
        FileError: there is none, or its description is damaged.
    """
    return _read(Path(directory))[0]


def _read(directory: Path) -> tuple[Origin, str, Path]:
    """The origin, the checksum of the state, and its file."""
    folder = ModelDirectory(directory).sampler
    path = own_path(folder, _DESCRIPTION)
    if not path.exists():
        raise FileError(f"{directory} has no sampler", hint=_fit_line(directory, ""))
    plain = parse_json(read_text(path, "description of a sampler", links=False), str(path))
    if isinstance(plain, dict) and plain.get("format", FORMAT) != FORMAT:
        raise FileError(
            f"{path} has format {plain['format']!r}; this version of genmod reads format {FORMAT}",
            hint="pip install --upgrade genmod-torch",
        )
    try:
        file = plain.get("file", _FILE)
        if not isinstance(file, str) or not _STATE.fullmatch(file):
            raise ValueError(f"its state is in {file!r}")
        return Origin.from_json(plain), str(plain["state"]), own_path(folder, file)
    except (GenmodError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path} is damaged: {error!r}", hint=_fit_line(directory, SAMPLER)) from None


def read_sampler(
    directory: Path,
    *,
    weights: str,
    model: "LatentVariableModel",
    device: str = "cpu",
    registry: Registry | None = None,
) -> Sampler:
    """The sampler in a model directory, in evaluation mode.

    Args:
        directory: the model directory.
        weights: SHA-256 of the weights that the model has.
        model: with these weights.
        device: where to put it.
        registry: of components; the current one by default.

    Raises:
        UndefinedError: it was fitted to other weights; says what to type.
        FileError: it is missing or damaged.
        PluginError: its plugin is missing or broken.
    """
    origin, state, path = _read(directory)
    name = origin.component.name
    if (origin.weights, origin.latent_shape) != (weights, model.latent_shape):
        raise UndefinedError(
            f"the sampler in {directory} ({name}) was fitted to other weights than the model has now",
            hint=f"fit it again: {_fit_line(directory, name)}\n"
            f"or draw from the prior: genmod sample {quoted(directory)} --from prior",
        )
    provided = find_recorded(registry or current_registry(), "sampler", origin.component)
    cls = provided.load()
    values = validate(cls, migrated(provided, origin.component), "sampler", label=f"sampler {name}")
    try:
        # These draws are replaced by the state, and must not change the random state of the caller.
        with seeded(0):
            wiring = (origin.context,) if cls.wants_context else ()
            made: Sampler = cls(model.latent_shape, *wiring, **values)
            made.bind(model)
            made.reserve(origin.count)
    except (MemoryError, RuntimeError) as error:
        raise FileError(f"{path} is damaged: {error}", hint=_fit_line(directory, name)) from None
    made = made.to(precision_of(path))
    try:
        tensors = read_tensors(path, made.state_dict())
        if checksum(tensors) != state:
            raise FileError(f"{path} is damaged: it is not the state that {_DESCRIPTION} was written with")
    except FileError as error:
        raise FileError(error.message, hint=f"fit it again: {_fit_line(directory, name)}") from error
    made.load_state_dict(tensors)
    made.origin = origin
    return made.to(device).eval().requires_grad_(False)


def _fit_line(directory: Path, name: str) -> str:
    return (
        f"genmod fit-sampler {quoted(directory)} --sampler {name or SAMPLER}{' --overwrite' if name else ''}"
    )
