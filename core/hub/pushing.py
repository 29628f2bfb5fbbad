"""Sending a model to the Hub."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmod.bundle.directory import CARD
from genmod.hub.allowed import allowed
from genmod.hub.staging import stage
from genmod.hub.transport import check_name, check_online, sent
from genmod.hub.wishes import CardWishes
from genmod.interfaces.model import GenerativeModel

__all__ = ["MESSAGE", "Pushed", "push"]

MESSAGE = "Push model using genmod."


@dataclass(frozen=True)
class Pushed:
    """What went up, or would.

    Args:
        repository: its name.
        url: address of the commit; empty where nothing was sent.
        files: path of each file → bytes.
        stripped: place of each path of the user's machine → the name that stayed of it.
        problems: name of what the card lacks → why.
        card: its text.
    """

    repository: str
    url: str
    files: Mapping[str, int]
    stripped: Mapping[str, str]
    problems: Mapping[str, str]
    card: str


def push(
    model: GenerativeModel,
    repository: str,
    wishes: CardWishes | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    message: str = MESSAGE,
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    create_pr: bool | None = None,
    allow_patterns: list[str] | str | None = None,
    ignore_patterns: list[str] | str | None = None,
    delete_patterns: list[str] | str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Pushed:
    """Send a model to the Hub: the files of :func:`genmod.hub.allowed.allowed`, made anew, and nothing else.

    Files of an earlier push that this one does not have, such as a sampler, are removed in the same commit; others stay.

    Args:
        model: to send.
        repository: its name, ``organisation/model``; made if it is missing.
        wishes: of the card.
        config: further entries of ``config.json``.
        message: of the commit.
        private: whether a new repository is.
        token: None for that of the login.
        branch: made if it is missing; by default ``main``.
        create_pr: propose the change in place of making it.
        allow_patterns: of these files send those that match alone.
        ignore_patterns: of these files leave out those that match.
        delete_patterns: remove other files there that match, in the same commit.
        dry_run: send nothing, but make everything.
        quiet: show no bars.
        on_progress: called with the task, the steps done and their total.

    Raises:
        UsageError: a wrong name, an unknown metric, or ``--offline``.
        GenmodError: the Hub refuses it or cannot be reached.
    """
    check_name(repository)
    if not dry_run:
        check_online("send a model to the Hub")
    with tempfile.TemporaryDirectory(prefix="genmod-push-") as place:
        folder = Path(place, "model")
        staged = stage(
            model, folder, repository, wishes or CardWishes(), config=config, on_progress=on_progress
        )
        url = ""
        if not dry_run:
            gone = [name for name in allowed(folder) if name not in staged.files]
            more = [delete_patterns] if isinstance(delete_patterns, str) else list(delete_patterns or ())
            url = sent(
                folder,
                repository,
                message=message,
                private=private,
                token=token,
                branch=branch,
                create_pr=create_pr,
                allow_patterns=allow_patterns,
                ignore_patterns=ignore_patterns,
                delete_patterns=[*gone, *more],
                quiet=quiet,
            )
        card = (folder / CARD).read_text(encoding="utf-8")
    return Pushed(repository, url, staged.files, staged.stripped, staged.problems, card)
