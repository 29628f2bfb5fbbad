"""Levels of latents against one level: MNIST with dynamic binarisation, as many parameters, as many seconds of processor.

    GENMOD_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/hierarchies.py vae 900
    GENMOD_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/hierarchies.py hvae-2 900 --seed 1 -s posterior.hidden=300

Each model is trained in a process of its own, by one thread, for the number of steps that take that many seconds of
processor (measured on the first 40, so that other work on the machine does not count), with a learning rate that falls
by a cosine. Then the importance-weighted bound on test pictures, of 128 draws each, with its standard error. It prints a
line of JSON.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import torch

import genmod
from genmod.model.assembly import open_dataset

LAYERS: dict[str, Any] = {
    "encoder": {"name": "mlp", "hidden": [400, 335]},
    "network": {"name": "mlp", "hidden": [335, 400]},
    "latent": 32,
}
MODELS: dict[str, dict[str, Any]] = {
    "vae": LAYERS,
    "hvae-2": LAYERS,
    "vdvae-small": {
        "encoder": {"name": "mlp", "hidden": [380, 300]},
        "network": {"name": "mlp", "hidden": [300, 380]},
        "latent": 12,
        "settings": {"posterior.groups": [3], "posterior.width": 128, "prior.width": 128, "prior.blocks": 0},
    },
}
"""What differs from the recipes: layers that a processor is fast with, and about as many parameters for each."""

HOW: dict[str, Any] = {
    "batch_size": 128,
    "lr": 3e-3,
    "warmup": 100,
    "schedule": "cosine",
    "device": "cpu",
    "film_every": 0,
}


def seconds_a_step(model: Any) -> float:
    """Seconds of processor of one step of training, the median of 40."""
    optimizer = torch.optim.Adam(model.parameters())
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x, times = torch.rand(128, 1, 28, 28), []
    model.train()
    for _ in range(40):
        start = time.process_time()
        model.terms(x).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - start)
    model.load_state_dict(state)
    return sorted(times)[20]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument(
        "--keep", help="a file for the bounds of the pictures, .npy, to compare models picture by picture"
    )
    parser.add_argument("--train", default="{}", help="other settings of the run, as JSON")
    parser.add_argument("-s", action="append", default=[], metavar="KIND.OPTION=VALUE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    changes = dict(MODELS[args.model])
    settings = {**changes.pop("settings", {})}
    for text in args.s:
        path, _, value = text.partition("=")
        try:
            settings[path] = json.loads(value)
        except ValueError:
            settings[path] = value
    latent = settings.pop("latent", changes.pop("latent", None))
    changes |= {path: settings.pop(path) for path in list(settings) if "." not in path}
    model = genmod.build(
        args.model, data="mnist", latent=latent, settings=settings, seed=args.seed, **changes
    )
    step = seconds_a_step(model)
    steps = max(1, int(args.seconds / step))
    print(
        f"{sum(p.numel() for p in model.parameters()):,} parameters, {1000 * step:.1f} ms a step, {steps} steps",
        flush=True,
    )
    start = time.process_time()
    how = {**HOW, **json.loads(args.train)}
    result = genmod.train(model, steps=steps, seed=args.seed, **how)
    took = time.process_time() - start
    pictures = open_dataset(model.spec).split("test").__getitems__(range(args.pictures))
    test = genmod.TensorSplit(genmod.Batch(pictures.x))
    rows = {
        name: genmod.evaluate(model, test, name, seed=0).rows[0]
        for name in ("nll[128]", "rates", "active-units")
    }
    if args.keep:
        np.save(args.keep, -rows["nll[128]"].examples.numpy())
    found = {
        "model": args.model,
        "options": args.s,
        "train": json.loads(args.train),
        "seed": args.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "processor": round(took),
        "best_loss": result.best_loss,
        "rate": rows["rates"].value,
        "active": rows["active-units"].value,
        "bound": -rows["nll[128]"].value,
        "error": rows["nll[128]"].standard_error,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
