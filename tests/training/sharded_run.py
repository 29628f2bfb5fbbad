"""Trains a model whose weights are sharded, in one of several processes: ``RANK SIZE FOLDER JSON``."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

import genmod


def main(rank, size, folder, how):
    torch.set_num_threads(1)
    if size > 1:
        store = dist.FileStore(str(folder.parent / f".store-{folder.name}-{how['meet']}"), size)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    torch.manual_seed(0)
    x = torch.rand(96, 1, 8, 8)
    model = genmod.load(folder, weights="last") if (folder / "model.json").exists() else None
    if model is None:
        model = genmod.build(
            data=x, encoder={"name": "mlp", "hidden": [13, 7]}, latent=3, decoder="bernoulli"
        )
    settings = {"batch_size": 24, "ema": 0.9, "film_every": 0, "checkpoint_every": 2, "device": "cpu"}
    more = {} if how["resume"] else settings
    genmod.train(
        model, x, directory=folder, resume=how["resume"], strategy="fsdp", steps=how["steps"], **more
    )
    if size > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
