"""Models with groups of latents go on from a checkpoint as if they had not been interrupted."""

import os
import signal

import pytest
import torch

import genmod
from genmod import Batch, TensorSplit
from genmod.training.signals import Interrupted

GROUPS = {"name": "hierarchical", "hidden": [8]}
LADDER = {**GROUPS, "ladder": True}


class Rows(genmod.Dataset):
    """Pictures that are drawn once."""

    @property
    def info(self):
        return genmod.DataInfo((1, 8, 8), levels=17)

    def split(self, name):
        fixed = torch.Generator().manual_seed(2)
        return TensorSplit(Batch(torch.randint(17, (48, 1, 8, 8), generator=fixed, dtype=torch.uint8)))


@pytest.mark.parametrize("posterior", [GROUPS, LADDER], ids=["plain", "ladder"])
def test_resumed_in_mid_epoch_to_the_same_bits(tmp_path, monkeypatch, posterior):
    def model():
        return genmod.build(encoder="mlp", latent=4, posterior=posterior, prior=GROUPS, data="digits")

    def go(model, **more):
        data = Rows(tmp_path)
        genmod.train(model, data, **{"steps": 9, "batch_size": 16, "device": "cpu", "seed": 5, **more})

    whole, stopped, again = model(), model(), model()
    go(whole)
    calls, terms = 0, stopped.terms

    def counted(*given):
        nonlocal calls
        calls += 1
        if calls == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return terms(*given)

    monkeypatch.setattr(stopped, "terms", counted)
    with pytest.raises(Interrupted):
        go(stopped, directory=tmp_path / "model")
    go(again, directory=tmp_path / "model", resume=True)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert not torch.equal(whole.prior.lower[0].layers[-1].weight, model().prior.lower[0].layers[-1].weight)
