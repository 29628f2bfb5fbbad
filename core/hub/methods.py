"""Models to and from the Hub in the words of huggingface_hub: ``save_pretrained``, ``from_pretrained``, ``push_to_hub``."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genmod.bundle.directory import CARD, ModelDirectory
from genmod.bundle.model import load
from genmod.errors import FileError, UsageError
from genmod.hub.allowed import allowed
from genmod.hub.pulling import loaded, taken
from genmod.hub.pushing import MESSAGE, push
from genmod.hub.staging import stage
from genmod.hub.transport import check_name
from genmod.hub.wishes import CardWishes
from genmod.interfaces.model import GenerativeModel
from genmod.system.files import own_path, read_bytes, staged_directory, write_bytes

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]


def save_pretrained(
    model: GenerativeModel,
    save_directory: str | Path,
    *,
    config: Mapping[str, Any] | None = None,
    repo_id: str | None = None,
    push_to_hub: bool = False,
    model_card_kwargs: Mapping[str, Any] | None = None,
    **push_to_hub_kwargs: Any,
) -> str | None:
    """Write a model with its card and pictures as :func:`push_to_hub` sends it, without records, paths and checkpoints.

    A folder that this function wrote before is replaced as a whole, but for its card, which may have been edited; another one
    that is not empty is left alone.

    Args:
        model: to write.
        save_directory: the folder.
        config: further entries of ``config.json``.
        repo_id: name of the repository; by default that of the folder.
        push_to_hub: send it, too.
        model_card_kwargs: what the card says, see :class:`genmod.hub.wishes.CardWishes`: ``license``, ``data``, ``metrics``, …
        **push_to_hub_kwargs: of :func:`push_to_hub`.

    Returns:
        The address of the commit where it was sent, else None.

    Raises:
        FileError: the folder has other files, or cannot be written.
        UsageError: as :func:`push_to_hub`.

    Example:
        >>> import genmod, tempfile
        >>> folder = tempfile.mkdtemp() + "/small"
        >>> genmod.build(encoder="mlp", latent=2).save_pretrained(folder, model_card_kwargs={"metrics": ()})
        >>> sorted(path.name for path in Path(folder).iterdir())
        ['README.md', 'config.json', 'model.json', 'model.safetensors', 'samples']
    """
    wishes = CardWishes.of(model_card_kwargs)
    folder = Path(save_directory)
    if push_to_hub or repo_id is not None:
        check_name(repo_id or folder.name)
    _check_replaceable(folder)
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.del")
    with staged_directory(folder, aside=aside) as made:
        stage(model, made, repo_id or folder.name, wishes, config=config, card=_card(folder))
        # Meanwhile somebody may have put files there, or have gone on with the card.
        _check_replaceable(folder)
        if (card := _card(folder)) is not None:
            write_bytes(made / CARD, card)
    shutil.rmtree(aside, ignore_errors=True)
    if not push_to_hub:
        return None
    return _sent(model, repo_id or folder.name, wishes, config=config, **push_to_hub_kwargs)


def _card(folder: Path) -> bytes | None:
    path = own_path(folder, CARD)
    return read_bytes(path, "model card", links=False) if path.exists() else None


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder in which something would be lost."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileError(f"{folder} exists and is no folder", hint="choose another place")
    if not folder.exists():
        return
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    known = allowed(folder)
    other = sorted(name for name in found if name not in known or (folder / name).is_symlink())
    if other or (found and not ModelDirectory(folder).is_published):
        names = ", ".join((other or sorted(found))[:5])
        raise FileError(
            f"{folder} has other files than a model for the Hub: {names}; it is left alone",
            hint="choose another place; a model that was trained there is saved by genmod.save, and sent by genmod push",
        )


def push_to_hub(
    model: GenerativeModel,
    repo_id: str,
    *,
    config: Mapping[str, Any] | None = None,
    commit_message: str = MESSAGE,
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    create_pr: bool | None = None,
    allow_patterns: list[str] | str | None = None,
    ignore_patterns: list[str] | str | None = None,
    delete_patterns: list[str] | str | None = None,
    model_card_kwargs: Mapping[str, Any] | None = None,
) -> str:
    """Send a model to the Hub, with a card; see :func:`genmod.hub.push`.

    Args:
        model: to send.
        repo_id: ``organisation/model``; made if it is missing.
        config: further entries of ``config.json``.
        commit_message: of the commit.
        private: whether a new repository is.
        token: None for that of the login.
        branch: made if it is missing; by default ``main``.
        create_pr: propose the change in place of making it.
        allow_patterns: of the files of a model send those that match alone.
        ignore_patterns: of the files of a model leave out those that match.
        delete_patterns: remove other files there that match, in the same commit.
        model_card_kwargs: what the card says, see :class:`genmod.hub.wishes.CardWishes`: ``license``, ``data``, ``metrics``, …

    Returns:
        The address of the commit.

    Raises:
        UsageError: a wrong name, an unknown metric, or ``--offline``.
        GenmodError: the Hub refuses it or cannot be reached.
    """
    return _sent(
        model,
        repo_id,
        CardWishes.of(model_card_kwargs),
        config=config,
        commit_message=commit_message,
        private=private,
        token=token,
        branch=branch,
        create_pr=create_pr,
        allow_patterns=allow_patterns,
        ignore_patterns=ignore_patterns,
        delete_patterns=delete_patterns,
    )


def _sent(
    model: GenerativeModel, name: str, wishes: CardWishes, *, commit_message: str = MESSAGE, **how: Any
) -> str:
    return push(model, name, wishes, message=commit_message, **how).url


def from_pretrained(
    pretrained_model_name_or_path: str | Path,
    *,
    force_download: bool = False,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    revision: str | None = None,
    **model_kwargs: Any,
) -> Any:
    """A model of the Hub or of a folder, in evaluation mode.

    It is untrusted: nothing of it is executed, components come from installed plugins by name, tensors are checked against the
    description and their checksum before they are used, and only files that a model has are fetched.

    Args:
        pretrained_model_name_or_path: ``organisation/model``, or a folder.
        force_download: fetch again what the cache has.
        token: None for that of the login.
        cache_dir: of huggingface_hub.
        local_files_only: take it from the cache, and fetch nothing; so do ``HF_HUB_OFFLINE`` and ``GENMOD_OFFLINE``.
        revision: branch, tag or commit; by default ``main``.
        **model_kwargs: of :func:`genmod.load`: ``device``, and parts that were given in Python.

    Raises:
        FileError: there is no such model; or it is damaged or hostile: says how.
        PluginError: a component's plugin is not installed; the hint is the line that installs it.
        GenmodError: the Hub cannot be reached, and the cache does not have it.
    """
    given = os.fspath(pretrained_model_name_or_path)
    if Path(given).is_dir():
        if revision is not None:
            raise UsageError(f"the folder {given} has no revisions", hint="leave the revision out")
        return load(given, **model_kwargs)
    check_name(given)
    with taken(
        given,
        revision,
        token=token,
        cache=cache_dir,
        force=force_download,
        local=local_files_only,
    ) as (folder, _, _):
        return loaded(folder, **model_kwargs)
