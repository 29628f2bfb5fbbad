"""Tables in files: CSV, parquet, feather and JSON lines, read and written through pyarrow."""

import csv
import gzip
import io
import struct
import zlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from genmod.data.cells import need_tables, opened
from genmod.data.table_sizes import in_arrow, in_json_lines, in_parquet, text_bytes
from genmod.errors import DataError, UsageError
from genmod.system.files import write_bytes

__all__ = ["TABLE_FORMATS", "WRITTEN_FORMATS", "read_table", "write_table"]

TABLE_FORMATS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".feather", ".arrow", ".jsonl", ".ndjson")
WRITTEN_FORMATS = (".csv", ".tsv", ".parquet", ".feather", ".arrow", ".jsonl")
_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED = 2**16
_MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A", "<NA>")
_PERHAPS_MISSING = ("None", "none", "?", "-", ".")
"""Missing among numbers and dates, and texts among texts."""
_SHOWN = 5
_DAMAGED = (OSError, UnicodeDecodeError, csv.Error, EOFError, zlib.error, struct.error, ValueError)

_WHOLE = r"^[+-]?(0|[1-9][0-9]{0,17})$"
_DIGITS = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?[iI]nf(inity)?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?$"
)


def suffix_of(path: Path) -> str:
    """The ending of a name that says its format, ``.csv.gz`` as one; empty where it says none."""
    name = path.name.lower()
    return max((end for end in TABLE_FORMATS if name.endswith(end)), key=len, default="")


def read_table(
    path: Path | str, *, delimiter: str | None = None, texts: Collection[str] = (), max_bytes: int = 2**32
) -> Any:
    """A table in a file, as a ``pyarrow.Table``.

    Columns of CSV whose cells all are whole numbers, numbers, dates (2026-11-30) or times (2026-11-30 12:00:00) are these;
    numbers that begin with zeros, such as postal codes, and longer ones than 18 digits are texts. Empty cells, ``NA``,
    ``NaN`` and the like are missing.

    Args:
        path: of the file; its ending says the format.
        delimiter: of CSV; found unless given.
        texts: names of columns of CSV whose cells are texts, whatever they look like.
        max_bytes: how large the file may be, also when it is decompressed, with 8 bytes for a cell of parquet.

    Raises:
        DataError: the file is missing, too large, damaged, not in UTF-8, or without names of columns.
        UsageError: another format; narwhals or pyarrow is not installed.
    """
    need_tables()
    import pyarrow as pa

    path = Path(path)
    suffix = suffix_of(path)
    if not suffix:
        raise UsageError(f"{path} says no table by its ending", hint=f"known are {', '.join(TABLE_FORMATS)}")
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    if path.stat().st_size > max_bytes:
        raise DataError(
            f"{path} has {path.stat().st_size:,} bytes; at most {max_bytes:,} are read",
            hint="allow more: -s dataset.max_bytes=N",
        )
    try:
        return _read(path, suffix, delimiter, texts, max_bytes)
    except DataError:
        raise
    except (pa.ArrowException, *_DAMAGED) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="save it again, CSV as UTF-8") from error


