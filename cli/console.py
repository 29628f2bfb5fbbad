"""What commands print: data to stdout, everything else to stderr."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from genmod.system.letters import LAYOUT_APART, in_lines, in_one_line

__all__ = [
    "Settings",
    "agreed",
    "animated",
    "colored",
    "configure",
    "detail",
    "error",
    "note",
    "only_data_on_stdout",
    "print_file",
    "print_json",
    "print_prose",
    "print_rows",
    "print_table",
    "print_text",
    "settings",
    "stdout",
    "warning",
    "width",
]

_LONGEST = 5000
_LEAST_ROOM = 8
"""Columns for texts, where a terminal has hardly any."""
_CODES = {"bold": "1", "red": "31", "yellow": "33", "cyan": "36"}
_COMMAND = re.compile(r"\s*(next: |example: )?(genmod|pip|cd|mkdir|python|export) ")
_COMMAND_WITHIN = re.compile(
    r"\b(?:genmod|pip install|mkdir -p) (?:(?!: )[^;,()\n])+|(?<=\s)--?[a-z][\w-]* [\w./]+"
)
_HELD = "\0"
"""Stands for a space at which no line is broken."""


@dataclass
class Settings:
    """The global options that decide how things are printed."""

    quiet: bool = False
    verbose: bool = False
    color: Literal["auto", "always", "never"] = "auto"
    debug: bool = False


settings = Settings()
_data: TextIO | None = None


def stdout() -> TextIO:
    """The stream of data: stdout, also where it is kept for data alone."""
    return _data or sys.stdout


@contextmanager
def only_data_on_stdout() -> Iterator[None]:
    """Inside, what is printed by others than this module, such as components of plugins, goes to stderr."""
    global _data
    before, _data = _data, stdout()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _data = before


def configure(new: Settings) -> None:
    """Use the global options of this command line."""
    vars(settings).update(vars(new))


def print_text(text: str) -> None:
    """Print data as text to stdout, without control characters, which names from files may have."""
    stdout().write(in_lines(text) + "\n")


def print_prose(text: str) -> None:
    """Print sentences to stdout, in lines that fit a terminal where it is one."""
    print_text(_folded(text, stream=stdout()))


def print_json(document: Any) -> None:
    """Print data as one JSON document to stdout; NaN and infinities become null."""
    from genmod.options.text import json_data

    utf8 = (stdout().encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(json_data(document), indent=2, ensure_ascii=not utf8, allow_nan=False)
    print_text(LAYOUT_APART.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in found[0])


def print_file(path: object, *, seed: int | None = None, json: bool = False, **more: Any) -> None:
    """Print where a file was written, and its seed; with JSON one document with what else is known."""
    if seed is not None:
        note(f"seed {seed}")
    if json:
        print_json({"file": str(path), **({} if seed is None else {"seed": seed}), **more})
    else:
        print_text(str(path))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print data as a table to stdout: aligned on a terminal, elsewhere separated by tabs."""
    cells = [[in_one_line(str(cell)) for cell in row] for row in rows]
    if not _is_terminal(stdout()):
        for row in [list(columns), *cells]:
            print_text("\t".join(row))
        return
    from genmod.cli.columns import laid_out

    head, body = laid_out(columns, cells, width(stdout()))
    for line in [*_bold(head), *body]:
        stdout().write(f"{line}\n")


def print_rows(columns: Sequence[str], widest: Sequence[str]) -> Callable[[Sequence[object]], None]:
    """A function that prints one row of a table, like :func:`print_table`, before the next is known.

    Args:
        columns: names, printed above the first row.
        widest: cells by which the columns are set on a terminal.
    """
    head = ["\t".join(columns)]
    lines_of: Callable[[Sequence[str]], list[str]] = lambda cells: ["\t".join(cells)]  # noqa: E731
    if _is_terminal(stdout()):
        from genmod.cli.columns import one_by_one

        head, lines_of = one_by_one(columns, widest, width(stdout()))
        head = _bold(head)

    def show(row: Sequence[object]) -> None:
        for line in [*head, *lines_of([in_one_line(str(cell)) for cell in row])]:
            stdout().write(f"{line}\n")
        stdout().flush()
        head.clear()

    return show


def _bold(lines: Sequence[str]) -> list[str]:
    start, end = (f"\x1b[{_CODES['bold']}m", "\x1b[0m") if colored(stdout()) else ("", "")
    return [f"{start}{line}{end}" for line in lines]


def note(text: str) -> None:
    """Print what happened, or what to do next, to stderr; not with ``--quiet``."""
    if not settings.quiet:
        _to_stderr(_folded(text))


def detail(text: str) -> None:
    """Print to stderr with ``--verbose`` alone."""
    if settings.verbose:
        _to_stderr(_folded(text))


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
    answers = " [y/N] "
    sys.stderr.write(_folded(question, len(answers)) + answers)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def animated() -> bool:
    """Whether progress may redraw lines: on a terminal, whatever ``--color`` says.

    Cells of a notebook with ``!`` seem to be terminals, and keep what was drawn over.
    """
    return not settings.quiet and _is_terminal(sys.stderr) and "JPY_PARENT_PID" not in os.environ


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
    indent = len(label) + 2
    indented = _folded(text, indent).replace("\n", "\n" + " " * indent)
    start = f"\x1b[{_CODES['bold']};{_CODES[color]}m{label}:\x1b[0m" if colored(sys.stderr) else f"{label}:"
    return f"{start} {indented}"


def _folded(text: str, indent: int = 0, stream: TextIO | None = None) -> str:
    """The text with lines that fit the terminal, if the stream is one; commands to copy stay in one piece.

    It loses control characters, which names and values from files may have.
    """
    stream = stream or sys.stderr
    text = in_lines(text)
    if not _is_terminal(stream):
        return text
    from genmod.cli.columns import cells, wrapped

    room = max(_LEAST_ROOM, width(stream) - indent)
    return "\n".join(
        line if cells(line) <= room or _COMMAND.match(line) else "\n".join(_paragraph(line, room, wrapped))
        for line in text.split("\n")
    )


def _paragraph(line: str, room: int, wrapped: Callable[[str, int], list[str]]) -> list[str]:
    """A line in several, each with the indent of the first."""
    start = line[: len(line) - len(line.lstrip())]
    held = _COMMAND_WITHIN.sub(_held(room - len(start)), line.lstrip())
    return [start + part.replace(_HELD, " ") for part in wrapped(held, room - len(start))]


def _held(room: int) -> Callable[[re.Match[str]], str]:
    """Holds the words of a command together where they fit into a line."""
    return lambda found: found[0].replace(" ", _HELD) if len(found[0]) < room else found[0]


def _to_stderr(text: str) -> None:
    stdout().flush()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def width(stream: TextIO) -> int:
    """Columns of a terminal."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _is_terminal(stream: TextIO) -> bool:
    # While rich draws, a stream of its own is in the place of this one; before rich 15 it did not say what it is.
    stream = getattr(stream, "rich_proxied_file", stream)
    return stream.isatty() and os.environ.get("TERM") != "dumb"
