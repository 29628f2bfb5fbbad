"""What subnormal numbers in the state of Adam cost, as a run goes on: time of a step against the first ones of the same run.

    GENMOD_DATA=... python benchmarks/faded.py

An MLP is trained on MNIST with one thread, once as genmod trains it, with such numbers set to zero, and once without that. Each
run is a process of its own, one after the other, so that only ratios within a run can be compared. It takes two minutes.
"""

import argparse
import multiprocessing
import time

import torch

import genmod
from genmod.training import step as stepping
from genmod.training.trainer import Run

EVERY = 500
"""Steps whose time is taken together."""


def subnormal(run):
    """How many numbers of the optimizers' states are smaller than the smallest normal one."""
    values = [
        value
        for optimizer in run.state.optimizers.values()
        for state in optimizer.state.values()
        for value in state.values()
    ]
    return sum(int(((v != 0) & (v.abs() < torch.finfo(v.dtype).tiny)).sum()) for v in values)


def train(dropped, steps, answer):
    """Milliseconds of the processor for a step, and subnormal numbers, of each ``EVERY`` steps."""
    torch.set_num_threads(1)
    if not dropped:
        stepping.drop_faded = lambda optimizers: None
    found, once, began = [], Run.once, time.process_time()

    def timed(run):
        nonlocal began
        lr = once(run)
        if run.state.step % EVERY == 0:
            found.append((1e3 * (time.process_time() - began) / EVERY, subnormal(run)))
            began = time.process_time()
        return lr

    Run.once = timed
    encoder = {"name": "mlp", "hidden": [400], "activation": "relu"}
    decoder = {"name": "bernoulli", "binarize": "dynamic"}
    model = genmod.build("vae", data="mnist", latent=20, encoder=encoder, decoder=decoder)
    genmod.train(model, steps=steps, device="cpu", progress=False)
    answer.send(found)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5_000)
    steps = parser.parse_args().steps
    context = multiprocessing.get_context("spawn")
    marks = [*range(EVERY, steps + 1, EVERY)]
    print(f"| after | {' | '.join(f'{mark:,} steps' for mark in marks)} |\n|{'---|' * (len(marks) + 1)}")
    for what, dropped in (("as Adam leaves them", False), ("set to zero", True)):
        ours, theirs = context.Pipe()
        process = context.Process(target=train, args=(dropped, steps, theirs))
        process.start()
        found = ours.recv()
        process.join()
        print(f"| {what} | {' | '.join(f'{ms / found[0][0]:.2f}' for ms, _ in found)} |")
        print(f"| subnormal | {' | '.join(f'{count:,}' for _, count in found)} |", flush=True)


if __name__ == "__main__":
    main()
