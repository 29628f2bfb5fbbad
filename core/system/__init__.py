"""Files, processes, devices and random streams."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.system.files import write_bytes
    from genmod.system.memory import bytes_per_row
    from genmod.system.noise import drawn_on_cpu
    from genmod.system.parallel import any_process, batch_mean, gather_batch, own_part
    from genmod.system.random import seed_for, seeded
    from genmod.system.tensors import checksum, read_any_tensors, read_tensors, write_tensors

__all__ = [
    "any_process",
    "batch_mean",
    "bytes_per_row",
    "checksum",
    "drawn_on_cpu",
    "gather_batch",
    "own_part",
    "read_any_tensors",
    "read_tensors",
    "seed_for",
    "seeded",
    "write_bytes",
    "write_tensors",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "files": "write_bytes",
        "memory": "bytes_per_row",
        "noise": "drawn_on_cpu",
        "parallel": "any_process batch_mean gather_batch own_part",
        "random": "seed_for seeded",
        "tensors": "checksum read_any_tensors read_tensors write_tensors",
    },
)
