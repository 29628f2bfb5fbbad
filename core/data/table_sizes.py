"""How much memory a table in a file takes, found before it is read: a small file can be large when it is opened."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["in_arrow", "in_json_lines", "in_parquet", "text_bytes"]

_CELL = 8
_ROWS_AT_ONCE = 4096
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+(:?)', re.DOTALL)


def in_parquet(path: Path, most: int) -> int:
    """Bytes of a table in parquet; what is beyond ``most`` is not counted.

    Cells have 8 bytes each, or those of their type. Texts are counted with each time that they stand in a cell: the file has
    a text once, however often that is.
    """
    from pyarrow import parquet

    about = parquet.read_metadata(path)
    groups = (about.row_group(i) for i in range(about.num_row_groups))
    cells = sum(group.column(i).num_values for group in groups for i in range(group.num_columns))
    fields = list(about.schema.to_arrow_schema())
    widths = [max(_CELL, _width(field.type)) for field in fields]
    size: int = max(about.num_rows * sum(widths), _CELL * cells)
    texts = [field.name for field in fields if _is_text(field.type)]
    if size > most or not texts:
        return size
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=texts, use_threads=False):
            size += sum(map(text_bytes, batch.columns))
            if size > most:
                break
    return size


def text_bytes(column: Any) -> int:
    """Bytes of the texts of a column, each counted with each time that it stands in a cell; 0 of other columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    size = 0
    for chunk in getattr(column, "chunks", [column]):
        if not _is_text(chunk.type):
            continue
        of_each = pa.types.is_dictionary(chunk.type)
        lengths = pc.binary_length(chunk.dictionary if of_each else chunk).cast(pa.int64())
        size += pc.sum(lengths.take(chunk.indices) if of_each else lengths).as_py() or 0
    return size


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    known = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(is_kind(kind) for is_kind in known)


def _width(kind: Any) -> int:
    try:
        return int(kind.bit_width) // 8
    except ValueError:  # of texts and lists
        return 0


def in_arrow(path: Path) -> int:
    """Bytes of the buffers of a table in the file format of Arrow, once they are decompressed.

    Raises:
        ValueError: the file is damaged; also ``struct.error``, and the errors of Arrow.
    """
    import pyarrow as pa

    size = 0
    with pa.memory_map(str(path)) as source:
        source.seek(8)  # the file begins with a name, and then is a stream
        for message in _messages(pa, source):
            if message.type in ("record batch", "dictionary"):
                size += sum(_buffers(message.metadata.to_pybytes(), message.body, message.type))
    return size


def _messages(pa: Any, source: Any) -> Iterator[Any]:
    reader = pa.ipc.MessageReader.open_stream(source)
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def _buffers(about: bytes, body: Any, kind: str) -> Iterator[int]:
    """Bytes of each buffer of a message, as its header (a flatbuffer of Arrow's ``Message``) says."""
    batch = _follow(about, _field(about, _follow(about, 0), 2))
    if kind == "dictionary":
        batch = _follow(about, _field(about, batch, 1))
    compressed = _field(about, batch, 3) != 0
    place = _field(about, batch, 2)
    vector = _follow(about, place) if place else 0
    for i in range(struct.unpack_from("<I", about, vector)[0] if vector else 0):
        offset, length = struct.unpack_from("<qq", about, vector + 4 + 16 * i)
        if compressed and length:
            if not 0 <= offset <= body.size - 8:
                raise ValueError("a buffer outside of its message")
            (whole,) = struct.unpack("<q", body.slice(offset, 8).to_pybytes())
            yield length if whole == -1 else whole
        else:
            yield length


def _field(about: bytes, table: int, index: int) -> int:
    """Where a field of a table is; 0 where it has none."""
    start = table - struct.unpack_from("<i", about, table)[0]
    if start < 0 or 6 + 2 * index > struct.unpack_from("<H", about, start)[0]:
        return 0
    offset: int = struct.unpack_from("<H", about, start + 4 + 2 * index)[0]
    return table + offset if offset else 0


def _follow(about: bytes, place: int) -> int:
    return int(place + struct.unpack_from("<I", about, place)[0])


def in_json_lines(content: bytes, most: int) -> int:
    """Bytes of a table of JSON lines, where each name is a column of all rows, or the file's where these are more.

    Args:
        content: of the file.
        most: names are counted only where there could be more cells than this has room for.
    """
    rows = content.count(b"\n") + 1
    size = max(len(content), _CELL * rows)
    if _CELL * rows * content.count(b":") <= most:
        return size
    names = set()
    for found in _TOKEN.finditer(content):
        if found[2]:
            names.add(found[1])
            if _CELL * rows * len(names) > most:
                break
    return max(size, _CELL * rows * len(names))
