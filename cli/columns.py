"""A table in the width of a terminal: numbers and names stay whole, texts go on in further lines."""

import re
from collections.abc import Callable, Sequence
from unicodedata import east_asian_width

__all__ = ["cells", "cut", "laid_out", "one_by_one", "wrapped"]

_GAP = 2
_SPACES = re.compile(r"(?<=\s)(?=\S)")
_BREAKS = re.compile(_SPACES.pattern + r"|(?<=,)(?=\S)(?!\d{3}(?!\d))|(?<=[/|])(?=[^\s\d])|(?<==)(?=\S)")
"""Where a cell may go on in a further line: after a space, and after what separates names, but within no number."""
_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?%?|-|nan|[-+]?inf")
_NARROW_TEXT = 16


def laid_out(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The lines of a table, the first block being its head; a list of names and values where it does not fit.

    Columns without any value are left out. Numbers stand at the right of their column.

    Args:
        columns: names.
        rows: cells.
        width: of the terminal, in letters.

    Example:
        >>> [head, body] = laid_out(["name", "value"], [["elbo", "-23.1"], ["rate", "5.9"]], 80)
        >>> head, body
        (['name  value'], ['elbo  -23.1', 'rate    5.9'])
    """
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)] or list(range(len(columns)))
    table = [[line[i] for i in used] for line in [list(columns), *rows]]
    widths = _widths(table, width)
    if widths is None:
        return [[], _listed(table, width)]
    numbers = [bool(table[1:]) and all(_is_number(row[i]) for row in table[1:]) for i in range(len(used))]
    blocks = [_block(row, widths, numbers) for row in table]
    return [blocks[0], [line for block in blocks[1:] for line in block]]


def one_by_one(
    columns: Sequence[str], widest: Sequence[str], width: int
) -> tuple[list[str], Callable[[Sequence[str]], list[str]]]:
    """The head of a table, and a function that gives the lines of a row, for rows that are not known yet.

    Args:
        columns: names.
        widest: cells by which the columns are set; longer ones go on in further lines.
        width: of the terminal, in letters.

    Example:
        >>> head, lines_of = one_by_one(["fault", "test"], ["a lost row", "test_rows"], 80)
        >>> head, lines_of(["a lost example", "-"])
        (['fault       test'], ['a lost      -', 'example'])
    """
    widths = _widths([columns, widest], width)
    if widths is None:
        return [], lambda row: [*_listed([columns, row], width), ""]
    texts = [False] * len(widths)
    return _block(columns, widths, texts), lambda row: _block(row, widths, texts)


def wrapped(text: str, width: int, breaks: re.Pattern[str] = _SPACES, *, cut: bool = False) -> list[str]:
    """The text in lines of at most that width, broken at spaces.

    Args:
        text: one line.
        width: of the lines, in letters.
        breaks: places where a line may end.
        cut: words that are longer into pieces, rather than leave them whole for the terminal to break.

    Example:
        >>> wrapped("one of silu, relu or gelu", 12)
        ['one of silu,', 'relu or gelu']
    """
    lines = [""]
    for word in breaks.split(text):
        if lines[-1] and cells(lines[-1] + word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
        while cut and cells(lines[-1].rstrip()) > width:
            end = _letters(lines[-1], width)
            lines[-1:] = [lines[-1][:end], lines[-1][end:]]
    return [line.rstrip() for line in lines]


def cells(text: str) -> int:
    """Columns of the terminal that a text takes; letters of East Asia take two.

    Example:
        >>> cells("loss"), cells("模型")
        (4, 4)
    """
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def cut(text: str, width: int) -> str:
    """The beginning of a text, with a dot for what does not fit into that width; empty where there is hardly any room.

    Example:
        >>> cut("validation", 6), cut("模型", 3), cut("loss", 1)
        ('valid…', '模…', '')
    """
    if cells(text) <= width:
        return text
    return f"{text[: _letters(text, width - 1)]}…" if width > 2 else ""


def _widths(table: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """The width of each column, or None where something that stays whole would be cut."""
    natural = [max(map(cells, column)) for column in zip(*table, strict=True)]
    room = width - _GAP * (len(natural) - 1)
    if sum(natural) <= room:
        return natural
    words = [max(map(_longest_word, column)) for column in zip(*table, strict=True)]
    texts = [max((cells(row[i]) for row in table[1:]), default=0) for i in range(len(words))]
    # Texts that are read are broken into lines of some words, if there is room for that.
    roomy = [max(word, min(text, _NARROW_TEXT)) for word, text in zip(words, texts, strict=True)]
    least = roomy if sum(roomy) <= room else words
    if sum(least) > room:
        return None
    widths, spare = list(least), room - sum(least)
    while spare and widths != natural:
        wanting = [i for i in range(len(widths)) if widths[i] < natural[i]]
        for i in sorted(wanting, key=lambda i: widths[i])[:spare]:
            widths[i] += 1
            spare -= 1
    return widths


def _block(row: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> list[str]:
    parts = [wrapped(cell, width, _BREAKS, cut=True) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for i in range(max(map(len, parts))):
        texts = []
        for cell, width, right in zip(parts, widths, numbers, strict=True):
            text = cell[i] if i < len(cell) else ""
            blank = " " * (width - cells(text))
            texts.append(blank + text if right else text + blank)
        lines.append((" " * _GAP).join(texts).rstrip())
    return lines


def _listed(table: Sequence[Sequence[str]], width: int) -> list[str]:
    """Each row as lines of a column's name and its value, with an empty line between rows."""
    names, *rows = table
    label = min(max(map(cells, names)), max(*map(_longest_word, names), width // 3))
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        for name, cell in zip(names, row, strict=True):
            if cell:
                texts = wrapped(cell, max(1, width - label - _GAP), _BREAKS, cut=True)
                heads = wrapped(name, label, cut=True)
                for i in range(max(len(texts), len(heads))):
                    head = heads[i] if i < len(heads) else ""
                    text = texts[i] if i < len(texts) else ""
                    lines.append(f"{head}{' ' * (label - cells(head) + _GAP)}{text}".rstrip())
    return lines


def _is_number(cell: str) -> bool:
    return not cell or bool(_NUMBER.fullmatch(cell))


def _longest_word(cell: str) -> int:
    if _is_number(cell):
        return cells(cell)
    return max((cells(word.rstrip()) for word in _BREAKS.split(cell)), default=0)


def _letters(text: str, width: int) -> int:
    """How many letters fit into a width; at least one."""
    taken = 0
    for place, letter in enumerate(text):
        taken += cells(letter)
        if taken > width:
            return max(1, place)
    return len(text)
