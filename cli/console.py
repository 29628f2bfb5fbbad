"""What commands print: data to stdout, everything else to stderr."""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

__all__ = [
    "Settings",
    "agreed",
    "animated",
    "colored",
    "configure",
    "detail",
    "error",
    "note",
    "print_json",
    "print_table",
    "print_text",
    "settings",
    "warning",
]

_LONGEST = 5000
_CODES = {"bold": "1", "red": "31", "yellow": "33", "cyan": "36"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_CONTROL_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")


@dataclass
class Settings:
    """The global options that decide how things are printed."""

    quiet: bool = False
    verbose: bool = False
    color: Literal["auto", "always", "never"] = "auto"
    debug: bool = False


settings = Settings()


def configure(new: Settings) -> None:
    """Use the global options of this command line."""
    vars(settings).update(vars(new))


def print_text(text: str) -> None:
    """Print data as text to stdout, without control characters, which names from files may have."""
    sys.stdout.write(_CONTROL_BUT_LAYOUT.sub(" ", text) + "\n")


def print_json(document: Any) -> None:
    """Print data as one JSON document to stdout; NaN and infinities become null."""
    from genmod.options.text import json_data

    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print_text(json.dumps(json_data(document), indent=2, ensure_ascii=not utf8, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print data as a table to stdout: aligned on a terminal, elsewhere separated by tabs."""
    cells = [[_CONTROL.sub(" ", str(cell)) for cell in row] for row in rows]
    if not _is_terminal(sys.stdout):
        for row in [list(columns), *cells]:
            print_text("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    used = [i for i in range(len(columns)) if any(row[i] for row in cells)]
    for i in used:
        table.add_column(Text(columns[i]), overflow="fold")
    for row in cells:
        table.add_row(*(Text(row[i]) for i in used))
    Console(file=sys.stdout, color_system="auto" if colored(sys.stdout) else None).print(table)


def note(text: str) -> None:
    """Print what happened, or what to do next, to stderr; not with ``--quiet``."""
    if not settings.quiet:
        _to_stderr(text)


def detail(text: str) -> None:
    """Print to stderr with ``--verbose`` alone."""
    if settings.verbose:
        _to_stderr(text)


def warning(text: str) -> None:
    """Print a warning to stderr; not with ``--quiet``."""
    if not settings.quiet:
        _to_stderr(_labelled("warning", "yellow", text))


def error(message: str, hint: str = "") -> None:
    """Print why the command failed and what to type next to stderr."""
    _to_stderr(_labelled("error", "red", message))
    if hint:
        _to_stderr(_labelled("hint", "cyan", hint))


def agreed(question: str) -> bool:
    """Whether the user agrees; no by default, and without a question where there is no terminal."""
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def animated() -> bool:
    """Whether progress may redraw lines: on a terminal, whatever ``--color`` says."""
    return not settings.quiet and _is_terminal(sys.stderr)


def colored(stream: TextIO) -> bool:
    """Whether to use colours: by ``--color``, else by NO_COLOR, FORCE_COLOR and the terminal."""
    if settings.color != "auto":
        return settings.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or _is_terminal(stream)


def _labelled(label: str, color: str, text: str) -> str:
    if len(text) > _LONGEST:  # lists of names come from files of others, too
        text = f"{text[: _LONGEST - 500]} … {text[-500:]}"
    indented = _CONTROL_BUT_LAYOUT.sub(" ", text).replace("\n", "\n" + " " * (len(label) + 2))
    start = f"\x1b[{_CODES['bold']};{_CODES[color]}m{label}:\x1b[0m" if colored(sys.stderr) else f"{label}:"
    return f"{start} {indented}"


def _to_stderr(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"
