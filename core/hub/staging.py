"""The folder of a model as it goes up: made anew from the model, so that nothing else can be in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from genmod.bundle.directory import CARD, CONFIG, ModelDirectory
from genmod.bundle.model import load, save
from genmod.bundle.sampler import has_sampler, sampler_files
from genmod.errors import UndefinedError
from genmod.hub.allowed import check_sizes, files_in
from genmod.hub.card import card_text
from genmod.hub.measured import look_at
from genmod.hub.metadata import config_of, front_matter
from genmod.hub.paths import without_folders
from genmod.hub.wishes import CardWishes
from genmod.interfaces.model import GenerativeModel
from genmod.model.latent_variable import LatentVariableModel
from genmod.system.files import parse_json, read_text, write_bytes, write_json

__all__ = ["Staged", "stage"]

_MOST_DESCRIPTION = 4_000_000


@dataclass(frozen=True)
class Staged:
    """What goes up.

    Args:
        files: path of each, seen from the folder → bytes.
        stripped: place of each path of the user's machine → the name that stayed of it.
        problems: name of what the card lacks → why.
    """

    files: Mapping[str, int]
    stripped: Mapping[str, str]
    problems: Mapping[str, str]


def stage(
    model: GenerativeModel,
    folder: Path,
    name: str,
    wishes: CardWishes,
    *,
    config: Mapping[str, Any] | None = None,
    card: bytes | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Staged:
    """Write a model as it goes up into an empty folder, and load it from there as a stranger would.

    Args:
        model: to write.
        folder: to write it into; made here.
        name: by which it is loaded: of the repository, or of the folder.
        wishes: of its card.
        config: further entries of ``config.json``.
        card: a whole card in place of the one that is made.
        on_progress: called with the task, the steps done and their total.

    Raises:
        UsageError: an unknown metric, or data that do not suit the model; or it is not what its specification says.
        FileError: it cannot be written.
    """
    save(model, folder)
    stripped = _strip(folder)
    if not any(part.module for kind, part in model.spec.components.items() if kind != "dataset"):
        # What a stranger could not load does not go up.
        _check_sampler(load(folder))
    seen = cast(LatentVariableModel, model)
    measured = look_at(seen, folder, wishes, on_progress=on_progress)
    if card is None:
        text = card_text(seen, folder, name, measured, wishes)
        card = (front_matter(seen, name, measured, wishes) + "\n" + text).encode()
    write_bytes(folder / CARD, card)
    write_json(folder / CONFIG, config_of(seen, config or {}))
    found = files_in(folder)
    check_sizes(found, folder, "this model")
    return Staged(found, stripped, measured.problems)


def _strip(folder: Path) -> dict[str, str]:
    """Remove the folders from paths in the descriptions of a model and its sampler."""
    descriptions = [ModelDirectory(folder).description]
    if has_sampler(folder):
        descriptions.append(sampler_files(folder)[0])
    changed: dict[str, str] = {}
    for path in descriptions:
        plain = parse_json(read_text(path, "description", limit=_MOST_DESCRIPTION), str(path))
        # Names of classes, columns and factors are no paths, whatever they look like.
        for place in ("components", "component", "recipe"):
            if place in plain:
                plain[place], found = without_folders(plain[place])
                changed |= {
                    f"{path.stem}: {where.replace('.options.', '.') or place}": kept
                    for where, kept in found.items()
                }
        write_json(path, plain, limit=_MOST_DESCRIPTION)
    return changed


def _check_sampler(model: GenerativeModel) -> None:
    try:
        getattr(model, "sampler", None)
    except UndefinedError:
        # It was fitted to other weights, and says so where it is used.
        return
