"""Structured models beside pythae's: MNIST, the same layers, batches, optimizer and seconds of the processor.

    GENMOD_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/families.py hvae genmod 100
    GENMOD_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/families.py hvae pythae 100 --pictures hvae

Each is trained in a process of its own by one thread (see ``family_sides.py``), and stopped when the processor has worked
for so many seconds, with what each trainer does besides (loading, validation, logging). Then both are measured by the same
code: the bound of 128 importance-weighted draws from the encoder's normal, where there is a density; the Fréchet distance
of 2,000 generated pictures from the test pictures, in the features of one small classifier. It prints a line of JSON.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import torch
from family_sides import Clock, Ours, Theirs
from torch.nn import functional

import genmod
from genmod.model.assembly import open_dataset
from genmod.plugins.features.classifier import ClassifierFeatures
from genmod.plugins.metrics._frechet import frechet_distance

PLAIN: dict[str, Any] = {
    "encoder": {"name": "mlp", "hidden": [512], "activation": "relu"},
    "network": {"name": "mlp", "hidden": [512], "activation": "relu"},
}
BINARY = {"decoder": {"name": "bernoulli", "binarize": "threshold"}}
MODELS: dict[str, dict[str, Any]] = {
    "hvae": PLAIN | BINARY,
    "factor-vae": PLAIN | BINARY | {"critic": {"name": "tc", "gamma": 2.0, "hidden": [256] * 5}},
    "aae": PLAIN | BINARY | {"critic": {"name": "adversarial", "hidden": [256], "weight": 0.5}},
}
"""What differs from the recipes: pythae's usual layers and weights of losses."""

OWN = {
    "hvae": ("nll[128]", "rates", "active-units"),
    "factor-vae": ("nll[128]", "rates", "active-units"),
}
"""Metrics of genmod that say whether its model is healthy."""


@torch.no_grad()
def bound(side: Any, x: torch.Tensor, draws: int = 128) -> torch.Tensor:
    """``log 1/K Σ_k p(x, z_k) / q(z_k|x)`` of each picture, nats."""
    found = []
    for some in x.split(100):
        q = side.encoded(some)
        z = q.sample((draws,))
        logits = side.logits(z.flatten(0, 1)).view(draws, *some.shape)
        fit = functional.binary_cross_entropy_with_logits(logits, some.expand_as(logits), reduction="none")
        prior = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
        log_w = prior - fit.flatten(2).sum(2) - q.log_prob(z)
        found.append(log_w.double().logsumexp(0) - math.log(draws))
    return torch.cat(found)


def classifier(data: Any, observe: Any, path: str | None) -> ClassifierFeatures:
    """Features of a classifier of training pictures as the models see them, kept in a file where one is named."""
    features, told = ClassifierFeatures(data.info), data.split("train").__getitems__(range(55000))
    if path and Path(path).exists():
        features.load_state_dict(torch.load(path, weights_only=True))
        return features
    features.fit(observe(told.x), told.labels, seed=0)
    if path:
        torch.save(features.state_dict(), path)
    return features


def measured(side: Any, name: str, data: Any, observe: Any, options: Any) -> dict[str, Any]:
    """Of 10,000 test pictures; of the first 1,000 what draws are needed for."""
    x, train = observe(data.split("test").__getitems__(range(10000)).x), data.split("train")
    some, found = x[:1000], dict[str, Any]()
    if name in ("hvae", "factor-vae"):
        logs = bound(side, some)
        found["bound"] = [round(float(logs.mean()), 2), round(float(logs.std() / len(logs) ** 0.5), 2)]
    features = classifier(data, observe, options.features)
    with torch.no_grad():
        made = side.reconstructed(some).clamp(0, 1)
        found["squared error"] = round(float((made - some).square().flatten(1).sum(1).mean()), 2)
        real = torch.cat([features(part) for part in x.split(500)])
        few = observe(train.__getitems__(range(2000)).x)
        drawn = {"training pictures": few, **side.samples(2000, name)}
        sets = {
            source: torch.cat([features(part.clamp(0, 1)) for part in each.split(500)])
            for source, each in drawn.items()
        }
    found["fid"] = {source: round(frechet_distance(each, real).value, 3) for source, each in sets.items()}
    if pictures := options.pictures:
        for source, each in drawn.items():
            draw(each[:64].clamp(0, 1), f"{pictures}-{source.split()[0]}.png")
        draw(made[:64], f"{pictures}-reconstructed.png")
    return found


def draw(pictures: torch.Tensor, path: str) -> None:
    from PIL import Image

    grid = pictures.view(8, 8, 28, 28).transpose(1, 2).reshape(224, 224)
    Image.fromarray((255 * grid).byte().numpy()).resize((448, 448), Image.Resampling.NEAREST).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("package", choices=["genmod", "pythae"])
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", help="begin of the names of files of 64 pictures each")
    parser.add_argument("--features", help="a file that the classifier is kept in, to train it once")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = genmod.build(
        options.model, data="mnist", seed=options.seed, **{"latent": 16, **MODELS[options.model]}
    )
    data = open_dataset(model.spec)
    train = model.observe(data.split("train").__getitems__(range(55000)).x)
    clock = Clock(options.seconds)
    make = Ours if options.package == "genmod" else Theirs
    side = make(model, options.model, train, clock, options.seed)
    took = clock.passed
    found = {
        "model": options.model,
        "package": options.package,
        "seed": options.seed,
        "seconds": round(took),
        "steps": clock.steps,
        "epoch": round(clock.an_epoch(len(train)), 1),
        "parameters": sum(p.numel() for p in side.model.parameters()),
    }
    print(json.dumps(found), flush=True)
    found |= measured(side, options.model, data, model.observe, options)
    if options.package == "genmod":
        test = genmod.TensorSplit(genmod.Batch(data.split("test").__getitems__(range(500)).x))
        for metric in OWN.get(options.model, ()):
            row = genmod.evaluate(model, test, metric, seed=0).rows[0]
            found[row.name] = round(row.value, 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
