"""Training side by side: genmod, hand-written loops, pythae and Lightning, on the same layers.

Each variant lives in a process of its own, as its users would run it, and they take turns (A B C A B C …), so that a
busy machine slows all of them; figures are medians, and ratios are medians of the ratios within a turn. Run it with

    python benchmarks/training.py --threads 1 --rounds 9
    python benchmarks/training.py --models mlp --steps 200 --warm 8
    python benchmarks/training.py --models resnet --batch 16 --steps 20 --rounds 5

``hand`` is a loop over tensors in memory with fused Adam, ``default Adam`` the same with Adam as torch makes it unless
asked. ``hand + check`` also looks for gradients that are not finite before each step, as genmod always does; with
genmod's model it shows what the loop alone costs. ``examples`` is the loop of the PyTorch examples: a dataset
of pictures, a transform for each, a DataLoader. ``layers alone`` is no training: the products of matrices and the
convolutions of a step, forward and backward, which no loop can do without. Peers are left out where they are not
installed. Memory is the peak of the process over what it held when everything was imported.

Ratios depend on how fast the machine multiplies matrices, since that is the part which all loops share: its rate is
printed first. They depend on the length of a run, too: after about 800 steps, means of gradients at pixels that are
hardly ever on become subnormal numbers, with which Adam is slow, and which genmod removes. ``--warm`` says how many turns
have been taken before.
"""

import argparse
import importlib
import math
import multiprocessing
import os
import platform
import re
import resource
import statistics
import time
import warnings
from pathlib import Path

import torch
from loops import MODELS, Pictures, variants


def take_turns(channel, variant, name, options):
    """In a process of its own: a turn for each message, until there are no more."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    for peer in {variant} & {"pythae", "lightning"}:
        importlib.import_module("pythae.trainers" if peer == "pythae" else peer)
    before = peak_memory()
    data = Pictures(name, options.steps * options.batch)
    block = variants(options)[variant](name, data, options)
    while channel.recv():
        faults, began = page_faults(), time.perf_counter()
        done = block()
        images, took = done if isinstance(done, tuple) else (done, time.perf_counter() - began)
        channel.send((images / took, peak_memory() - before, (page_faults() - faults) / options.steps))


def peak_memory():
    """MiB that this process held at most; what ``getrusage`` says begins with the peak of the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    return int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) / 1024


def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def measure(name, options):
    """Variant → images per second in each round, MiB over import, and page faults of a step in the last round."""
    context = multiprocessing.get_context("spawn")
    channels, processes = {}, []
    for variant in variants(options):
        channels[variant], theirs = context.Pipe()
        processes.append(
            context.Process(target=take_turns, args=(theirs, variant, name, options), daemon=True)
        )
        processes[-1].start()
        theirs.close()
    rates, memory, faults = {variant: [] for variant in channels}, {}, {}
    for turn in range(options.warm + options.rounds):
        for variant, channel in channels.items():
            channel.send(True)
            rate, memory[variant], faults[variant] = channel.recv()
            if turn >= options.warm:
                rates[variant].append(rate)
    for channel, process in zip(channels.values(), processes, strict=True):
        channel.send(False)
        process.join()
    return rates, memory, faults


def table(name, rates, memory, faults):
    others = [
        other
        for other in ("hand + check, genmod's model", "hand", "layers alone", "pythae")
        if other in rates
    ]
    columns = ["", "images/s", *(f"÷ {other}" for other in others), "MiB", "page faults of a step"]
    lines = [f"### {name}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for variant, found in rates.items():
        ratios = [
            statistics.median(a / b for a, b in zip(found, rates[other], strict=True)) for other in others
        ]
        cells = [variant, f"{statistics.median(found):,.0f}", *(f"{ratio:.3f}" for ratio in ratios)]
        lines.append(f"| {' | '.join(cells)} | {memory[variant]:.0f} | {faults[variant]:,.0f} |")
    return "\n".join(lines) + "\n"


def rate_of_products(size=2048, times=10):
    """GFLOP/s of a large product of matrices."""
    a, b = torch.randn(2, size, size)
    took = []
    for _ in range(times):
        began = time.perf_counter()
        torch.mm(a, b)
        took.append(time.perf_counter() - began)
    return 2 * size**3 / statistics.median(took) / 1e9


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["mlp", "conv"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60, help="in a turn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--warm", type=int, default=1, help="turns before those that are measured")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="also measure genmod --compile")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {platform.machine()}, ",
        end="",
    )
    print(f"{os.cpu_count()} cores, {options.threads} threads, ", end="")
    torch.set_num_threads(options.threads)
    print(f"{rate_of_products():,.0f} GFLOP/s, batch {options.batch}, ", end="")
    print(f"after {options.warm * options.steps:,} steps, load {load:.1f} before\n")
    for name in options.models:
        print(table(name, *measure(name, options)), flush=True)
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
