"""Make the relative links of a page absolute, for an index that shows it without the files around it.

python .github/links_for_index.py README.md v0.2.0
"""

import re
import sys
import tomllib
from pathlib import Path

__all__ = ["absolute"]


def absolute(text: str, repository: str, version: str) -> str:
    """The page with its pictures and links at the files of a version.

    Example:
        >>> absolute("[a](docs/a.md) ![b](b.png) [c](#c) [d](https://d)", "https://github.com/o/r", "v1")
        '[a](https://github.com/o/r/blob/v1/docs/a.md) ![b](https://github.com/o/r/raw/v1/b.png) [c](#c) [d](https://d)'
    """

    def link(found: re.Match[str]) -> str:
        sign, words, target = found.groups()
        return f"{sign}[{words}]({repository}/{'raw' if sign else 'blob'}/{version}/{target})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)", link, text)


if __name__ == "__main__":
    page, version = sys.argv[1:]
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    text = Path(page).read_text(encoding="utf-8")
    Path(page).write_text(absolute(text, settings["project"]["urls"]["Source"], version), encoding="utf-8")
