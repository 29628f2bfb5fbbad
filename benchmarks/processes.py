"""Two processes of one thread each against one process of two threads, on two cores: what sharing a batch costs.

Each process has a batch of the same size, so that two process twice the pictures in a step. ``genmod train`` is run
as a user would, for few steps and for many, and the difference counts, which leaves its start out. Run it with

    GENMOD_DATA=... python benchmarks/processes.py
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import genmod

MODELS = {
    "mlp": {"encoder": {"name": "mlp", "hidden": [400]}, "latent": 20},
    "conv": {"encoder": {"name": "conv", "channels": [32, 64]}, "latent": 16},
}
FEW = 40


def seconds(folder, processes, batch, steps, cores):
    command = [
        sys.executable,
        "-P",
        "-m",
        "genmod",
        "train",
        str(folder),
        "--overwrite",
        "--steps",
        str(steps),
    ]
    command += ["--processes", str(processes), "--batch-size", str(processes * batch), "--film-every", "0"]
    threads = {"OMP_NUM_THREADS": str(cores // processes)}
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **threads})
    return json.loads((folder / "run.json").read_text())["seconds"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batch", type=int, default=128, help="of each process")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    print("| model | one process, images/s | two processes, images/s | ratio |\n|---|---|---|---|")
    for name in options.models:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / name
            decoder = {"name": "bernoulli", "binarize": "dynamic"}
            genmod.save(genmod.build(data="mnist", decoder=decoder, **MODELS[name]), folder)
            rates = {1: [], 2: []}
            for _ in range(options.rounds):
                for processes, found in rates.items():
                    few, many = (
                        seconds(folder, processes, options.batch, steps, options.cores)
                        for steps in (FEW, FEW + options.steps)
                    )
                    found.append(processes * options.batch * options.steps / (many - few))
        one, two = map(statistics.median, rates.values())
        ratio = statistics.median(b / a for a, b in zip(*rates.values(), strict=True))
        print(f"| {name} | {one:,.0f} | {two:,.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
