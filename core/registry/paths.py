"""Datasets by a path in place of a name: which one opens a file or folder."""

from collections.abc import Iterable
from pathlib import Path

from genmod.errors import GenmodError, UsageError
from genmod.registry.component import FOLDER
from genmod.registry.lookup import Registry
from genmod.spec import ComponentSpec

__all__ = ["dataset_at", "opens"]


def dataset_at(text: str | Path, registry: Registry) -> ComponentSpec | None:
    """The dataset that opens a file or folder, with its option ``path``; None where the text is a name.

    A dataset of that name comes before a file or folder of that name, unless it is written ``./NAME`` or ``NAME/``.

    Raises:
        UsageError: there is such a file or folder, or the text is a path, and no dataset opens it.

    Example:
        >>> dataset_at("people.csv", Registry(third_party=False))
        ComponentSpec(name='table', options={'path': 'people.csv'}, provider='', version='', revision=0, module='')
        >>> dataset_at("digits", Registry(third_party=False)) is None
        True
    """
    name, path = str(text), Path(text).expanduser()
    if isinstance(text, str):
        try:
            registry.find("dataset", text)
        except GenmodError:
            pass
        else:
            return None
    folder = path.is_dir() or name.endswith(("/", "\\"))
    provided = registry.components("dataset")
    found = [
        (end, each) for each in provided for end in each.component.opens if opens(end, path, folder=folder)
    ]
    if found:
        _, best = max(found, key=lambda pair: len(pair[0]))
        return ComponentSpec(best.name if best.builtin else best.qualified, {"path": name})
    if path.exists() or isinstance(text, Path):
        endings = _endings(end for each in provided for end in each.component.opens)
        raise UsageError(
            f"no dataset opens {name}",
            hint=f"known are {endings}; or name the dataset: --data NAME -s dataset.path={name}",
        )
    return None


def opens(end: str, path: Path, *, folder: bool) -> bool:
    """Whether what opens ``end``, an ending or a folder or one with a certain file, opens a path.

    Example:
        >>> opens(".csv", Path("PEOPLE.CSV"), folder=False), opens("/codes.json", Path("nowhere"), folder=True)
        (True, False)
    """
    if not end.startswith(FOLDER):
        return not folder and path.name.lower().endswith(end)
    return folder and (end == FOLDER or (path / end.removeprefix(FOLDER)).is_file())


def _endings(found: Iterable[str]) -> str:
    shown = (
        f"folders{f' with {end[1:]}' if end != FOLDER else ''}" if end[0] == "/" else end for end in found
    )
    return ", ".join(sorted(set(shown)))
