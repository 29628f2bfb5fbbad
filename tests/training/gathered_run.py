"""Trains models in several processes, and notes how many weights are gathered at once: ``RANK SIZE FOLDER``."""

import json
import math
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

import genmod
from genmod.training import late_check, units
from genmod.training.nonfinite import NonFiniteError

MODELS = {
    "layers": {"encoder": {"name": "mlp", "hidden": [48] * 6}},
    "residual blocks": {"encoder": {"name": "resnet", "channels": [8, 16], "blocks": 3, "hidden": 16}},
}
HOW = {
    **{"batch_size": 16, "steps": 3, "device": "cpu", "film_every": 0, "precision": "32"},
    # Adam would make of a rounded gradient near zero a step of its own.
    **{"optimizer": "sgd", "lr": 0.003, "optimizer_options": {"momentum": 0.9}},
}
CASES = {
    "ddp": {"strategy": "ddp"},
    "fsdp": {"strategy": "fsdp"},
    "computed again": {"strategy": "fsdp", "checkpoint_activations": True},
    "in parts": {"strategy": "fsdp", "accumulate": 2},
    "bf16": {"strategy": "fsdp", "precision": "bf16"},
}
ADAM = {**HOW, "strategy": "fsdp", "optimizer": "adamw", "optimizer_options": {}, "clip": 1.0, "ema": 0.9}


X = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def built(name):
    return genmod.build(data=X, **MODELS[name], latent=2)


def watch(model):
    """Numbers in the weights that are whole when a layer computes, forwards or backwards: a list that is filled."""
    found = []

    def note(*given):
        sizes = [(p.numel(), isinstance(p, DTensor)) for p in model.parameters()]
        # Not before they are shared out.
        if any(sharded for _, sharded in sizes):
            found.append(sum(size for size, sharded in sizes if not sharded))

    def noting(module, given, made):
        note()
        if made.requires_grad:
            made.register_hook(note)

    for module in model.modules():
        if any(True for _ in module.parameters(recurse=False)) and not list(module.children()):
            module.register_forward_hook(noting)
    return found


def weights_of(model):
    every = [t.full_tensor() if isinstance(t, DTensor) else t for t in model.state_dict().values()]
    return torch.cat([tensor.double().flatten() for tensor in every]).tolist()


def looked_at_later(devices):
    """Weights after some steps of Adam, and what a step says that gives NaN, with checks as on these types of devices."""
    late_check.RUNS_BEHIND = devices
    model = built("layers")
    genmod.train(model, X, **ADAM)
    weights, said = weights_of(model), ""
    model = built("layers")
    terms, calls = model.terms, 0

    def spoiled(x, context=None):
        nonlocal calls
        # Two computations come before the first step: which blocks there are, and what is drawn.
        calls += model.training
        made = terms(x, context)
        return genmod.Terms(made.loss * math.nan, made.values) if calls == 5 else made

    model.terms = spoiled
    try:
        genmod.train(model, X, **{**ADAM, "steps": 6})
    except NonFiniteError as error:
        said = error.message
    return {"weights": weights, "said": said, "left": weights_of(model)}


def main(rank, size, folder):
    torch.set_num_threads(1)
    units.LEAST = 100
    if size > 1:
        store = dist.FileStore(str(folder / f"store-{size}"), size)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    found = {}
    for name in MODELS:
        for case, more in CASES.items():
            if size == 1 and case not in ("ddp", "in parts"):
                continue
            model = built(name)
            gathered = watch(model)
            genmod.train(model, X, **{**HOW, **more})
            found[f"{name}, {case}"] = {
                "weights": weights_of(model),
                "gathered": max(gathered, default=0),
                "all": sum(p.numel() for p in model.parameters()),
            }
    if size > 1:
        found |= {"at once": looked_at_later(set()), "later": looked_at_later({"cpu"})}
    if rank == 0:
        (folder / f"found-{size}.json").write_text(json.dumps(found))
    if size > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
