"""Pages of the repository as pages of the site.

A page is read in two places: on the repository's page, where a link is a path of a file, and here. So links to files that
have no page here become links to the repository, and a page that consists of ``{include}`` is the named file.
"""

import re
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

__all__ = ["PAGES", "ROOT", "SOURCE", "relinked", "setup"]

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]

PAGES = {
    "README.md": "index",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "examples/MODELS.md": "models",
    "reproductions/README.md": "reproductions",
    "benchmarks/RESULTS.md": "benchmarks",
}
"""File of the repository → the page of the site that it is."""

_WHOLE = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")
_CODE = re.compile(r"(^(`{3,}|~{3,}).*?^\2`*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(name))
    if path.suffix != ".md" or DOCS not in path.parents:
        return

    def whole(found: re.Match[str]) -> str:
        file = (path.parent / found[1]).resolve()
        app.env.note_dependency(str(file))
        return relinked(file.read_text(encoding="utf-8"), file.parent, path.parent)

    text = _WHOLE.sub(whole, relinked(source[0], path.parent, path.parent))
    source[0] = _named(app, text) if name == "components" else text


def relinked(text: str, base: Path, place: Path) -> str:
    """Markdown with its relative links made good for the site; what stands in code is left alone.

    Args:
        text: of a file in the folder ``base``.
        base: what the links are relative to.
        place: folder of the page, in ``docs/``.

    Raises:
        ExtensionError: a link leads to a file that is not there.
    """
    parts = _CODE.split(text)
    # The pattern has two groups: text, code, its fence, text, …; a link's words may have code in them.
    joined, kept = [], {}
    for at in range(0, len(parts), 3):
        joined.append(parts[at])
        if at + 1 < len(parts):
            mark = f"\x00{at}\x00"
            kept[mark] = parts[at + 1]
            joined.append(mark)
    text = _LINK.sub(partial(_link, base, place), "".join(joined))
    return re.sub("\x00\\d+\x00", lambda found: kept[found[0]], text)


def _link(base: Path, place: Path, found: re.Match[str]) -> str:
    sign, words, target = found.groups()
    path, hash_, anchor = target.partition("#")
    file = (base / path).resolve()
    if not file.exists():
        raise ExtensionError(f"a link leads to {file}, which is not there")
    inside = file.relative_to(ROOT).as_posix()
    up = "../" * len(place.relative_to(DOCS).parts)
    if sign:
        return f"![{words}]({up}../{inside})"
    if inside in PAGES:
        return f"[{words}]({up}{PAGES[inside]}.md{hash_}{anchor})"
    if DOCS in file.parents and file.suffix in (".md", ".ipynb"):
        return f"[{words}]({up}{file.relative_to(DOCS).as_posix()}{hash_}{anchor})"
    kind = "tree" if file.is_dir() else "blob"
    return f"[{words}]({SOURCE}/{kind}/main/{inside}{hash_}{anchor})"


def _named(app: Sphinx, text: str) -> str:
    """The table of components, with a link from each name to its page."""

    def row(found: re.Match[str]) -> str:
        kind, words, names = found.groups()
        linked = re.sub(r"`([\w.-]+)`", rf"[`\1`](components/{kind}/\1.rst)", names)
        return f"| [{kind}](components/{kind}/index.rst) |{words}| {linked} |"

    return re.sub(r"^\| (\w+) \|(.*)\| (`.*) \|$", row, text, flags=re.MULTILINE)
