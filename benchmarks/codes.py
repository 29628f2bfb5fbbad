"""Bits of pictures through codes: MNIST with dynamic binarisation, a vq-vae with a prior over its codes.

    GENMOD_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/codes.py pixelcnn 240

Codec and prior are trained together, by one thread, for the number of steps that take that many seconds of processor
(measured on the first 40), with a learning rate that falls by a cosine. The bits of a test picture are a true bound: those
of its codes under the prior, and those of its pixels given the codes; codes are drawn by no one, so nothing else is
missing. The codec does not depend on the prior, whose gradient ends at the codes; so what an independent categorical
prior of each place would need is known from how often each code is used. It prints a line of JSON.
"""

import argparse
import json
import math
import time
from typing import Any

import torch
from families import draw
from hierarchies import seconds_a_step
from torch.nn.functional import one_hot

import genmod
from genmod.model.assembly import open_dataset

LAYERS: dict[str, Any] = {
    "encoder": {"name": "mlp", "hidden": [512], "activation": "relu"},
    "network": {"name": "mlp", "hidden": [512], "activation": "relu"},
    "latent": (4, 4, 16),
}
"""A map of 4×4 codes, with layers that a processor is fast with."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prior", help="a prior over codes: pixelcnn, categorical, transformer, …")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", help="begin of the names of files of 64 pictures each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = genmod.build("vq-vae", data="mnist", prior=options.prior, seed=options.seed, **LAYERS)
    steps = max(1, int(options.seconds / seconds_a_step(model)))
    start = time.process_time()
    how = {
        "batch_size": 128,
        "lr": 2e-3,
        "warmup": 100,
        "schedule": "cosine",
        "device": "cpu",
        "film_every": 0,
    }
    genmod.train(model, steps=steps, seed=options.seed, **how)
    took = time.process_time() - start
    with torch.no_grad():
        torch.manual_seed(0)
        data = open_dataset(model.spec)
        told = model.observe(data.split("train").__getitems__(range(20000)).x)
        known = torch.cat([model.encode(some).codes.flatten(1) for some in told.split(500)])
        x = model.observe(data.split("test").__getitems__(range(10000)).x)
        rate, distortion, codes = (
            torch.cat(each) for each in zip(*map(of(model), x.split(500)), strict=True)
        )
    frequencies = one_hot(known, 64).float().mean(0).clamp(min=1 / len(known))
    alone = -frequencies.log().expand(len(codes), -1, -1).gather(2, codes.flatten(1)[..., None]).sum((1, 2))
    bits = (rate + distortion).double() / math.log(2)
    found = {
        "prior": options.prior,
        "seed": options.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "seconds": round(took),
        "bits": round(float(bits.mean()), 2),
        "error": round(float(bits.std() / len(bits) ** 0.5), 2),
        "of codes": round(float(rate.mean()) / math.log(2), 2),
        "of codes, each by itself": round(float(alone.mean()) / math.log(2), 2),
        "of pixels": round(float(distortion.mean()) / math.log(2), 2),
        "codes in use": len(codes.unique()),
    }
    print(json.dumps(found))
    if options.pictures:
        draw(model.sample(64, seed=0), f"{options.pictures}-prior.png")
        draw(model.decode(model.encode(x[:64]).sample()).mean, f"{options.pictures}-reconstructed.png")


def of(model: Any) -> Any:
    """Of pictures: nats of their codes, nats of their pixels, and the codes."""

    def found(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        q = model.encode(x)
        return -model.prior().log_prob_of(q.codes), -model.decode(q.sample()).log_prob(x), q.codes

    return found


if __name__ == "__main__":
    main()
