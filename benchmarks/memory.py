"""Peak of memory of training and of evaluation, of genmod and of loops written by hand, with pictures of 64² to 256².

Each figure is of processes of their own, the median of three: the most that one held, over what it held when all was
imported. Both sides keep the pictures as bytes, train the same layers in the same batches, and measure the same pictures. The
loops by hand validate and measure ``--measured`` pictures at a time, and draw ten times for each, one draw after the other.
genmod chooses how many it works on at a time by their size and by the layers; in small batches by hand less is enough. Both
keep the weights of the lowest loss of validation, which genmod always does. Run it with

    python benchmarks/memory.py
    python benchmarks/memory.py --encoders conv --sizes 64 --batch 8

The C library keeps what was freed for both alike, so that a peak is that of the tensors and not of its rules.
"""

import argparse
import ctypes
import gc
import math
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ENCODERS = {"conv": {"channels": [32, 64, 64]}, "resnet": {"channels": [16, 32, 64]}}
LATENT, DRAWS, MANY = 32, 10, 20
WORK = ("training", "elbo", "mse", "codes", f"nll[{MANY}]")


def memory(name):
    """MiB, from the status of this process."""
    return int(re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def made(options):
    """A model and its dataset."""
    import torch

    import genmod
    from genmod import Batch, DataInfo, Dataset, TensorSplit
    from genmod.model.assembly import assemble

    class Pictures(Dataset):
        info = DataInfo((3, options.size, options.size), levels=2)

        def __init__(self):
            shape = (options.batch * options.steps + options.test, *self.info.shape)
            self.x = torch.randint(0, 2, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

        def split(self, name):
            many = options.batch * options.steps
            return TensorSplit(Batch(self.x[:many] if name == "train" else self.x[many:]))

    encoder = {"name": options.encoder, **ENCODERS[options.encoder]}
    spec = genmod.compose("vae", components={"encoder": encoder, "dataset": "digits"}, latent=LATENT)
    return assemble(spec, Pictures.info), Pictures()


def by_genmod(work, options):
    import genmod

    model, data = made(options)
    if work == "training":
        genmod.train(model, data, epochs=1, batch_size=options.batch, device="cpu")
    else:
        metric = {"mse": "mse", "codes": "active-units", "elbo": f"elbo[{DRAWS}]"}.get(work, work)
        genmod.evaluate(model, data, metric)


def by_hand(work, options):
    import torch
    from torch.nn import functional

    import genmod

    model, data = made(options)

    def encoded(x):
        loc, log_scale = model.posterior.head(model.encoder(x).flatten(1)).chunk(2, -1)
        return loc, genmod.bounded_log_scale(log_scale)

    def misfit(logits, x):
        return functional.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)

    def loss(x):
        loc, log_scale = encoded(x)
        logits = model.network(loc + torch.randn_like(loc) * log_scale.exp())
        return misfit(logits, x) + 0.5 * (loc.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(1)

    def batches(x, size):
        return (x[i : i + size].float() for i in range(0, len(x), size))

    @torch.no_grad()
    def measure(x):
        loc, log_scale = encoded(x)
        if work == "codes":
            return loc
        if work == "mse":
            return (model.network(loc).sigmoid() - x).square().flatten(1).mean(1)
        if work == "elbo":
            return torch.stack([loss(x) for _ in range(DRAWS)]).mean(0)
        total = torch.full((len(x),), -math.inf)
        for _ in range(MANY):
            noise = torch.randn_like(loc)
            z = loc + log_scale.exp() * noise
            log_w = -misfit(model.network(z), x) + (0.5 * (noise * noise - z * z) + log_scale).sum(1)
            total = torch.logaddexp(total, log_w)
        return total - math.log(MANY)

    train, test = data.split("train").batch.x, data.split("test").batch.x
    if work == "training":
        optimizer = torch.optim.Adam(model.train().parameters(), 1e-3, fused=True)
        for x in batches(train, options.batch):
            loss(x).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        with torch.no_grad():
            torch.cat([loss(x) for x in batches(test, options.measured)]).mean().item()
        best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        assert best
    else:
        model.eval()
        torch.cat([measure(x) for x in batches(test, options.measured)]).mean().item()


def one(side, work, options):
    """MiB, in this process."""
    import torch._dynamo  # noqa: F401  # 140 MiB that torch imports at one time or another

    from genmod.system.allocator import keep_freed_memory

    keep_freed_memory()
    run = {"genmod": by_genmod, "hand": by_hand}[side]
    # Something is imported when it is first used, as by torch's optimizers.
    run(work, argparse.Namespace(**{**vars(options), "size": 16, "batch": 2, "steps": 2, "test": 4}))
    # What was freed since is there to be used again, and would be taken off the peak.
    gc.collect()
    give_back()
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the most begins anew
    run(work, options)
    print(memory("VmHWM") - before)


def give_back():
    """Make the C library give what is free back to the system, where it is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def measured(side, work, options, size, encoder):
    """MiB, the median of as many processes as are asked for; where memory is cut into pieces differs between them."""
    given = {**vars(options), "size": size, "encoder": encoder}
    words = [
        f"--{name}={given[name]}"
        for name in ("batch", "steps", "test", "measured", "threads", "size", "encoder")
    ]
    command = [sys.executable, __file__, f"--one={side}", f"--work={work}", *words]
    how = {"check": True, "capture_output": True, "text": True, "cwd": tempfile.gettempdir()}
    return statistics.median(
        float(subprocess.run(command, **how).stdout.splitlines()[-1]) for _ in range(options.repeat)
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--only", nargs="+", choices=WORK, default=WORK)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--test", type=int, default=96, help="pictures that are measured")
    parser.add_argument("--measured", type=int, default=32, help="of these at a time, by hand")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--repeat", type=int, default=3, help="processes for each figure, which is their median"
    )
    for name in ("one", "work", "size", "encoder"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS, type=int if name == "size" else str)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.one:
        one(options.one, options.work, options)
        return
    print(
        f"batches of {options.batch}, {options.test} pictures measured, by hand {options.measured} at a time\n"
    )
    print("| encoder | pictures | what | genmod, MiB | by hand, MiB | ratio |\n|---|---|---|---|---|---|")
    for encoder in options.encoders:
        for size in options.sizes:
            for work in options.only:
                ours, theirs = (measured(side, work, options, size, encoder) for side in ("genmod", "hand"))
                print(
                    f"| {encoder} | {size}² | {work} | {ours:.0f} | {theirs:.0f} | {ours / theirs:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
