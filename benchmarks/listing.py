"""Seconds from opening a folder of many pictures to the first batch, the first time, the second, and when a model is trained.

    python benchmarks/listing.py FOLDER --count 100000

The pictures are made where there are none: tiny PNG files, 1,000 to a subfolder. Each start is a process of its own; the time
to import torch is not counted. What is kept for the second start goes to a folder of its own, which is removed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

START = """
import resource, sys, time
from pathlib import Path
import torch
from genmod import DataInfo
from genmod.plugins.datasets.image_folder import ImageFolder
from genmod.training.batches import Batches
begun, worked = time.perf_counter(), time.process_time()
data = ImageFolder(Path(), path=Path(sys.argv[1]), crop=8)
if sys.argv[2] == "trained":
    data.known = DataInfo((3, 8, 8), levels=256)
data.info
described = time.perf_counter() - begun
batches = Batches(data.split("train"), 64, seed=0, device=torch.device("cpu"))
batches[0]
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(described, time.perf_counter() - begun, time.process_time() - worked, most)
"""


def make(folder, count):
    """Tiny pictures of 8×8 pixels; few contents, since many names are what matters."""
    from PIL import Image

    contents = []
    for i in range(64):
        content = BytesIO()
        Image.new("RGB", (8, 8), (4 * i, 255 - 4 * i, i)).save(content, "PNG")
        contents.append(content.getvalue())
    for i in range(count):
        if i % 1000 == 0:
            place = folder / f"{i // 1000:04}"
            place.mkdir(parents=True)
        (place / f"{i:07}.png").write_bytes(contents[i % 64])
    time.sleep(3)  # what has changed within two seconds is not kept


def start(folder, cache, how):
    """Seconds until the data are described and until the first batch is there, those of the processor, and MiB at most."""
    environment = {**os.environ, "GENMOD_CACHE": cache}
    command = [sys.executable, "-c", START, str(folder), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return map(float, done.stdout.split())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time the first and the second start on many pictures.")
    parser.add_argument("folder", type=Path, help="of the pictures; made where it does not exist")
    parser.add_argument("--count", type=int, default=100_000, help="number of pictures")
    arguments = parser.parse_args()
    if not arguments.folder.exists():
        make(arguments.folder, arguments.count)
    print("start       described  first batch  processor     MiB")
    with tempfile.TemporaryDirectory() as cache:
        for name, where in (("not kept", "0"), ("first", cache), ("second", cache), ("trained", cache)):
            described, read, worked, memory = start(arguments.folder, where, name)
            print(f"{name:10} {described:8.1f} s {read:10.1f} s {worked:8.1f} s {memory:7,.0f}", flush=True)
