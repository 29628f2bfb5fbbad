"""A Bernoulli decoder that begins at the mean of the training data."""

import torch

import genmod
from genmod import Batch, DataInfo, Dataset, TensorSplit

INFO = DataInfo((6,), levels=2)


class Coins(Dataset):
    """Six coins of different odds; the last is never seen on."""

    info = INFO

    def split(self, name):
        generator = torch.Generator().manual_seed({"train": 0, "validation": 1, "test": 2}[name])
        odds = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 0.0])
        x = (torch.rand(400, 6, generator=generator) < odds).to(torch.uint8)
        return TensorSplit(Batch(x))


def build(tmp_path):
    spec = genmod.compose(
        "vae",
        components={
            "encoder": {"name": "mlp", "hidden": [8]},
            "decoder": {"name": "bernoulli", "centred": True},
        },
        latent=2,
    )
    from genmod.model.assembly import assemble

    return assemble(spec, INFO), Coins(tmp_path)


def test_begins_at_the_mean_of_the_training_data(tmp_path):
    model, data = build(tmp_path)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.zero_()
    genmod.train(model, data, steps=1, lr=1e-12, device="cpu")
    mean = data.split("train").batch.x.float().mean(0)
    found = model.decode(torch.zeros(1, 2)).mean[0]
    assert torch.allclose(found[:5], mean[:5], atol=1e-5)
    # What was never on is unlikely, and not impossible.
    assert abs(found[5] - 1e-3) < 1e-6


def test_the_mean_is_saved_and_not_taken_anew(tmp_path):
    model, data = build(tmp_path)
    place = tmp_path / "model"
    genmod.train(model, data, directory=place, steps=3, device="cpu")
    kept = model.decoder.offset.clone()
    assert kept.abs().max() > 1
    assert torch.equal(genmod.load(place).decoder.offset, kept)
    again = genmod.load(place, weights="last")

    class Others(Coins):
        def split(self, name):
            return TensorSplit(Batch(1 - super().split(name).batch.x))

    from genmod.model.prepare import prepare_parts

    prepare_parts(again, Others(tmp_path).split("train"), 0, resumed=True)
    assert torch.equal(again.decoder.offset, kept)
    prepare_parts(again, Others(tmp_path).split("train"), 0, resumed=False)
    assert not torch.equal(again.decoder.offset, kept)
