"""Memory of each process of a model of 100 million parameters, as it is planned and as it is: ``python benchmarks/large.py``.

Single cases by strategy, processes and parts of a batch: ``python benchmarks/large.py fsdp,4,1``. Prints a table in Markdown.
Measured is the peak of resident memory in the steps of a run, less what the process had before the model was made. A peak is
that of the process, so what Python and torch free and keep counts too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist

import genmod
from genmod.training.estimate import estimate
from genmod.training.settings import TrainSettings

WIDE = {"encoder": {"name": "mlp", "hidden": [4096, 4096, 4096, 4096]}, "decoder": "bernoulli"}
# Two validations within the steps: from the first one on there are best weights.
HOW = {"batch_size": 32, "steps": 4, "device": "cpu", "film_every": 0, "log_every": 4}
EXAMPLES, MIB = 80, 2**20
CASES = [
    *(("ddp", 1, 1), ("ddp", 1, 4)),
    *(("fsdp", 2, 1), ("fsdp", 4, 1), ("fsdp", 4, 4)),
    *(("ddp", 2, 1), ("ddp", 4, 1), ("ddp", 4, 4)),
]
"""Strategy, processes, and parts of a batch."""


def examples() -> torch.Tensor:
    return torch.rand(EXAMPLES, 1, 8, 8, generator=torch.Generator().manual_seed(0)).round()


def resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def work(rank: int, size: int, place: Path, strategy: str, parts: int) -> None:
    torch.set_num_threads(1)
    if size > 1:
        store = dist.FileStore(str(place / "store"), size)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    x = examples()
    model = genmod.build(data=x, **WIDE)
    whole = sum(each.nbytes for each in model.parameters())
    before = resident("VmRSS") - whole

    begun = False

    def start(event: object) -> None:
        nonlocal begun
        if not begun:
            # The whole weights, with which each process begins, are gone now.
            Path("/proc/self/clear_refs").write_text("5")
        begun = True

    more = {"strategy": strategy, "accumulate": parts, "on_event": start if rank == 0 else None}
    genmod.train(model, x, **HOW, **more)
    (place / f"{rank}.json").write_text(json.dumps(resident("VmHWM") - before))
    if size > 1:
        dist.barrier()
        dist.destroy_process_group()


def measured(strategy: str, size: int, parts: int) -> int:
    """The most bytes that one of the processes took."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        command = [sys.executable, __file__, "work"]
        workers = [
            subprocess.Popen([*command, str(rank), str(size), folder, strategy, str(parts)], env=environment)
            for rank in range(size)
        ]
        if any([worker.wait() for worker in workers]):
            sys.exit("a process failed")
        return max(json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(size))


def main(cases: list[tuple[str, int, int]]) -> None:
    spec, data = genmod.compose(components=WIDE), genmod.as_dataset(examples())
    names: list[str] = []
    for strategy, size, parts in cases:
        settings = TrainSettings(**HOW, strategy=strategy, accumulate=parts)
        memory = estimate(spec, data.info, data, settings, size).memory
        if not names:
            more = ("gradients to be sent", "gathered weights", "gathered gradients")
            names = list(dict.fromkeys((*memory, *more)))
            print(f"| strategy | processes | parts | {' | '.join(names)} | planned | measured | ratio |")
            print("|---" * (len(names) + 6) + "|")
        planned, found = sum(memory.values()), measured(strategy, size, parts)
        each = " | ".join(f"{memory.get(name, 0) / MIB:,.0f}" for name in names)
        row = f"| {strategy} | {size} | {parts} | {each} |"
        print(f"{row} {planned / MIB:,.0f} | {found / MIB:,.0f} | {found / planned:.2f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        rank, size, folder, strategy, parts = sys.argv[2:]
        work(int(rank), int(size), Path(folder), strategy, int(parts))
    else:
        parser = argparse.ArgumentParser(
            description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("cases", nargs="*", help="strategy,processes,parts; all cases unless given")
        given = [each.split(",") for each in parser.parse_args().cases]
        main([(strategy, int(size), int(parts)) for strategy, size, parts in given] or CASES)
