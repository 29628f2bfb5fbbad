"""Log-likelihood by 5,000 draws side by side: genmod, a loop written by hand, pythae, and the products of matrices alone.

The model is a VAE of 784-200-200-50 tanh units with a Bernoulli decoder, on MNIST's test images cut in the middle;
its weights are as initialised, which the speed does not depend on. All variants live in one process and take turns
(A B C A B C …), so that a busy machine slows all of them; figures are medians, and ratios are medians of the ratios
within a turn. Run it with

    GENMOD_DATA=... python benchmarks/nll.py --threads 2 --rounds 5

``products`` is what no program can do without: the decoder's three matrix products, 3.2 GFLOP an image. ``hand`` is a
loop over one image at a time with torch's cross-entropy. pythae is left out where it is not installed; it takes fewer
images, because it is slow. All estimates are of the same model and images, and must agree.
"""

import argparse
import importlib.util
import math
import os
import platform
import statistics
import time
import warnings
from itertools import pairwise

import torch
from torch.nn import functional

import genmod
from genmod import Batch, TensorSplit
from genmod.data.dataset import default_root
from genmod.model.assembly import assemble

HIDDEN, LATENT = (200, 200), 50


def build(images):
    spec = genmod.compose(
        "vae",
        components={
            "dataset": "mnist",
            "encoder": {"name": "mlp", "hidden": list(HIDDEN), "activation": "tanh"},
            "decoder": {"name": "bernoulli", "binarize": "threshold"},
        },
        latent=LATENT,
    )
    dataset = genmod.open_dataset(spec, default_root())
    return assemble(spec, dataset.info).eval(), dataset.split("test").__getitems__(range(images)).x


def of_genmod(model, x, samples):
    def block(images):
        split = TensorSplit(Batch(x[:images]))
        return -genmod.evaluate(model, split, f"nll[{samples}]")[f"nll[{samples}]"].examples

    return block


def of_hand(model, x, samples, size=1000):
    @torch.no_grad()
    def block(images):
        found = []
        for image in model.observe(x[:images]):
            loc, log_scale = model.posterior.head(model.encoder(image[None])).chunk(2, -1)
            log_scale = genmod.bounded_log_scale(log_scale)
            flat, total = image.flatten().expand(size, -1), torch.tensor(-math.inf, dtype=torch.float64)
            for _ in range(samples // size):
                noise = torch.randn(size, LATENT)
                z = loc + log_scale.exp() * noise
                logits = model.network.layers(z)
                fit = functional.binary_cross_entropy_with_logits(logits, flat, reduction="none").sum(1)
                log_w = -fit - 0.5 * (z * z).sum(1) + 0.5 * (noise * noise).sum(1) + log_scale.sum()
                total = torch.logaddexp(total, log_w.double().logsumexp(0))
            found.append(total - math.log(samples))
        return torch.stack(found)

    return block


def of_products(model, x, samples, size=1000):
    sizes = [LATENT, *HIDDEN, 784]
    weights = [torch.randn(a, b) for a, b in pairwise(sizes)]
    begin = torch.randn(size, LATENT)

    def block(images):
        for _ in range(images * samples // size):
            h = begin
            for weight in weights:
                h = h @ weight

    return block


def of_pythae(model, x, samples):
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.body, self.head = model.encoder, model.posterior.head

        def forward(self, x):
            mean, log_scale = self.head(self.body(x)).chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=2 * genmod.bounded_log_scale(log_scale))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.body = model.network

        def forward(self, z):
            return ModelOutput(reconstruction=self.body(z).sigmoid())

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
    peer = VAE(config, Encoder(), Decoder()).eval()
    binary = model.observe(x)

    def block(images):
        # It returns the mean alone.
        return torch.tensor([peer.get_nll(image[None], n_samples=samples) for image in binary[:images]])

    return block


def measure(options):
    """Variant → seconds for an image in each round, and its estimates."""
    model, x = build(options.images)
    blocks = {
        "genmod": (of_genmod(model, x, options.samples), options.images),
        "hand": (of_hand(model, x, options.samples), options.images),
        "products": (of_products(model, x, options.samples), options.images),
    }
    if importlib.util.find_spec("pythae"):
        blocks["pythae"] = (of_pythae(model, x, options.samples), options.peer_images)
    times, estimates = {name: [] for name in blocks}, {}
    for turn in range(options.rounds + 1):
        for name, (block, images) in blocks.items():
            began = time.perf_counter()
            estimates[name] = block(images)
            if turn:  # the first is for warming up
                times[name].append((time.perf_counter() - began) / images)
    return times, {name: value for name, value in estimates.items() if value is not None}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=40, help="in a turn")
    parser.add_argument("--peer-images", type=int, default=8, help="of those, by pythae")
    parser.add_argument("--samples", type=int, default=5000, help="draws for each image, whole thousands")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    load = os.getloadavg()[0]
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {platform.machine()}, ",
        end="",
    )
    print(f"{os.cpu_count()} cores, {options.threads} threads, load {load:.1f} before\n")
    times, estimates = measure(options)
    flop = 2 * options.samples * (LATENT * HIDDEN[0] + HIDDEN[0] * HIDDEN[1] + HIDDEN[1] * 784)
    print(
        "| | s / 1,000 images | GFLOP/s | speed ÷ pythae | share of the products' speed |\n|---|---|---|---|---|"
    )
    for name, found in times.items():
        middle = statistics.median(found)
        ratios = [
            statistics.median(b / a for a, b in zip(found, times[other], strict=True))
            if other in times
            else math.nan
            for other in ("pythae", "products")
        ]
        print(
            f"| {name} | {1000 * middle:.2f} | {flop / middle / 1e9:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )
    count = min(map(len, estimates.values()))
    print("\nmean log p(x) of the same images: ", end="")
    print(", ".join(f"{name} {value[:count].double().mean():.3f}" for name, value in estimates.items()))
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
