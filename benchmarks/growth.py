"""How seconds and memory grow with the work: rows of a table, latents, pixels, processes.

Each point is a process of its own, which trains for one epoch and scores examples. Printed are tables with the slope of each
step on two logarithmic axes, by which 1 is growth in proportion; ``--picture`` draws the curves. Run it with

    python benchmarks/growth.py --picture growth.png
    python benchmarks/growth.py --only latents pixels

Seconds are those of the loop, without what starting takes. Memory is the peak of the process over what it held when
torch and genmod were imported, the data included.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import seconds

POINTS = {
    "rows": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "latents": (2, 8, 32, 128, 512, 2048),
    "pixels": (8, 16, 32, 64, 128, 256, 512),
    "processes": (1, 2, 4),
}
WHAT = {
    "rows": "a table of 20 numbers, MLP of 64 units, 2 latents, one epoch in batches of 1,000",
    "latents": "12,800 pictures of 8×8, MLP of 256 units, one epoch in batches of 128",
    "pixels": "256 colour pictures of so many pixels a side, `conv` of 16 and 32 channels, one epoch in batches of 16",
    "processes": "200 steps of 128 rows in all, a table of 20 numbers, MLP of 64 units; most memory of one process",
}


def memory(name):
    """MiB, from the status of this process."""
    status = Path("/proc/self/status")
    return (
        int(re.search(rf"{name}:\s*(\d+) kB", status.read_text())[1]) / 1024 if status.exists() else math.nan
    )


def one(what, size):
    """Seconds of an epoch, seconds of an evaluation, and MiB, of one point."""
    import torch

    import genmod

    torch.manual_seed(0)
    model, training = {"encoder": {"name": "mlp", "hidden": [64]}, "latent": 2}, {"batch_size": 1000}
    before = memory("VmRSS")
    if what == "rows":
        data = torch.randn(size, 20)
    elif what == "latents":
        data, model, training = torch.rand(16_000, 8, 8), {"encoder": {"name": "mlp", "hidden": [256]}}, {}
        model["latent"] = size
    else:
        data = torch.randint(0, 256, (320, 3, size, size), dtype=torch.uint8)
        model, training = (
            {"encoder": {"name": "conv", "channels": [16, 32]}, "latent": 16},
            {"batch_size": 16},
        )
    built = genmod.build(data=data, **model)
    result = genmod.train(built, data, epochs=1, device="cpu", film_every=0, **training)
    began = time.perf_counter()
    genmod.evaluate(built, data, "elbo")
    scored = time.perf_counter() - began
    return {"training, s": result.seconds, "evaluation, s": scored, "MiB": memory("VmHWM") - before}


def of_processes(size):
    import torch

    import genmod

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        rows = Path(place) / "rows.csv"
        table = torch.randn(12_800, 20, generator=torch.Generator().manual_seed(0))
        lines = [",".join(f"{value:.4f}" for value in row) for row in table.tolist()]
        rows.write_text("\n".join([",".join(f"c{i}" for i in range(20)), *lines]))
        data = {"name": "table", "path": str(rows)}
        genmod.save(genmod.build(data=data, encoder={"name": "mlp", "hidden": [64]}, latent=2), folder)
        few, many = (seconds(folder, size, 128 // size, steps, cores=size) for steps in (40, 240))
    import resource

    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"training, s": many - few, "MiB": most}


def measured(what, size):
    command = [sys.executable, __file__, "--one", what, str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def slope(before, after, sizes):
    return math.log(after / before) / math.log(sizes[1] / sizes[0]) if min(before, after) > 0 else math.nan


def table(what, sizes, found):
    heads = " | ".join(f"{key} | slope" for key in found[0])
    lines = [
        f"### {what}",
        "",
        f"{WHAT[what]}.",
        "",
        f"| {what} | {heads} |",
        "|---" * (1 + 2 * len(found[0])) + "|",
    ]
    for at, (size, point) in enumerate(zip(sizes, found, strict=True)):
        cells = [f"{size}²" if what == "pixels" else f"{size:,}"]
        for key, value in point.items():
            grown = slope(found[at - 1][key], value, sizes[at - 1 : at + 1]) if at else math.nan
            cells += [f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", f"{grown:.2f}" if at else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(every, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    keys = ("training, s", "evaluation, s", "MiB")
    figure, axes = pyplot.subplots(len(keys), len(every), figsize=(3.2 * len(every), 7.5), squeeze=False)
    for column, (what, (sizes, found)) in enumerate(every.items()):
        for row, key in enumerate(keys):
            axis, values = axes[row, column], [point[key] for point in found if key in point]
            if not values:
                axis.axis("off")
                continue
            axis.loglog(sizes, values, "o-")
            start = values[-1] / sizes[-1] ** (2 if what == "pixels" else 1)
            power = 2 if what == "pixels" else 1
            axis.loglog(
                sizes, [start * size**power for size in sizes], ":", color="grey", label="in proportion"
            )
            axis.set(xlabel="pixels a side" if what == "pixels" else what, ylabel=key)
            axis.set_ylim(bottom=min(values) / 2)
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=POINTS, default=list(POINTS))
    parser.add_argument("--most", type=int, help="leave out larger points")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, size = options.one[0], int(options.one[1])
        print(json.dumps(of_processes(size) if what == "processes" else one(what, size)))
        return
    every = {}
    for what in options.only:
        sizes = [size for size in POINTS[what] if options.most is None or size <= options.most]
        every[what] = sizes, [measured(what, size) for size in sizes]
        print(table(what, *every[what]), flush=True)
    if options.picture:
        draw(every, options.picture)


if __name__ == "__main__":
    main()
