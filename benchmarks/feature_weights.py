"""The weights that features ``randconv`` and ``digits-cnn`` are stored with, made again.

    python benchmarks/feature_weights.py FOLDER

writes ``randconv.safetensors`` and ``digits_cnn.safetensors`` into a new folder and says how many of the held-out digits the
classifier names rightly. Copied into ``plugins/features/``, they need a new ``version`` of the features:
scores by other weights cannot be compared.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

from genmod.plugins.datasets.digits import Digits
from genmod.plugins.features.digits_cnn import digits_network
from genmod.plugins.features.randconv import random_network

EPOCHS, BATCH = 40, 64


def random_weights() -> nn.Module:
    """Orthogonal rows, each layer scaled so that what comes out varies as much as what went in."""
    torch.manual_seed(1)
    net = random_network()
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.orthogonal_(
                layer.weight, gain=2**0.5 * (layer.weight[0].numel() / len(layer.weight)) ** 0.5
            )
    return net


def digits_weights() -> nn.Module:
    """Trained on the training split alone."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    digits = Digits(Path())
    x, labels = (digits.info.values(digits.split("train").batch.x), digits.split("train").batch.labels)
    net = digits_network()
    steps = EPOCHS * (len(x) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        some = torch.randint(len(x), (BATCH,))
        # Noise, so that grey levels between those of the data are nothing new.
        noisy = (x[some] + 0.15 * torch.randn(BATCH, 1, 8, 8)).clamp(0, 1)
        loss = cross_entropy(net(noisy), labels[some], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        # Features of mean square 1: the kernel of KID adds 1 to products of them.
        size = net[:-1](x).square().mean().sqrt()
        for tensor in net[7].parameters():
            tensor /= size
        net[9].weight *= size
    for name in ("train", "validation", "test"):
        part = digits.split(name).batch
        right = (net(digits.info.values(part.x)).argmax(1) == part.labels).float().mean()
        print(f"{name}: {right:.1%} of {len(part)} right")
    return net


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where they are written; it is made")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True)
    for name, net in (("randconv", random_weights()), ("digits_cnn", digits_weights())):
        place = folder / f"{name}.safetensors"
        save_file(net.state_dict(), place)
        print(f"{place}: {place.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