def _read(path: Path, suffix: str, delimiter: str | None, texts: Collection[str], most: int) -> Any:
    import pyarrow as pa

    if suffix == ".parquet":
        from pyarrow import parquet

        _check_size(path, in_parquet(path, most), most)
        return parquet.read_table(path)
    if suffix in (".feather", ".arrow"):
        with pa.OSFile(str(path)) as source:
            whole = pa.ipc.open_file(source)  # refuses what only begins like a table
            _check_size(path, in_arrow(path), most)
            source.seek(8)
            # Read in the way in which it was measured: the end of the file could name other places.
            found = pa.ipc.open_stream(source).read_all()
            if found.schema != whole.schema:
                raise pa.ArrowInvalid("its end does not fit its beginning")
            _check_size(path, sum(map(text_bytes, found.columns)), most)
            return found
    if suffix in (".jsonl", ".ndjson"):
        from pyarrow import json

        content = path.read_bytes()
        _check_size(path, in_json_lines(content, most), most)
        return json.read_json(pa.BufferReader(content))
    from pyarrow import csv as arrow_csv

    content = _content(path, most)
    start = content[:_SNIFFED].decode("utf-8-sig", "ignore")
    delimiter = delimiter or ("\t" if suffix.startswith(".tsv") else _delimiter(start))
    names = next(csv.reader(io.StringIO(start), delimiter=delimiter), [])
    _check_names(path, names)
    read = arrow_csv.read_csv(
        pa.BufferReader(content),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    columns = [
        _typed(column.combine_chunks(), name in texts)
        for name, column in zip(names, read.columns, strict=True)
    ]
    return pa.table(columns, names=names)


def _content(path: Path, most: int) -> bytes:
    """The bytes of a text, decompressed."""
    pieces, size = [], 0
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        while size <= most and (piece := stream.read(2**20)):
            pieces.append(piece)
            size += len(piece)
    _check_size(path, size, most)
    return b"".join(pieces)


def _check_size(path: Path, size: int, most: int) -> None:
    """Refuse a small file that is large when it is opened."""
    if size > most:
        raise DataError(
            f"what is in {path} takes more than {most:,} bytes in memory",
            hint="if you trust the file: -s dataset.max_bytes=N",
        )


def _check_names(path: Path, names: list[str]) -> None:
    if not names or all(_is_number(name) for name in names):
        raise DataError(
            f"the first line of {path} has no names of columns",
            hint="write a line of names first: age,income,…",
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{path} has several columns named {', '.join(map(repr, twice[:_SHOWN]))}", hint="rename them"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _delimiter(start: str) -> str:
    """The one that cuts the first lines into equally many cells, and most of them."""
    lines = start.splitlines()[:20]
    lines = lines[:-1] if len(lines) > 1 and not start.endswith(("\n", "\r")) else lines
    best, most = ",", 1
    for delimiter in _DELIMITERS:
        widths = {len(row) for row in csv.reader(lines, delimiter=delimiter) if row}
        if len(widths) == 1 and min(widths) > most:
            best, most = delimiter, min(widths)
    return best


def _typed(array: Any, text: bool) -> Any:
    """A column of texts as what its cells are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def without(cells: Any, texts: tuple[str, ...]) -> Any:
        return pc.if_else(pc.is_in(cells, pa.array(texts)), pa.scalar(None, pa.string()), cells)

    def all_match(cells: Any, pattern: str) -> bool:
        return pc.all(pc.match_substring_regex(cells, pattern)).as_py() is True

    array = without(array, _MISSING)
    if text:
        return array
    cells = without(pc.utf8_trim_whitespace(array), (*_MISSING, *_PERHAPS_MISSING))
    bare = pc.utf8_ltrim(cells, "+")
    try:
        if all_match(cells, _WHOLE):
            return bare.cast(pa.int64())
        if all_match(cells, _DIGITS):
            return array
        if all_match(cells, _NUMBER):
            return bare.cast(pa.float64())
        if all_match(cells, _DATE):
            return cells.cast(pa.date32())
        if all_match(cells, _INSTANT):
            return _instants(cells)
    except pa.ArrowInvalid:
        return array
    return array


def _instants(cells: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = (
        pc.max(pc.utf8_length(pc.replace_substring_regex(cells, r"^[^.]*\.?|[^0-9.].*$", ""))).as_py() or 0
    )
    fraction = pc.any(pc.match_substring(cells, ".")).as_py()
    unit = "s" if not fraction else "ms" if digits <= 3 else "us" if digits <= 6 else "ns"
    zoned = pc.any(pc.match_substring_regex(cells, r"(Z|[+-][0-9]{2}:?[0-9]{2})$")).as_py()
    # A date alone ends like a zone, so only what follows the time counts.
    zoned = zoned and pc.any(pc.match_substring_regex(cells, r":[0-9.]+(Z|[+-][0-9]{2}:?[0-9]{2})$")).as_py()
    return cells.cast(pa.timestamp(unit, "UTC" if zoned else None))


def write_table(frame: Any, path: Path | str) -> None:
    """Write a DataFrame in one step; the ending of the name says the format.

    Args:
        frame: a DataFrame, or a ``pyarrow.Table``.
        path: ends in .csv, .tsv, .parquet, .feather, .arrow or .jsonl.

    Raises:
        UsageError: another ending.
        FileError: the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITTEN_FORMATS:
        raise UsageError(
            f"{path} says no table by its ending", hint=f"known are {', '.join(WRITTEN_FORMATS)}"
        )
    import pyarrow as pa

    table = frame if isinstance(frame, pa.Table) else opened(frame).to_arrow()
    write_bytes(path, _bytes(table, suffix))


def _bytes(table: Any, suffix: str) -> bytes:
    stream = io.BytesIO()
    if suffix == ".parquet":
        from pyarrow import parquet

        parquet.write_table(table, stream)
    elif suffix in (".feather", ".arrow"):
        from pyarrow import feather

        feather.write_feather(table, stream, compression="uncompressed")
    elif suffix == ".jsonl":
        import json

        columns = [_plain(column) for column in table.columns]
        lines = [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]
        return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()
    else:
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows(zip(*[_plain(column) for column in table.columns], strict=True))
        return text.getvalue().encode()
    return stream.getvalue()


def _plain(column: Any) -> list[Any]:
    """Cells as JSON and CSV have them: dates as texts, single precision by its shortest digits."""
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        return column.cast(pa.string()).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_float32(column.type):
        return [None if text is None else float(text) for text in column.cast(pa.string()).to_pylist()]
    return column.to_pylist()  # type: ignore[no-any-return]
