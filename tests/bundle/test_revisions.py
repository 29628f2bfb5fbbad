"""Models that were saved when draws at the edge were scored beside where they lie: they load, and are told apart."""

import json

import pytest
import torch

import genmod

PARTS = ["relaxed-bernoulli", "relaxed-categorical", "logistic-normal", "wrapped-normal", "gamma", "product"]


@pytest.mark.parametrize("prior", PARTS)
def test_models_of_before_load(prior, tmp_path):
    posterior = "normal-full" if prior == "gamma" else prior
    model = genmod.build(
        encoder={"name": "mlp", "hidden": [8]},
        posterior=posterior,
        prior="normal" if posterior == "normal-full" else prior,
        divergence="kl-mc",
        latent=5,
    ).eval()
    genmod.save(model, tmp_path / "m")
    file = tmp_path / "m" / "model.json"
    text = json.loads(file.read_text())
    names = {"posterior", "prior"} if posterior == prior else {"posterior"}
    parts = text["spec"]["components"] if "spec" in text else text["components"]
    for kind in names:
        assert parts[kind]["revision"] == 2
        parts[kind]["revision"] = 1
    file.write_text(json.dumps(text))
    again = genmod.load(tmp_path / "m")
    assert {again.spec.components[kind].revision for kind in names} == {2}
    x = torch.rand(4, 1, 8, 8)
    torch.manual_seed(0)
    expected = model.terms(x).total
    torch.manual_seed(0)
    assert torch.equal(again.terms(x).total, expected)
