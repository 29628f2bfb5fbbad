"""Trains models in as many processes as are asked for, and keeps their weights: a program, and what starts it.

``python several_processes.py RANK SIZE FOLDER``, with the models in ``FOLDER/models.json``.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.distributed as dist

import genmod
from genmod import Batch, DataInfo, Dataset, TensorSplit, UsageError, compose
from genmod.model.assembly import assemble
from genmod.registry.lookup import Registry, use_registry

BATCH = 24
"""Shares of 12 or 8 examples: models have as many draws, latents, projections or classes."""


class _Rows(Dataset):
    def __init__(self, info, x):
        super().__init__(Path())
        self._info, self._x = info, x

    @property
    def info(self):
        return self._info

    def split(self, name):
        return TensorSplit(Batch(self._x))


def _weights(model, steps):
    limits = {name: math.inf if value == "inf" else value for name, value in model.pop("data", {}).items()}
    info = DataInfo(tuple(model.pop("shape", [model.pop("columns", 8)])), **(limits or {"levels": 2}))
    fixed = torch.Generator().manual_seed(5)
    shape = (2 * BATCH, *info.shape)
    x = torch.randint(info.levels or 5, shape, generator=fixed, dtype=torch.uint8)
    settings, latent, double = model.pop("train", {}), model.pop("latent", 8), model.pop("double", False)
    small = {"encoder": {"name": "mlp", "hidden": [16]}, "network": {"name": "mlp", "hidden": [16]}}
    spec = compose(components={**small, **model}, latent=latent)
    made = assemble(spec, info, seed=1)
    if double:
        made.double()
    how = {"steps": steps, "batch_size": BATCH, "device": "cpu", **settings}
    genmod.train(made, _Rows(info, x if info.levels else x.float()), **how)
    whole = [
        each.full_tensor() if hasattr(each, "full_tensor") else each for each in made.state_dict().values()
    ]
    return torch.cat([tensor.double().flatten() for tensor in whole])


def _run(rank, size, folder):
    torch.set_num_threads(1)
    given = json.loads((folder / "models.json").read_text())
    if size > 1:
        store = f"file://{folder / f'store-{size}'}"
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
    found = {}
    with use_registry(Registry(third_party=False).with_files(given["plugins"])):
        for name, model in given["models"].items():
            try:
                found[name] = _weights(model, given["steps"]).tolist()
            except UsageError as error:
                found[name] = f"{error.message} {error.hint}"
    if rank == 0:
        (folder / f"weights-{size}.json").write_text(json.dumps(found))
    if size > 1:
        dist.barrier()
        dist.destroy_process_group()


def trained(folder, models, sizes, *, steps=50, plugins=()):
    """Weights of each model, by the number of processes, or why it was refused."""
    from .started import started  # the program has no package

    given = {"models": models, "steps": steps, "plugins": [str(path) for path in plugins]}
    (folder / "models.json").write_text(json.dumps(given))
    for size in sizes:
        started(__file__, size, folder)
    return {size: json.loads((folder / f"weights-{size}.json").read_text()) for size in sizes}


if __name__ == "__main__":
    _run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
