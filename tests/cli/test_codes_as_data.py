"""A tokenizer, its codes in a folder, a model and a sampler of them, and pictures in the end."""

import numpy as np
import pytest
import torch

import genmod as library
from genmod.errors import UsageError
from genmod.model.latents_from import LatentsFrom
from genmod.system.tensors import fingerprint

SMALL = ("-s", "encoder.width=8", "-q")
MAP = ("--encoder", "conv-map", "--posterior", "normal-map", *SMALL)


@pytest.fixture
def tokenizer(genmod):
    """A tokenizer of digits in ``tok``, its codes in ``codes``."""
    assert genmod("build", *MAP, "--latent", "3", "-o", "tok").code == 0
    assert genmod("encode", "tok", "-o", "codes", "--with", "scales", "-q").code == 0
    return library.load("tok")


def test_pictures_from_a_model_of_codes(genmod, tokenizer):
    parts = (
        "--encoder",
        "conv-map",
        "-s",
        "encoder.halve=0",
        "-s",
        "encoder.width=8",
        "-s",
        "dataset.codes=draws",
    )
    built = genmod("build", "--data", "codes", *parts, "--condition", "label", "-o", "latents", "-q")
    assert built.code == 0, built.err
    assert genmod("train", "latents", "--steps", "3", "-q").code == 0
    done = genmod("sample", "tok", "--from", "latents", "-n", "6", "--condition", "7", "-o", "out.npz")
    assert (done.code, "latents from the model of codes" in done.err) == (0, True), done.err
    found = np.load("out.npz")
    assert found["images"].shape == (6, 1, 8, 8)
    # What is decoded is what the model of codes draws, in the units of the tokenizer.
    codes = library.load("latents")
    z = torch.from_numpy(found["latents"])
    with torch.no_grad():
        assert torch.equal(tokenizer.eval().decode(z).mean, torch.from_numpy(found["images"]))
    spread = (z - codes.data.beside(codes.data.shift)) / codes.data.beside(codes.data.scale)
    assert 0.3 < float(spread.std()) < 3
    assert (
        genmod("evaluate", "tok", "--metric", "fid", "-s", "fid.samples=100", "--from", "latents", "-q").code
        == 0
    )
    # These are sources of one model alone, and not passed over in silence.
    done = genmod("evaluate", "tok", "--metric", "fid", "--from", "prior")
    assert (done.code, "there is no such directory" in done.err) == (2, True)
    assert genmod("sample", "tok", "--from", "nowhere").code == 2
    assert genmod("sample", "tok", "--from", "tok").code == 2


def test_units_of_a_model_of_codes_are_those_of_the_tokenizer(tokenizer):
    class Known(torch.nn.Module):
        data = library.DataInfo(
            (3, 2, 2), -1e9, 1e9, shift=(1.0, 2.0, 3.0), scale=(4.0, 5.0, 6.0), coded_by=""
        )

        def sample(self, n, *, noise, condition):
            assert noise
            return torch.ones(n, 3, 2, 2)

    known = Known()
    with pytest.raises(UsageError, match="not known to be codes"):
        LatentsFrom(known, tokenizer)
    from dataclasses import replace

    known.data = replace(known.data, coded_by="0" * 64)
    with pytest.raises(UsageError, match="other weights"):
        LatentsFrom(known, tokenizer)
    known.data = replace(known.data, coded_by=fingerprint(tokenizer))
    z = LatentsFrom(known, tokenizer)().sample((2,))
    assert z[1, :, 1, 0].tolist() == [5.0, 7.0, 9.0]


@pytest.mark.slow
def test_integers_become_vectors_of_their_codebook(genmod):
    parts = ("--posterior", "vq", "-s", "posterior.codes=40", "--prior", "categorical")
    assert genmod("build", "--encoder", "conv-map", *SMALL, *parts, "-o", "vq").code == 0
    assert genmod("encode", "vq", "-o", "codes", "--split", "test", "-q").code == 0
    assert (
        genmod(
            "build", "--data", "codes", "--encoder", "mlp", "--decoder", "categorical", "-o", "latents", "-q"
        ).code
        == 0
    )
    model = library.load("vq")
    model.attach_sampler(LatentsFrom(library.load("latents"), model))
    z = model.latents(5)
    assert model.posterior.support.check(z).all()


def test_a_sampler_is_fitted_to_codes_of_a_folder(genmod, tokenizer):
    fit = ("fit-sampler", "tok", "--sampler", "gaussian", "--encoded", "codes", "-q")
    assert genmod(*fit, "--codes", "means").code == 0
    sampler = library.load("tok").sampler
    with torch.no_grad():
        x = library.open_dataset(tokenizer.spec).split("train").in_memory().x
        z = tokenizer.eval().encode(x).mean.flatten(1)
    assert sampler.origin.count == len(z)
    drawn = sampler().sample((4000,)).flatten(1)
    torch.testing.assert_close(drawn.mean(0), z.mean(0), rtol=0, atol=5 * float(z.std(0).max()) / 4000**0.5)
    torch.testing.assert_close(drawn.var(0), z.var(0), rtol=0.15, atol=0)
    assert genmod(*fit, "--overwrite").code == 0
    drawn = library.load("tok").sampler().sample((4000,)).flatten(1).var(0)
    with torch.no_grad():
        q = tokenizer.encode(x)
    expected = q.mean.flatten(1).var(0) + q.variance.flatten(1).mean(0)
    torch.testing.assert_close(drawn, expected, rtol=0.15, atol=0)
    assert genmod("fit-sampler", "tok", "--encoded", "nothing", "--overwrite").code == 2
    assert genmod("build", *MAP, "--latent", "3", "-o", "other", "--seed", "5").code == 0
    done = genmod("fit-sampler", "other", "--encoded", "codes")
    assert (done.code, "other weights" in done.err) == (2, True)
    done = genmod(*fit, "--overwrite", "-s", "dataset.validation=5")
    assert (done.code, "leave out -s dataset.validation, or --encoded" in done.err) == (2, True)


def test_many_codes_are_in_a_file(genmod, tokenizer, monkeypatch, tmp_path):
    from genmod.model import codes_to_fit

    held = library.fit_sampler(tokenizer, sampler="gaussian", seed=1)
    monkeypatch.setattr(codes_to_fit, "_HELD", 100)
    mapped, made = [], torch.from_file
    monkeypatch.setattr(torch, "from_file", lambda *a, **b: mapped.append(a[0]) or made(*a, **b))
    # Where it was not possible to remove a file that is mapped, or the process was killed before.
    (tmp_path / ".codes.0a1b2c3d.tmp").write_bytes(b"left")
    again = library.fit_sampler(tokenizer, sampler="gaussian", seed=1, folder=tmp_path / "fit")
    assert len(mapped) == 1
    assert mapped[0].startswith(str(tmp_path))
    for name, value in held.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert [*tmp_path.glob("**/*.tmp")] == []
