"""What it is worth that memory freed in a step is kept for the next: page faults and processor time of a training step.

Each turn is a process of its own that trains a convolutional model, with ``genmod.system.allocator`` and without.
Run it with

    python benchmarks/allocator.py
"""

import argparse
import multiprocessing
import resource
import statistics

import torch

import genmod
from genmod.training import trainer


def train(kept, options, answer):
    """Page faults and milliseconds of processor time of a step."""
    torch.set_num_threads(1)
    if not kept:
        trainer.keep_freed_memory = lambda **how: None
    model = genmod.build(
        data="mnist",
        encoder={"name": "conv", "channels": [32, 64]},
        decoder={"name": "bernoulli", "binarize": "dynamic"},
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    genmod.train(model, steps=options.steps)
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    answer.send(((after.ru_minflt - before.ru_minflt) / options.steps, 1000 * seconds / options.steps))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=100, help="in a turn")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    context, found = multiprocessing.get_context("spawn"), {True: [], False: []}
    for _ in range(options.rounds):
        for kept, turns in found.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=train, args=(kept, options, theirs))
            process.start()
            turns.append(ours.recv())
            process.join()
    print("| freed memory | page faults of a step | ms of processor time |\n|---|---|---|")
    for kept, turns in found.items():
        faults, milliseconds = map(statistics.median, zip(*turns, strict=True))
        print(f"| {'kept' if kept else 'given back'} | {faults:,.0f} | {milliseconds:.0f} |")


if __name__ == "__main__":
    main()
