"""Files, processes, devices and random streams."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.system.data_root import offline
    from genmod.system.files import parse_json, read_text, write_bytes, write_json
    from genmod.system.kept import kept_folder, room_for
    from genmod.system.memory import all_rows_at_once, are_all_rows_at_once, bytes_per_row, in_pieces
    from genmod.system.noise import drawn_on_cpu
    from genmod.system.parallel import any_process, batch_mean, gather_batch, own_part
    from genmod.system.random import seed_for, seeded
    from genmod.system.row_file import RowFile
    from genmod.system.tensors import (
        checksum,
        read_any_tensors,
        read_float_tensors,
        read_tensors,
        shapes_in,
        write_tensors,
    )

__all__ = [
    "RowFile",
    "all_rows_at_once",
    "any_process",
    "are_all_rows_at_once",
    "batch_mean",
    "bytes_per_row",
    "checksum",
    "drawn_on_cpu",
    "gather_batch",
    "in_pieces",
    "is_mine",
    "kept_folder",
    "offline",
    "own_part",
    "own_path",
    "parse_json",
    "read_any_tensors",
    "read_float_tensors",
    "read_tensors",
    "read_text",
    "room_for",
    "seed_for",
    "seeded",
    "shapes_in",
    "write_bytes",
    "write_json",
    "write_tensors",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "data_root": "offline",
        "files": "own_path parse_json read_text write_bytes write_json",
        "kept": "kept_folder room_for",
        "memory": "all_rows_at_once are_all_rows_at_once bytes_per_row in_pieces",
        "noise": "drawn_on_cpu",
        "parallel": "any_process batch_mean gather_batch own_part",
        "private": "is_mine",
        "random": "seed_for seeded",
        "row_file": "RowFile",
        "tensors": "checksum read_any_tensors read_float_tensors read_tensors shapes_in write_tensors",
    },
)
