"""Models with groups of latents go on from a checkpoint as if they had not been interrupted."""

import pytest
import torch

import genmod
from genmod import Batch, TensorSplit
from genmod.bundle.directory import ModelDirectory
from genmod.training.signals import Interrupted

GROUPS = {"name": "hierarchical", "hidden": [8]}
LADDER = {**GROUPS, "ladder": True}
WIDTH = {"width": 8}
DEEP = {
    "encoder": {"name": "pyramid", **WIDTH},
    "posterior": {"name": "top-down", **WIDTH},
    "prior": {"name": "top-down", **WIDTH},
    "network": "conv-up",
    "settings": {"objective.balance": True, "objective.beta": "0.1->1 over 6 steps"},
}
LEVELS = {
    "plain": {"encoder": "mlp", "latent": 4, "posterior": GROUPS, "prior": GROUPS},
    "ladder": {"encoder": "mlp", "latent": 4, "posterior": LADDER, "prior": GROUPS},
    "deep": {"latent": 2, **DEEP},
}


class Rows(genmod.Dataset):
    """Pictures that are drawn once."""

    @property
    def info(self):
        return genmod.DataInfo((1, 8, 8), levels=17)

    def split(self, name):
        fixed = torch.Generator().manual_seed(2)
        return TensorSplit(Batch(torch.randint(17, (48, 1, 8, 8), generator=fixed, dtype=torch.uint8)))


@pytest.mark.parametrize("levels", list(LEVELS))
def test_resumed_in_mid_epoch_to_the_same_bits(tmp_path, stop_at, levels):
    def model():
        return genmod.build(**LEVELS[levels], data="digits")

    def go(model, **more):
        data, how = Rows(tmp_path), {"ema": 0.9, "skip": 10.2} if levels == "deep" else {}
        how |= {"steps": 9, "batch_size": 16, "device": "cpu", "seed": 5, "log_every": 1, **more}
        return genmod.train(model, data, **how)

    whole, stopped, again = model(), model(), model()
    rows = go(whole).rows
    stop_at(stopped, 5)
    with pytest.raises(Interrupted):
        go(stopped, directory=tmp_path / "model")
    go(again, directory=tmp_path / "model", resume=True)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    start = model().prior.state_dict()
    assert not all(torch.equal(value, start[name]) for name, value in whole.prior.state_dict().items())
    if levels == "deep":
        skipped = [row["skipped"] for row in rows if row["split"] == "train"]
        assert 0 < skipped[-1] < 9
        last = [row for row in ModelDirectory(tmp_path / "model").read_rows() if row["split"] == "train"][-1]
        assert last["skipped"] == skipped[-1]
