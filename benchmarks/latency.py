"""Processor seconds and seconds on the clock of each command, as ratios to ``python -c "import torch"``.

    python benchmarks/latency.py

A round starts each command once, as a user types it, and the import beside them, so that other work on the machine slows all
of them alike; the table has the medians of the rounds. The bounds are for processor time, that of children included.
The commands work on small models of the digits that come along, in an empty folder.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time

IMPORT = [sys.executable, "-c", "import torch"]
GENMOD = [sys.executable, "-P", "-m", "genmod"]

PREPARED = (
    "build -o m",
    "train m --steps 20 --film-every 0",
    "build --encoder mlp --latent 2 -o other",
    "train other --steps 20 --film-every 0",
)
"""Commands that make what the others work on; they are not timed."""

COMMANDS = {
    "--help": 0.2,
    "list": 0.2,
    "plugins": 0.5,
    "show encoder conv": 0.5,
    "show encoder conv --json": 0.5,
    "plot m -o plot.png --overwrite": 0.8,
    "info": 1.1,
    "build -o new --overwrite": 1.5,
    "sample m -o s.png --overwrite": 1.5,
    "evaluate m": 1.5,
    "reconstruct m -o r.png --overwrite": 1.5,
    "traverse m -o t.png --overwrite": 1.5,
    "grid": 2.0,
    "latents m -o l.png --overwrite": 2.2,
    "report m -o report.html --overwrite": 2.2,
    "compare m other": 2.2,
    "explore m --export page.html --overwrite": 2.2,
}
"""Command → the ratio of its processor time to that of the import that is wanted at most."""

FIRST_STEP = """
import time, torch
worked, begun = time.process_time(), time.perf_counter()
import genmod
def stop(event):
    if event.kind == "progress":
        print(time.process_time() - worked, time.perf_counter() - begun)
        raise SystemExit
genmod.train(genmod.load("m"), directory=f"trained-{time.time_ns()}", device="cpu", on_event=stop)
"""
SOONEST = 1.0
"""Seconds of the processor from the import of torch to the first step of a training run that are allowed."""


def measured(command, folder):
    """Seconds of the processor and of the clock that a command takes, its children included."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each command is started")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="commands of these names alone, as: grid report"
    )
    options = parser.parse_args()
    chosen = [line for line in COMMANDS if not options.only or line.split()[0] in options.only]
    with tempfile.TemporaryDirectory() as place:
        for line in PREPARED:
            measured([*GENMOD, *line.split()], place)
        found = {line: [] for line in ("import torch", *chosen)}
        starts = []
        for _ in range(options.rounds):
            starts.append(first_step(place))
            for line, rows in found.items():
                command = IMPORT if line == "import torch" else [*GENMOD, *line.split()]
                rows.append(measured(command, place))
    table(found)
    worked, clock = (statistics.median(column) for column in zip(*starts, strict=True))
    missed = "" if worked <= SOONEST else " (missed)"
    print("\nFrom torch's import to the first step of training:", end=" ")
    print(f"{worked:.2f} s of the processor, at most {SOONEST}{missed}; {clock:.2f} s on the clock.")


def first_step(folder):
    """Seconds of the processor and of the clock from the import of torch to the first step of a training run."""
    command = [sys.executable, "-P", "-c", FIRST_STEP]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def table(found):
    """Print the medians, and their ratios to those of the import."""
    medians = {
        line: [statistics.median(column) for column in zip(*rows, strict=True)]
        for line, rows in found.items()
    }
    unit, unit_wall = medians["import torch"]
    print(
        "| command | processor, s | clock, s | processor ÷ import | clock ÷ import | at most |\n|---|---|---|---|---|---|"
    )
    for line, (processor, wall) in medians.items():
        bound = COMMANDS.get(line)
        ratio = processor / unit
        missed = bound is not None and ratio > bound
        shown = f"{bound or ''}{' (missed)' * missed}"
        print(f"| `{line}` | {processor:.2f} | {wall:.2f} | {ratio:.2f} | {wall / unit_wall:.2f} | {shown} |")


if __name__ == "__main__":
    main()
