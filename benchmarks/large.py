"""Memory of each process of a model of 100 million parameters, as it is planned and as it is: ``python benchmarks/large.py``.

Prints a table in Markdown. Measured is the peak of resident memory in the steps of a run, less what the process had before the
model was made. A peak is that of the process, so what Python and torch free and keep counts too.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist

import genmod
from genmod.model.assembly import open_dataset
from genmod.training.estimate import estimate
from genmod.training.settings import TrainSettings

WIDE = {"encoder": {"name": "mlp", "hidden": [4096, 4096, 4096, 4096]}, "decoder": "bernoulli"}
HOW = {"batch_size": 16, "steps": 4, "device": "cpu", "film_every": 0, "log_every": 4}
MIB = 2**20


def resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def work(rank: int, size: int, place: Path, strategy: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", store=dist.FileStore(str(place / "store"), size), rank=rank, world_size=size
    )
    model = genmod.build(**WIDE)
    whole = sum(each.nbytes for each in model.parameters())
    before = resident("VmRSS") - whole

    def start(event: object) -> None:
        # The whole weights, with which each process begins, are gone now.
        Path("/proc/self/clear_refs").write_text("5")

    genmod.train(model, strategy=strategy, on_event=start if rank == 0 else None, **HOW)
    (place / f"{rank}.json").write_text(json.dumps(resident("VmHWM") - before))
    dist.barrier()
    dist.destroy_process_group()


def main() -> None:
    model = genmod.build(encoder="mlp")
    spec = model.spec
    spec = genmod.compose(components=WIDE)
    print("| strategy | processes | planned, MiB | measured, MiB | measured / planned |")
    print("|---|---|---|---|---|")
    for strategy in ("fsdp", "ddp"):
        for size in (2, 4):
            settings = TrainSettings(**HOW, strategy=strategy)
            planned = sum(estimate(spec, model.data, open_dataset(spec), settings, size).memory.values())
            with tempfile.TemporaryDirectory() as folder:
                environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
                command = [sys.executable, __file__]
                workers = [
                    subprocess.Popen([*command, str(rank), str(size), folder, strategy], env=environment)
                    for rank in range(size)
                ]
                if any([worker.wait() for worker in workers]):
                    sys.exit("a process failed")
                found = [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(size)]
            worst = max(found)
            print(
                f"| {strategy} | {size} | {planned / MIB:,.0f} | {worst / MIB:,.0f} | {worst / planned:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        main()
