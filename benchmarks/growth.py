"""How seconds and memory grow with the work: rows of a table, latents, pixels, processes; written as a page with curves.

    python benchmarks/growth.py --write benchmarks
    python benchmarks/growth.py --only latents pixels --most 128 --rounds 1

Each point is a process of its own, which trains a small model for a few steps first, so that what is done once is not
counted, and then for one epoch, and scores the test split. Of several rounds the least seconds and the least memory count.
With each step to more work there is its slope on two logarithmic axes, by which 1 is growth in proportion; one of more than
1.1 is marked. All of it is meant to take about ten minutes on 2 cores that do nothing else, and 4 GiB. ``--write FOLDER``
leaves GROWTH.md and growth.png there, after each of the parts.
"""

import argparse
import json
import math
import os
import platform
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
    "rows": "A table of 20 numbers, MLP of 64 units, 2 latents, one epoch in batches of 1,000.",
    "latents": "16,000 pictures of 8×8, MLP of 256 units, one epoch in batches of 128.",
    "pixels": "320 colour pictures of so many pixels a side, `conv` of 16 and 32 channels, one epoch in batches of 16; "
    "slopes are by the number of pixels.",
    "processes": "200 steps of `genmod train --processes`, of 1,024 rows of 20 numbers in each process, MLP of 256 units, "
    "one thread each; MiB are the most of one process, with torch and genmod in them.",
}
UNITS = ("training, s", "evaluation, s", "MiB")
MOST_SLOPE = 1.1
LONG = 90
"""Seconds of a point from which on one round is enough."""


