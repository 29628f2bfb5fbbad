"""Tokenizers beside the same networks without critics, and beside pythae's: equal seconds of one processor.

    GENMOD_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/tokenizers.py mnist fsq-small 200 --cache CACHE
    GENMOD_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/tokenizers.py photos vqvae 200 --cache CACHE --photos photos

Data are pictures of 32×32 pixels: MNIST and Fashion-MNIST with a border of two pixels, and parts of the pictures that
``examples/tokenizer/make_photos.py`` makes. Each side is trained in a process of its own by one thread, and stopped when that
has worked for so many seconds (``time.process_time``, which other processes on the machine do not change), with what its
trainer does besides. Then all are measured by the same code on the same test pictures: the peak signal-to-noise ratio, and
the Fréchet distance of reconstructions from them, in the features of one classifier of the data. It prints a line of JSON.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from family_sides import Clock
from tokenizer_sides import SIDES, trained

import genmod
from genmod.data.dataset import DataInfo
from genmod.plugins.features.classifier import ClassifierFeatures
from genmod.plugins.metrics._frechet import frechet_distance

TEST = 3000
"""Pictures that are measured."""


def idx(name: str) -> dict[str, Any]:
    """Pictures and classes of MNIST or Fashion-MNIST, with a border."""
    dataset = genmod.open_dataset(genmod.compose("vae", components={"dataset": name}))
    found = {}
    for split in ("train", "test"):
        batch = dataset.split(split).__getitems__(range(len(dataset.split(split))))
        found[split] = torch.nn.functional.pad(batch.x, (2, 2, 2, 2)), batch.labels
    return found


def parts(folder: Path) -> dict[str, Any]:
    """Random parts of photographs whose shorter side is 48 pixels; the last tenth of the pictures are for testing."""
    from PIL import Image

    paths = sorted(folder.iterdir())
    found: dict[str, Any] = {"train": ([], []), "test": ([], [])}
    for number, path in enumerate(paths):
        split, count = ("train", 5) if number < 0.9 * len(paths) else ("test", 10)
        with Image.open(path) as file:
            # Two of them have 16 bits, of which Pillow reads the upper 8.
            picture = file.convert("RGB")
        scale = 48 / min(picture.size)
        small = picture.resize(tuple(max(48, round(side * scale)) for side in picture.size))
        values = torch.from_numpy(np.array(small)).permute(2, 0, 1)
        random = np.random.default_rng(number)
        for _ in range(count):
            top, left = (int(random.integers(side - 31)) for side in values.shape[1:])
            found[split][0].append(values[:, top : top + 32, left : left + 32])
            # The script makes seven kinds of scenes in turn.
            found[split][1].append(int(path.stem) % 7)
    return {split: (torch.stack(x), torch.tensor(y)) for split, (x, y) in found.items()}


def pictures(name: str, folder: Path | None, cache: Path) -> dict[str, Any]:
    """``uint8`` pictures and classes of both splits, made once."""
    path = cache / f"{name}.pt"
    if not path.exists():
        made = parts(folder or Path("photos")) if name == "photos" else idx(name)
        order = torch.randperm(len(made["train"][0]), generator=torch.Generator().manual_seed(0))
        made["train"] = made["train"][0][order], made["train"][1][order]
        torch.save(made, path)
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


def classifier(name: str, data: dict[str, Any], cache: Path) -> ClassifierFeatures:
    """Features of a classifier of the training pictures, trained once."""
    path, (x, y) = cache / f"{name}-classifier.pt", data["train"]
    features = ClassifierFeatures(DataInfo(tuple(x.shape[1:]), levels=256))
    if path.exists():
        features.load_state_dict(torch.load(path, weights_only=True))
        return features
    features.fit(x.float() / 255, y, seed=0)
    torch.save(features.state_dict(), path)
    return features


@torch.no_grad()
def measured(
    reconstruct: Any, features: ClassifierFeatures, x: torch.Tensor
) -> tuple[dict[str, Any], torch.Tensor]:
    """PSNR and rFID of reconstructions, clamped to the range of pictures, and these."""
    made = torch.cat([reconstruct(some) for some in x.split(250)]).clamp(0, 1)
    errors = (made - x).double().square().flatten(1).mean(1)
    decibels = -10 * errors.log10()
    real, back = (torch.cat([features(part) for part in each.split(500)]) for each in (x, made))
    rfid = frechet_distance(real, back, paired=True)
    mean, spread = float(decibels.mean()), float(decibels.std() / len(x) ** 0.5)
    return {
        "psnr": [round(mean, 2), round(spread, 2)],
        "rfid": [round(rfid.value, 4), round(rfid.standard_error, 4)],
    }, made


def draw(x: torch.Tensor, made: torch.Tensor, path: Path) -> None:
    """Pictures above their reconstructions."""
    from PIL import Image

    rows = torch.stack([x[:48].view(3, 16, *x.shape[1:]), made[:48].view(3, 16, *x.shape[1:])], 1).flatten(
        0, 1
    )
    grid = (
        (255 * rows)
        .round()
        .byte()
        .expand(-1, -1, 3, -1, -1)
        .permute(0, 3, 1, 4, 2)
        .reshape(6 * 32, 16 * 32, 3)
    )
    Image.fromarray(grid.numpy()).resize((1536, 576), Image.Resampling.NEAREST).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=["mnist", "fashion-mnist", "photos"])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--cache", type=Path, required=True, help="folder for data, classifiers and pictures")
    parser.add_argument("--photos", type=Path, help="folder of the pictures of make_photos.py")
    parser.add_argument("--start", type=int, default=1000, help="step at which the patch critic begins")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.cache.mkdir(exist_ok=True)
    data = pictures(options.data, options.photos, options.cache)
    features = classifier(options.data, data, options.cache)
    clock = Clock(options.seconds)
    parameters, reconstruct = trained(options.side, data["train"][0], clock, options.start, options.seed)
    x = data["test"][0][:TEST].float() / 255
    found = {
        "data": options.data,
        "side": options.side,
        "seconds": round(clock.passed),
        "steps": clock.steps,
        "parameters": parameters,
    }
    numbers, made = measured(reconstruct, features, x)
    draw(x, made, options.cache / f"{options.data}-{options.side}.png")
    print(json.dumps(found | numbers), flush=True)


if __name__ == "__main__":
    main()
