"""The recipes of the papers: each trains for a few steps, and its loss falls."""

import pytest
import torch

from genmod import Batch, DataInfo, Dataset, TensorSplit, train
from genmod.model.assembly import assemble
from genmod.model.build import compose
from genmod.options.schedule import Schedule

RECIPES = [
    "beta-tcvae",
    "dip-vae-i",
    "dip-vae-ii",
    "hsic-vae",
    "burgess-beta-vae",
    "geco-vae",
    "infovae",
    "wae-mmd",
    "swae",
    "iwae",
    "dreg-iwae",
    "miwae",
    "piwae",
    "ciwae",
    "vr-vae",
    "stl-vae",
    "pvae",
    "iaf-vae",
    "planar-vae",
    "nsf-vae",
    "flow-prior-vae",
    "rnvp-prior-vae",
    "joint-vae",
    "vamp-vae",
    "exemplar-vae",
    "rae-l2",
    "rae-gp",
    "contractive-ae",
    "denoising-ae",
]


class _Blobs(Dataset):
    """Binary images with a bright half, so that there is something to learn in a few steps."""

    info = DataInfo((1, 8, 8), levels=2)

    def split(self, name):
        fixed = torch.Generator().manual_seed(len(name))
        x = (torch.rand(128, 1, 8, 8, generator=fixed) < 0.1).to(torch.uint8)
        left = torch.rand(128, generator=fixed) < 0.5
        x[left, :, :, :4] = 1
        x[~left, :, :, 4:] = 1
        return TensorSplit(Batch(x))


LONG = {"nsf-vae", "rnvp-prior-vae", "vamp-vae", "iaf-vae", "planar-vae", "flow-prior-vae"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in RECIPES]
)
def test_trains(name, tmp_path):
    encoder = {"name": "mlp", "hidden": [32]}
    model = assemble(compose(name, components={"encoder": encoder}), _Blobs.info)
    result = train(model, _Blobs(tmp_path), steps=24, batch_size=32, lr=3e-3, device="cpu")
    losses = [row["loss"] for row in result.rows if row["split"] == "validation"]
    assert losses[-1] < losses[0]
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("ciwae", "objective", {"beta": 0.05, "samples": 64}),
        ("iwae", "objective", {"samples": 50}),
        ("miwae", "objective", {"estimates": 8, "samples": 8}),
        ("piwae", "objective", {"estimates": 8, "samples": 8}),
        ("beta-tcvae", "divergence", {"beta": 6.0, "sampling": "weighted"}),
        ("infovae", "divergence", {"kl": 0.5, "weight": 10.0}),
        ("denoising-ae", "objective", {"mask": 0.25}),
    ],
)
def test_numbers_are_those_that_the_model_has(name, kind, expected):
    model = assemble(compose(name, components={"encoder": "mlp"}), _Blobs.info)
    part = getattr(model, kind)
    found = {key: float(v) if isinstance(v := getattr(part, key), Schedule) else v for key in expected}
    assert found == expected