def memory(name):
    """MiB, from the status of this process."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    return int(re.search(rf"{name}:\s*(\d+) kB", status.read_text())[1]) / 1024


def epoch(data, model, training):
    """Seconds of an epoch and of an evaluation."""
    import genmod

    built = genmod.build(data=data, **model)
    result = genmod.train(built, data, epochs=1, device="cpu", film_every=0, **training)
    began = time.perf_counter()
    genmod.evaluate(built, data, "elbo")
    return {"training, s": result.seconds, "evaluation, s": time.perf_counter() - began}


def one(what, size):
    """Seconds of an epoch, seconds of an evaluation, and MiB, of one point."""
    import torch

    torch.manual_seed(0)
    model, training = {"encoder": {"name": "mlp", "hidden": [64]}, "latent": 2}, {"batch_size": 1000}

    def table(rows):
        return torch.randn(rows, 20)

    def digits(_):
        return torch.rand(16_000, 8, 8)

    def pictures(side):
        return torch.randint(0, 256, (320, 3, side, side), dtype=torch.uint8)

    make, few = table, 1_000
    if what == "latents":
        make, few = digits, 0
        model, training = {"encoder": {"name": "mlp", "hidden": [256]}, "latent": size}, {}
    elif what == "pixels":
        make, few = pictures, 8
        model = {"encoder": {"name": "conv", "channels": [16, 32]}, "latent": 16}
        training = {"batch_size": 16}
    epoch(make(few)[:640], {**model, "latent": 2}, training)
    before = memory("VmRSS")
    found = epoch(make(size), model, training)
    return {**found, "MiB": memory("VmHWM") - before}


def of_processes(size):
    """Seconds of 200 steps in some processes, their start taken away, and MiB of the largest."""
    import resource

    import torch

    import genmod

    with tempfile.TemporaryDirectory() as place:
        folder, rows = Path(place) / "model", Path(place) / "rows.csv"
        numbers = torch.randn(12_800, 20, generator=torch.Generator().manual_seed(0))
        lines = [",".join(f"{value:.4f}" for value in row) for row in numbers.tolist()]
        rows.write_text("\n".join([",".join(f"c{i}" for i in range(20)), *lines]))
        data = {"name": "table", "path": str(rows)}
        genmod.save(genmod.build(data=data, encoder={"name": "mlp", "hidden": [256]}, latent=2), folder)
        few, many = (seconds(folder, size, 1024, steps, cores=size) for steps in (40, 240))
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"training, s": many - few, "MiB": most}


def measured(what, size, rounds):
    """The least of each number over some rounds; None where a process fails, and why is printed."""
    command = [sys.executable, __file__, "--one", what, str(size)]
    found, began = [], time.perf_counter()
    while len(found) < rounds and (not found or time.perf_counter() - began < LONG):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{what} {size}: failed\n{done.stderr[-2000:]}", file=sys.stderr)
            return None
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{what} {size}: {found[-1]}", file=sys.stderr, flush=True)
    return {key: min(each[key] for each in found) for key in found[0]}


def work(what, size):
    """What there is at a point, to which seconds and memory are compared."""
    return size**2 if what == "pixels" else size


def slope(what, key, points, at):
    """Of the step to a point from the one before it; NaN where there is none."""
    (size, found), (small, before) = points[at], points[at - 1]
    if not at or found is None or before is None or min(found[key], before[key]) <= 0:
        return math.nan
    return math.log(found[key] / before[key]) / math.log(work(what, size) / work(what, small))


def steep(what, points):
    """The steps in which something grows faster than its data, a text for each."""
    found = []
    for at in range(1, len(points)):
        for key in points[at][1] or {}:
            if slope(what, key, points, at) > MOST_SLOPE:
                by = f"{slope(what, key, points, at):.2f}"
                found.append(f"{what}, {points[at - 1][0]:,} to {points[at][0]:,}: {key}, slope {by}")
    return found


def table(what, points):
    keys = [key for key in UNITS if any(found and key in found for _, found in points)]
    head = " | ".join(f"{key} | slope" for key in keys)
    lines = [f"| {what} | {head} |", "|---" * (1 + 2 * len(keys)) + "|"]
    for at, (size, found) in enumerate(points):
        cells = [f"{size}²" if what == "pixels" else f"{size:,}"]
        for key in keys:
            value, grown = (found or {}).get(key, math.nan), math.nan
            if found is not None:
                grown = slope(what, key, points, at)
            shown = "" if math.isnan(grown) else f"**{grown:.2f}**" if grown > MOST_SLOPE else f"{grown:.2f}"
            cells += [
                "failed" if math.isnan(value) else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}",
                shown,
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(every, rounds):
    """GROWTH.md, from all points that there are."""
    import torch

    faster = [text for what, points in every.items() for text in steep(what, points)]
    said = "\n".join(f"- {text}" for text in faster) if faster else "None does."
    parts = [
        "# Cost as work grows",
        "Written by `python benchmarks/growth.py --write benchmarks`: "
        f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__.partition('+')[0]}, the least of "
        f"{rounds} rounds. Each point is a process of its own that has trained before. Training is one epoch, evaluation "
        "is metric `elbo` of the test split, MiB are the peak over what the process held before it made the data, the data "
        "included. A slope is that of a step on two logarithmic axes, from the point before: 1 is growth in proportion, which "
        "dotted lines have.",
        "![Seconds and memory by rows, latents, pixels and processes](growth.png)",
        "## What grows faster than its data",
        f"A slope of more than {MOST_SLOPE}:\n\n{said}",
    ]
    for what, points in every.items():
        parts += [f"## {what.capitalize()}", WHAT[what], table(what, points)]
    return "\n\n".join(parts) + "\n"


def draw(every, path):
    """Curves of each part, a column, with a dotted line in proportion to the work, through the last point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    size = (2.9 * len(every), 6.6)
    figure, axes = pyplot.subplots(len(UNITS), len(every), figsize=size, squeeze=False, sharex="col")
    for column, (what, points) in enumerate(every.items()):
        for row, key in enumerate(UNITS):
            axis = axes[row, column]
            there = [(size, found[key]) for size, found in points if found and found.get(key, 0) > 0]
            if not there:
                axis.axis("off")
                axes[row - 1, column].tick_params(labelbottom=True)
                continue
            sizes, values = zip(*there, strict=True)
            per = values[-1] / work(what, sizes[-1])
            straight = [per * work(what, size) for size in sizes]
            axis.loglog(sizes, straight, ":", color="0.5", label="in proportion")
            axis.loglog(sizes, values, "o-", markersize=4)
            axis.set_ylim(min(values) / 2, max(values) * 2)
            axis.grid(alpha=0.25)
            if max(values) < 30 * min(values):
                axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.yaxis.set_minor_formatter(NullFormatter())
            if row == 0:
                axis.set_title("pixels a side" if what == "pixels" else what, fontsize=11)
            if what in ("latents", "pixels", "processes"):
                axis.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=8)
                axis.minorticks_off()
            if column == 0:
                axis.set_ylabel(key)
    axes[0, 0].legend(fontsize=8, loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=POINTS, default=list(POINTS))
    parser.add_argument("--most", type=int, help="leave out larger points")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="for GROWTH.md and growth.png")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, size = options.one[0], int(options.one[1])
        print(json.dumps(of_processes(size) if what == "processes" else one(what, size)))
        return
    every = {}
    for what in options.only:
        sizes = [size for size in POINTS[what] if options.most is None or size <= options.most]
        every[what] = [(size, measured(what, size, options.rounds)) for size in sizes]
        print(f"### {what}\n\n{WHAT[what]}\n\n{table(what, every[what])}\n", flush=True)
        if options.write:
            draw(every, options.write / "growth.png")
            (options.write / "GROWTH.md").write_text(page(every, options.rounds))
    for text in (text for what, points in every.items() for text in steep(what, points)):
        print(f"faster than its data: {text}")


if __name__ == "__main__":
    main()
