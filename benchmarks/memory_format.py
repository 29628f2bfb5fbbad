"""Convolutions whose channels lie side by side (``torch.channels_last``) against those of the default layout.

    python benchmarks/memory_format.py

Milliseconds of the processor, on one thread, of a forward and backward pass of a whole model, in turns: the weights decide, for
a convolution takes its layout from them. Printed is a table, with whether the loss has the same bits.
"""

import argparse
import copy
import statistics
import time

import torch

import genmod

MAPS = {"name": "autoencoder-2d", "channels": [24, 48, 64], "layers": 1}
MODELS = {
    "`conv`, 28²×1": ((1, 28, 28), {"encoder": "conv"}, 64),
    "`conv`, 64²×3": ((3, 64, 64), {"encoder": "conv"}, 16),
    "`conv`, 128²×3": ((3, 128, 128), {"encoder": "conv"}, 4),
    "`resnet`, 64²×3": ((3, 64, 64), {"encoder": "resnet"}, 4),
    "`resnet`, 128²×3": ((3, 128, 128), {"encoder": "resnet"}, 2),
    "`autoencoder-2d`, 32²×3": ((3, 32, 32), {"encoder": MAPS, "posterior": "normal-map", "latent": 4}, 8),
}


def sides(shape, parts, batch, rounds):
    """Seconds of each round in both layouts, and whether their losses are the same."""
    torch.manual_seed(0)
    x = torch.randint(0, 256, (batch, *shape), dtype=torch.uint8)
    model = genmod.build(data=x.repeat(-(-16 // batch), 1, 1, 1), **{"latent": 16, **parts})
    models = {"contiguous": model, "last": copy.deepcopy(model).to(memory_format=torch.channels_last)}
    taken, losses = {name: [] for name in models}, {}
    for _ in range(rounds + 1):
        for name, side in models.items():
            torch.manual_seed(1)
            begun = time.process_time()
            loss = side.terms(x).loss
            loss.backward()
            taken[name].append(time.process_time() - begun)
            losses[name] = loss.item()
            side.zero_grad()
    return {name: times[1:] for name, times in taken.items()}, losses["contiguous"] == losses["last"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time convolutions in both layouts.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", help="models whose name has this text", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| model | batch | contiguous, ms | channels last, ms | ratio | same loss |\n|---|---|---|---|---|---|"
    )
    for name, (shape, parts, batch) in MODELS.items():
        if arguments.only not in name:
            continue
        taken, same = sides(shape, parts, batch, arguments.rounds)
        ratio = statistics.median(a / b for a, b in zip(*taken.values(), strict=True))
        low, last = (1000 * min(times) for times in taken.values())
        print(
            f"| {name} | {batch} | {low:.1f} | {last:.1f} | {ratio:.2f} | {'yes' if same else 'no'} |",
            flush=True,
        )
