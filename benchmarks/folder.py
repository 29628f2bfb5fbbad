"""A folder of photographs: pictures a second in the first epoch and in later ones, seconds to the first batch of a second run.

    python benchmarks/folder.py

It makes 3,000 JPEGs of 640×480 in a temporary folder, smooth noise with as many details as photographs have, and reads them at
64×64 and 128×128: with genmod, with torchvision's ``ImageFolder`` and a ``DataLoader`` of 0 and 2 workers, and with the decoder
of torchvision alone, which neither scales nor collects. Each turn is a process of its own; the time to import torch is not
counted. Turns are interleaved, and medians printed as a table. Files are in the system's page cache throughout. It takes a few
minutes on 2 cores that do nothing else.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH = 128
SIDES = {
    "genmod": "genmod",
    "genmod, more than fits in memory": "genmod streamed",
    "genmod, `decode=whole`": "genmod whole",
    "DataLoader": "loader 0",
    "DataLoader, 2 workers": "loader 2",
    "torchvision decodes alone": "decoder 1",
    "the same, 2 threads": "decoder 2",
}


def make(folder, count):
    """Pictures like photographs: mixtures of octaves of noise, about 60 KB each."""
    import numpy as np
    from PIL import Image, ImageChops

    rng = np.random.default_rng(0)

    def field():
        total = np.zeros((480, 640, 3), np.float32)
        for size in (4, 8, 16, 32, 64, 128, 256):
            coarse = rng.normal(size=(size * 3 // 4 + 1, size + 1, 4)).astype(np.float32)
            colours = coarse[..., :3] * 0.4 + coarse[..., 3:]
            for i in range(3):
                fine = Image.fromarray(colours[..., i]).resize((640, 480), Image.Resampling.BICUBIC)
                total[..., i] += np.asarray(fine) * (4 / size) ** 0.7
        total += 0.08 * rng.normal(size=(480, 640, 1))
        return Image.fromarray((total * 55 + 128).clip(0, 255).astype(np.uint8))

    fields = [field() for _ in range(24)]
    folder.mkdir(parents=True)
    for i in range(count):
        one, other = (
            ImageChops.offset(fields[k], int(rng.integers(640)), int(rng.integers(480)))
            for k in rng.choice(len(fields), 2, replace=False)
        )
        path = folder / f"{i:05}.jpg"
        Image.blend(one, other, float(rng.random())).save(path, quality=90)
        os.utime(path, (1_600_000_000, 1_600_000_000))  # what has just changed is not kept


def epochs_of(batches):
    """Seconds to the first batch, and pictures a second in the first epoch and in later ones; ``batches`` gives an epoch."""
    begun = time.perf_counter()
    per_epoch = 0
    for x in batches():
        if not per_epoch:
            first_batch = time.perf_counter() - begun
        per_epoch += len(x)
    first = time.perf_counter() - begun
    later, again, seen = 0.0, 0, 0
    while later < 1.0 or not again:  # long enough to be measured
        begun = time.perf_counter()
        seen += sum(len(x) for x in batches())
        later, again = later + time.perf_counter() - begun, again + 1
    assert seen == per_epoch * again
    return {"batch": first_batch, "first": per_epoch / first, "later": seen / later}


def of_genmod(folder, size, how):
    import torch

    from genmod.plugins.datasets import _picture_split
    from genmod.plugins.datasets.image_folder import ImageFolder
    from genmod.training.batches import Batches

    if how == "streamed":
        _picture_split._IN_MEMORY = 0
    made = []

    def batches():
        if not made:
            decode = "whole" if how == "whole" else "scaled"
            data = ImageFolder(Path(), path=folder, size=size, decode=decode)
            made.append(Batches(data.split("train"), BATCH, seed=0, device=torch.device("cpu")))
            made.append(0)
        for _ in range(made[0].per_epoch):
            yield made[0][made[1]].x
            made[1] += 1

    return epochs_of(batches)


def of_loader(folder, size, workers):
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = v2.Compose([v2.Resize(size), v2.CenterCrop(size), v2.PILToTensor()])
    made = []

    def batches():
        if not made:
            data = ImageFolder(folder, steps)
            more = {"persistent_workers": True} if workers else {}
            made.append(DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=workers, **more))
        return (x for x, _ in made[0])

    return epochs_of(batches)


def of_decoder(folder, threads):
    from concurrent.futures import ThreadPoolExecutor

    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    paths = sorted(map(str, folder.rglob("*.jpg")))
    with ThreadPoolExecutor(threads) as pool:
        begun = time.perf_counter()
        sum(pool.map(lambda path: len(decode_jpeg(read_file(path), ImageReadMode.RGB)), paths))
        return {"first": len(paths) / (time.perf_counter() - begun)}


def side(folder, size, name):
    kind, _, how = name.partition(" ")
    import torch
    import torchvision.transforms.v2  # noqa: F401 - its import is not counted

    if kind == "genmod":
        return of_genmod(folder, size, how)
    if kind == "loader":
        return of_loader(folder, size, int(how))
    torch.set_num_threads(1)
    return of_decoder(folder, int(how))


def turn(folder, size, name, cache):
    command = [sys.executable, __file__, "--folder", str(folder), "--size", str(size), "--side", name]
    environment = {**os.environ, "GENMOD_CACHE": str(cache)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def shown(values, form="{:,.0f}"):
    return form.format(statistics.median(values)) if values else ""


def table(found, size):
    best = statistics.median(found["loader 2"]["first"])
    none = statistics.median(found["loader 0"]["first"])
    print(f"\n{size}×{size}:\n")
    titles = [
        "",
        "first epoch, pictures/s",
        "÷ DataLoader, 0 · 2 workers",
        "later epochs",
        "÷ DataLoader, 0 · 2 workers",
    ]
    print(f"| {' | '.join([*titles, 'first batch, s', 'of the second run'])} |")
    print("|---|---|---|---|---|---|---|")
    for title, name in SIDES.items():
        rates = found[name]
        first, later = statistics.median(rates["first"]), rates.get("later")
        ratios = f"{first / none:.2f} · {first / best:.2f}"
        if later:
            slow, quick = (statistics.median(found[f"loader {i}"]["later"]) for i in (0, 2))
            more = f"{statistics.median(later) / slow:,.1f} · {statistics.median(later) / quick:,.1f}"
        else:
            more = ""
        print(
            f"| {title} | {shown(rates['first'])} | {ratios} | {shown(later)} | {more} "
            f"| {shown(rates.get('batch'), '{:.2f}')} | {shown(rates.get('again'), '{:.2f}')} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time how a folder of photographs is read.")
    parser.add_argument("--count", type=int, default=3000, help="number of pictures")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each")
    parser.add_argument("--sizes", type=int, nargs="*", default=[64, 128], help="pixels of a side")
    parser.add_argument("--folder", type=Path, help="of pictures, in subfolders; made unless given")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(side(arguments.folder, arguments.size, arguments.side)))
        sys.exit()
    with tempfile.TemporaryDirectory() as temporary:
        pictures = arguments.folder
        if pictures is None:
            pictures = Path(temporary, "pictures")
            make(pictures / "all", arguments.count)
        for size in arguments.sizes:
            found = {name: {} for name in SIDES.values()}
            for i in range(arguments.rounds):
                for name in SIDES.values():
                    cache = Path(temporary, f"cache-{size}-{i}-{name.replace(' ', '-')}")
                    for key, value in turn(pictures, size, name, cache).items():
                        found[name].setdefault(key, []).append(value)
                    if name.startswith("genmod"):
                        again = turn(pictures, size, name, cache)["batch"]
                        found[name].setdefault("again", []).append(again)
                    print(f"{size}, turn {i + 1}, {name}: {found[name]}", file=sys.stderr, flush=True)
            table(found, size)
