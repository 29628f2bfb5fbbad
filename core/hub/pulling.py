"""Taking a model from the Hub. What comes from there is untrusted: the rules of model directories hold."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmod.bundle.aside import link
from genmod.bundle.directory import CARD, CONFIG, ModelDirectory
from genmod.bundle.model import load
from genmod.errors import DataWarning, FileError, GenmodError, UndefinedError, quoted
from genmod.hub.allowed import allowed, check_sizes, files_in
from genmod.hub.transport import NoAnswerError, cached, check_name, fetched, listed
from genmod.interfaces.model import GenerativeModel
from genmod.model.assembly import blueprint
from genmod.system.files import staged_directory

__all__ = ["Pulled", "loaded", "pull", "taken"]

_EACH_TENSOR, _HEADER, _WIDEST = 512, 4096, 8


@dataclass(frozen=True)
class Pulled:
    """What was taken from the Hub.

    Args:
        path: of the model directory.
        revision: the commit.
        files: path of each file → bytes.
        left: files of the repository that were not taken; empty where only the cache was asked.
    """

    path: Path
    revision: str
    files: Mapping[str, int]
    left: tuple[str, ...]


def pull(
    repository: str,
    out: Path | str | None = None,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: Path | str | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    quiet: bool = False,
) -> Pulled:
    """Write a model of the Hub into a new folder, once it has been loaded.

    Args:
        repository: its name, ``organisation/model``.
        out: the folder; by default the last part of the name.
        revision: branch, tag or commit; by default ``main``.
        token: None for that of the login.
        cache_dir: of huggingface_hub.
        force_download: fetch again what the cache has.
        local_files_only: take it from the cache, and fetch nothing.
        quiet: show no bars.

    Raises:
        FileError: the folder exists and is not empty; there is no such model; or it is damaged or hostile: says how.
        PluginError: a component's plugin is not installed.
    """
    check_name(repository)
    out = Path(out) if out is not None else Path(repository.rpartition("/")[2])
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise FileError(
            f"{out} exists and is not empty; it is left alone", hint="choose another place with -o DIR"
        )
    how: dict[str, Any] = {
        "token": token,
        "cache": cache_dir,
        "force": force_download,
        "local": local_files_only,
        "quiet": quiet,
    }
    with taken(repository, revision, **how) as (folder, commit, left):
        loaded(folder)
        with staged_directory(out) as stage:
            shutil.copytree(folder, stage, dirs_exist_ok=True)
        found = files_in(out)
    return Pulled(out, commit, found, left)


def loaded(folder: Path, **how: Any) -> GenerativeModel:
    """The model in a folder, with its sampler, so that the folder may go."""
    model = load(folder, **how)
    if getattr(model, "has_latents", False):
        try:
            _ = model.sampler
        except UndefinedError as error:
            refusal = error

            def refuse() -> Any:
                raise refusal

            model.attach_sampler(refuse)
    return model


@contextmanager
def taken(
    repository: str,
    revision: str | None,
    *,
    token: str | bool | None = None,
    cache: Path | str | None = None,
    force: bool = False,
    local: bool = False,
    quiet: bool = False,
) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """A folder with the allowed files of a repository, which lasts as long as the context; the commit; what was left there.

    The description is fetched first. It says how large the weights can be, and larger ones are not fetched.

    Args:
        repository: its name.
        revision: branch, tag or commit.
        token, cache, force, local, quiet: as for :func:`genmod.hub.transport.fetched`.
    """
    how: dict[str, Any] = {"revision": revision, "token": token, "cache": cache, "quiet": quiet}
    with tempfile.TemporaryDirectory(prefix="genmod-pull-") as place:
        folder = Path(place, "model")
        folder.mkdir()
        with _called(folder, repository):
            left: tuple[str, ...] = ()
            local, silence = cached(local), None
            if not local:
                try:
                    left = _described(repository, folder, force=force, **how)
                except NoAnswerError as error:
                    # What the cache has has to do.
                    local, silence = True, error
            wanted = list(allowed(folder))
            try:
                snapshot = fetched(repository, wanted, force=force, local=local, **how)
            except FileError:
                if silence is None:
                    raise
                raise silence from None
            if silence is not None:
                warnings.warn(
                    f"the Hub gives no answer; {repository} is what the cache has of it",
                    DataWarning,
                    stacklevel=4,
                )
            _copy(snapshot, folder, wanted)
            check_sizes(files_in(folder), folder, repository)
            yield folder, snapshot.name, left


def _described(repository: str, folder: Path, **how: Any) -> tuple[str, ...]:
    """Fetch the description of a model, check all sizes by it, and give what else there is in the repository."""
    description = ModelDirectory(folder).description.name
    there = listed(repository, how["revision"], how["token"])
    if description not in there:
        raise FileError(
            f"{repository} is no model of genmod: it has no {description}, but "
            f"{', '.join(sorted(there)[:5]) or 'nothing'}"
        )
    check_sizes(there, folder, repository)
    snapshot = fetched(repository, [description, CARD, CONFIG], **{**how, "quiet": True})
    _copy(snapshot, folder, [description])
    _check_weights(folder, there, repository)
    return tuple(sorted(set(there) - set(allowed(folder))))


def _check_weights(folder: Path, there: Mapping[str, int], repository: str) -> None:
    """Refuse weights that are larger than those of the model that is described, before they are fetched."""
    place = ModelDirectory(folder)
    spec, data = place.read_spec()
    if any(part.module for kind, part in spec.components.items() if kind != "dataset"):
        # How large parts are that were given in Python is not known here.
        return
    state = blueprint(spec, data).state_dict().values()
    most = sum(t.numel() * _WIDEST for t in state) + _HEADER + _EACH_TENSOR * len(state)
    name = place.weights().name
    if there.get(name, 0) > most:
        raise FileError(
            f"{name} of {repository} has {there[name]:,} bytes, where the model that it describes has at most {most:,}"
        )


def _copy(snapshot: Path, folder: Path, names: list[str]) -> None:
    """Files of the cache as files of their own. The cache has links, each to a file of the same repository or of all.

    Raises:
        FileError: one leads elsewhere, or is no file.
    """
    repository = snapshot.parents[1].resolve()
    homes = (repository, repository.parent / "blobs")
    for name in names:
        source, target = snapshot / name, folder / name
        if not source.exists() and not source.is_symlink():
            continue
        found = source.resolve()
        if not any(map(found.is_relative_to, homes)) or not found.is_file():
            raise FileError(
                f"{source} leads out of the cache, to {found}",
                hint=f"remove it, and fetch it again: rm {quoted(source)}",
            )
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        link(found, target)


@contextmanager
def _called(folder: Path, repository: str) -> Iterator[None]:
    """Inside, errors name the repository, not the folder that nobody has heard of."""
    try:
        yield
    except GenmodError as error:
        if str(folder) in error.message:
            raise FileError(
                error.message.replace(f"{folder}/", f"{repository}: ").replace(str(folder), repository),
                hint="it is not what genmod wrote: tell its authors, or take another revision",
            ) from error
        error.hint = error.hint.replace(
            f"genmod.load({str(folder)!r}", f"genmod.from_pretrained({repository!r}"
        )
        raise
