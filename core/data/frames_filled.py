"""DataFrames beside a user's own: with the missing cells filled in, and of numbers for each row."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from genmod.data.cells import cells_of, opened
from genmod.data.frames import to_frame
from genmod.data.frames_made import frame_like
from genmod.data.info import DataInfo

__all__ = ["filled_frame", "numbered", "numbers_frame"]


def filled_frame(info: DataInfo, frame: Any, x: Tensor) -> Any:
    """A DataFrame whose missing cells are those of ``x (N, modelled columns)``, or the constant; all others as they were.

    Args:
        info: of the model.
        frame: a DataFrame of pandas, polars or pyarrow.
        x: examples as a model sees them, without NaN.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = opened(frame)
    given, made = table.to_arrow(), to_frame(info, x, like="pyarrow", clip=True)
    # Not an index of pandas, which Arrow takes for a column.
    columns = {name: given.column(name) for name in table.columns}
    for column in info.columns:
        if column.name not in columns or not (column.modelled or column.kind == "constant"):
            continue
        seen = cells_of(table, column.name).seen
        if not seen.all():
            own, new = _plain(columns[column.name]), _plain(made.column(column.name))
            kind = new.type if pa.types.is_null(own.type) else own.type
            columns[column.name] = pc.if_else(pa.array(seen), own.cast(kind), new.cast(kind))
    return frame_like(columns, frame)


def numbers_frame(columns: Mapping[str, NDArray[Any]], frame: Any) -> Any:
    """A DataFrame with these columns, of the package of another and with its index.

    Example:
        >>> import numpy, pyarrow
        >>> numbers_frame({"z0": numpy.array([1.0, 2.0])}, pyarrow.table({"a": ["x", "y"]})).column_names
        ['z0']
    """
    import pyarrow as pa

    return frame_like({name: pa.array(column) for name, column in columns.items()}, frame)


def numbered(tables: Sequence[Any]) -> Any:
    """Several draws of an Arrow table one after the other, with their number in a column ``draw`` in front.

    Example:
        >>> import pyarrow
        >>> numbered([pyarrow.table({"a": [1]}), pyarrow.table({"a": [2]})]).to_pydict()
        {'draw': [0, 1], 'a': [1, 2]}
    """
    import pyarrow as pa

    name = "draw"
    while name in tables[0].column_names:
        name += "_"
    counted = [table.add_column(0, name, pa.array([k] * len(table))) for k, table in enumerate(tables)]
    return pa.concat_tables(counted, promote_options="permissive")


def _plain(column: Any) -> Any:
    """One array, with its values in place of codes of them."""
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
