"""``genmod fit-sampler``, and ``genmod sample`` after it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import genmod as library


@pytest.fixture
def autoencoder(genmod):
    """A plain autoencoder in the default directory."""
    model = library.build("autoencoder", encoder={"name": "mlp", "hidden": [8]}, latent=3)
    library.save(model, "model")
    return model.eval()


def images(path):
    with np.load(path, allow_pickle=False) as file:
        return torch.from_numpy(file["images"])


def test_an_autoencoder_generates(genmod, autoencoder):
    refused = genmod("sample")
    assert refused.code == 2
    assert "genmod fit-sampler" in refused.err
    assert "latents from the" not in refused.err
    done = genmod("fit-sampler", "--sampler", "gmm", "-s", "sampler.components=4", "--seed", 3)
    assert (done.code, done.out) == (0, "model/sampler\n")
    assert "fitted gmm to 1,297 codes; log p(z) of held-out codes " in done.err
    assert done.err.endswith("next: genmod sample\n")
    sampled = genmod("sample", "-n", 5, "-o", "x.npz")
    assert sampled.code == 0
    assert "latents from the sampler, gmm\n" in sampled.err
    assert "latents from" not in genmod("sample", "-q").err
    wanted = library.fit_sampler(autoencoder, sampler={"name": "gmm", "components": 4}, seed=3)
    assert wanted.logits.shape == (4,)
    assert torch.equal(images("x.npz"), autoencoder.sample(5, seed=0))
    prior = genmod("sample", "--from", "prior")
    assert prior.code == 2
    assert "no prior" in prior.err


def test_where_latents_come_from(genmod):
    library.save(library.build(encoder={"name": "mlp", "hidden": [8]}, latent=3), "model")
    before = genmod("sample", "-n", 3, "-o", "a.npz")
    assert "latents from the prior, normal\n" in before.err
    refused = genmod("sample", "--from", "sampler")
    assert refused.code == 2
    assert "genmod fit-sampler" in refused.err
    assert genmod("fit-sampler", "--sampler", "gaussian", "--codes", "means").code == 0
    assert "latents from the sampler, gaussian\n" in genmod("sample", "-n", 3, "-o", "b.npz").err
    assert "latents from the prior" in genmod("sample", "-n", 3, "--from", "prior", "-o", "c.npz").err
    assert genmod("sample", "-n", 3, "--from", "sampler", "-o", "d.npz").code == 0
    assert torch.equal(images("a.npz"), images("c.npz"))
    assert torch.equal(images("b.npz"), images("d.npz"))
    assert not torch.equal(images("a.npz"), images("b.npz"))
    assert genmod("sample", "--from", "elsewhere").code == 2


def test_a_sampler_is_not_lost(genmod, autoencoder):
    assert genmod("fit-sampler", "--sampler", "gaussian").code == 0
    again = genmod("fit-sampler", "--sampler", "kde")
    assert (again.code, again.out) == (2, "")
    assert "model has a sampler already: gaussian" in again.err
    assert "--overwrite" in again.err
    assert "latents from the sampler, gaussian" in genmod("sample").err
    assert genmod("fit-sampler", "--sampler", "kde", "--overwrite").code == 0
    assert "latents from the sampler, kde" in genmod("sample").err


def test_a_model_that_was_trained_again(genmod, autoencoder):
    assert genmod("fit-sampler", "--sampler", "gaussian").code == 0
    done = genmod("train", "--steps", 2, "--device", "cpu")
    assert done.code == 0, done.err
    stale = genmod("sample")
    assert stale.code == 2
    assert "the sampler in " in stale.err
    assert "was fitted to other weights than the model has now" in stale.err
    assert "--sampler gaussian --overwrite" in stale.err
    assert genmod("reconstruct").code == 0
    assert genmod("fit-sampler", "--overwrite", "--sampler", "gaussian").code == 0
    assert genmod("sample").code == 0
    assert genmod("train", "--overwrite", "--steps", 2, "--device", "cpu").code == 0
    assert "no prior" in genmod("sample").err


def test_json(genmod, autoencoder):
    done = genmod("fit-sampler", "--sampler", "gaussian", "--json", "--seed", 2)
    document = json.loads(done.out)
    assert document["directory"] == "model"
    assert (document["count"], document["seed"], document["codes"]) == (1297, 2, "draws")
    assert document["component"]["name"] == "gaussian"
    assert isinstance(document["log_density"], float)


def test_own_data(genmod, autoencoder, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (80, 1, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x=x)
    library.save(
        library.build(
            "autoencoder",
            encoder={"name": "mlp", "hidden": [8]},
            latent=2,
            data={"name": "npz", "path": tmp_path / "x.npz"},
        ),
        "own",
    )
    assert genmod("fit-sampler", "own", "-s", "sampler.components=2").code == 0
    np.savez(tmp_path / "y.npz", x=x[:40])
    done = genmod(
        "fit-sampler",
        "own",
        "--overwrite",
        "-s",
        f"dataset.path={tmp_path / 'y.npz'}",
        "-s",
        "sampler.components=2",
        "--json",
    )
    assert done.code == 0, done.err
    assert json.loads(done.out)["count"] < 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sampler", "gnm"), "gnm"),
        (("-s", "sampler.component=3"), "did you mean components"),
        (("-s", "sampler.components=0"), "sampler.components"),
        (("-s", "components=3"), "is not KIND.OPTION=VALUE"),
        (("-s", "prior.components=3"), "prior.components cannot be set here"),
        (("-s", "sampler.components=2000"), "there are 1297 codes"),
        (("--codes", "modes"), "modes"),
        (("nowhere",), "there is no model directory nowhere"),
    ],
)
def test_mistakes(genmod, autoencoder, arguments, message):
    done = genmod("fit-sampler", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert not (genmod("sample").out), "a sampler was left behind"


def test_latents_elsewhere(genmod):
    library.save(library.build("s-vae", encoder={"name": "mlp", "hidden": [8]}), "model")
    done = genmod("fit-sampler", "--sampler", "kde")
    assert done.code == 2
    assert "sampler 'kde' draws from" in done.err
    assert "hint: sample from the prior" in done.err


def test_damaged_sampler(genmod, autoencoder, tmp_path):
    genmod("fit-sampler", "--sampler", "gaussian")
    path = tmp_path / "here" / "model" / "sampler" / "sampler.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(path).items()}, path)
    done = genmod("sample")
    assert done.code == 2
    assert "is damaged" in done.err
    assert "genmod fit-sampler" in done.err
    assert genmod("fit-sampler", "--sampler", "gaussian", "--overwrite").code == 0
    assert genmod("sample").code == 0


def test_completion(genmod, monkeypatch):
    monkeypatch.setenv("_GENMOD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "genmod fit-sampler --sampler g")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert genmod().out.split() == ["gaussian", "gmm"]


def test_the_same_command_goes_on_with_a_fit_that_was_stopped(genmod, autoencoder, monkeypatch):
    """Its state lies in the folder of the sampler until the fit has ended; the model has no sampler until then."""
    line = ("fit-sampler", "--sampler", "flow-matching", "-s", "sampler.steps=260", "-s", "sampler.hidden=8")
    seen = []

    def stop(self, what, done, of):
        if what == "fit":
            seen.append(done)
            if len(seen) == 150:
                raise KeyboardInterrupt

    monkeypatch.setattr("genmod.cli.progress.StepProgress.__call__", stop)
    assert genmod(*line).code == 130
    assert Path("model/sampler/fit/fit.safetensors").is_file()
    assert "no sampler" in genmod("sample", "--from", "sampler").err
    assert genmod(*line).code == 0
    assert seen[150] == 101
    assert sorted(path.name for path in Path("model/sampler").iterdir()) == [
        "sampler.json",
        "sampler.safetensors",
    ]
