"""The Hub itself, by huggingface_hub: every request goes through here, and its errors become genmod's.

Tokens are found by that library alone, where its own login keeps them, and are never shown here.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.errors import FileError, GenmodError, UsageError
from genmod.system import offline

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["NoAnswerError", "cached", "check_name", "check_online", "fetched", "listed", "sent"]

_INSTALL = "pip install 'genmod-torch[hub]'"
_OF_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
"""Packages whose errors say that no answer came."""


class NoAnswerError(GenmodError):
    """The Hub cannot be reached."""


def check_name(name: str) -> None:
    """Refuse what is no name of a repository on the Hub.

    Raises:
        UsageError: it is none.
    """
    with _errors(name):
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

        validate_repo_id(name)


def check_online(what: str) -> None:
    """Refuse what needs the network where that is forbidden.

    Raises:
        UsageError: ``--offline``, ``GENMOD_OFFLINE`` or ``HF_HUB_OFFLINE`` was given.
    """
    with _errors(what):
        from huggingface_hub import constants

    for given, names in (
        (offline(), "--offline or GENMOD_OFFLINE"),
        (constants.HF_HUB_OFFLINE, "HF_HUB_OFFLINE"),
    ):
        if given:
            raise UsageError(f"{names} forbids to {what}", hint="leave it out where there is a network")


def _api(token: str | bool | None) -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(token=token, library_name="genmod")


def sent(
    folder: Path,
    name: str,
    *,
    message: str,
    private: bool | None,
    token: str | bool | None,
    branch: str | None,
    create_pr: bool | None,
    allow_patterns: list[str] | str | None,
    ignore_patterns: list[str] | str | None,
    delete_patterns: Sequence[str],
    quiet: bool = False,
) -> str:
    """Send the files of a folder to a repository in one commit, and make the repository and the branch if they are missing.

    Returns:
        The address of the commit.

    Raises:
        GenmodError: the Hub refuses it or cannot be reached.
    """
    with _errors(name), _without_bars(quiet):
        api = _api(token)
        repository = api.create_repo(name, private=private, exist_ok=True).repo_id
        if branch and not create_pr:
            api.create_branch(repository, branch=branch, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=message,
            revision=branch,
            create_pr=create_pr,
            allow_patterns=allow_patterns,
            ignore_patterns=ignore_patterns,
            delete_patterns=list(delete_patterns),
        )
        return str(getattr(done, "commit_url", done))


def listed(name: str, revision: str | None, token: str | bool | None) -> dict[str, int]:
    """The files of a repository, with their sizes.

    Raises:
        NoAnswerError: the Hub cannot be reached.
        GenmodError: there is no such repository or revision.
    """
    with _errors(name, revision):
        about = _api(token).model_info(name, revision=revision, files_metadata=True)
        return {each.rfilename: int(each.size or 0) for each in about.siblings or ()}


def fetched(
    name: str,
    files: Sequence[str],
    *,
    revision: str | None,
    token: str | bool | None,
    cache: Path | str | None,
    force: bool = False,
    local: bool = False,
    quiet: bool = False,
) -> Path:
    """The folder of the library's cache with files of a repository; fetched where they are missing.

    Args:
        name: of the repository.
        files: their paths; others are not fetched.
        revision: branch, tag or commit.
        token: None for that of the login.
        cache: folder of the cache; None for the library's own.
        force: fetch what is there again.
        local: fetch nothing.
        quiet: show no bars.

    Raises:
        GenmodError: they are not there and cannot be fetched.
    """
    from_cache = local or offline()
    with _errors(name, revision, local=from_cache), _without_bars(quiet):
        from huggingface_hub import snapshot_download

        return Path(
            snapshot_download(
                name,
                revision=revision,
                token=token,
                cache_dir=cache,
                force_download=force,
                local_files_only=from_cache,
                allow_patterns=list(files),
                library_name="genmod",
            )
        )


def cached(local: bool) -> bool:
    """Whether nothing may be fetched, so that what the cache has is all there is."""
    with _errors("the Hub"):
        from huggingface_hub import constants

    return local or offline() or bool(constants.HF_HUB_OFFLINE)


@contextmanager
def _errors(name: str, revision: str | None = None, *, local: bool = False) -> Iterator[None]:
    """Inside, errors of huggingface_hub become those of genmod."""
    try:
        yield
    except GenmodError:
        raise
    except ModuleNotFoundError as error:
        if error.name != "huggingface_hub":
            raise
        raise UsageError("models of the Hub need the package huggingface_hub", hint=_INSTALL) from error
    except Exception as error:
        # One of several uploads that failed is a RuntimeError, for a reason.
        cause = (
            error.__cause__
            if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception)
            else error
        )
        named = _named(cause, name, revision, local)
        if named is None:
            raise
        raise named from error


def _named(error: Exception, name: str, revision: str | None, local: bool) -> GenmodError | None:
    from huggingface_hub import errors

    at = f" at {revision!r}" if revision else ""
    login = "log in with a token that may: hf auth login, or set HF_TOKEN"
    if isinstance(error, errors.HFValidationError):
        return UsageError(
            f"{name!r:.100} is no name of a repository", hint="give one such as organisation/model"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return FileError(f"{name} has no revision {revision!r}", hint="give a branch, a tag or a commit")
    if isinstance(error, errors.RepositoryNotFoundError):
        return FileError(
            f"there is no repository {name}, or it is not open to you", hint=f"check its name; or {login}"
        )
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        if local or isinstance(error.__cause__, errors.OfflineModeIsEnabled):
            return FileError(
                f"{name}{at} is not in the cache, and nothing may be downloaded", hint="go online once"
            )
        return NoAnswerError(
            f"{name}{at} is not in the cache, and the Hub gives no answer", hint="try again later"
        )
    if isinstance(error, errors.HfHubHTTPError):
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            return GenmodError(f"the Hub does not let you do this with {name}", hint=login)
        return GenmodError(f"the Hub refuses {name}: {_first_line(error)}")
    if type(error).__module__.partition(".")[0] in _OF_NETWORK or isinstance(
        error, ConnectionError | TimeoutError
    ):
        return NoAnswerError(f"the Hub gives no answer: {_first_line(error)}", hint="try again later")
    if isinstance(error, OSError | ValueError):
        return GenmodError(f"{name}: {_first_line(error)}")
    return None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


@contextmanager
def _bars_off() -> Iterator[None]:
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def _without_bars(quiet: bool) -> Any:
    return nullcontext() if not quiet and sys.stderr.isatty() else _bars_off()
