"""``genmod build``: what it writes and says, and everything that it refuses before it writes."""

import errno
import io
import json
import os
import sys
from pathlib import Path

import pytest
import torch

from genmod.system.tensors import read_any_tensors


def stdin(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_default_is_a_vae_in_model(genmod):
    done = genmod("build")
    assert done.code == 0
    assert sorted(path.name for path in Path("model").iterdir()) == ["model.json", "model.safetensors"]
    assert done.err == "wrote model\nnext: genmod train\n"
    assert "encoder\tconv\tgenmod-torch " in done.out
    assert "data 1×8×8 → encoder 256 → posterior 16 → network 1×8×8 → decoder 1×8×8" in done.out


def test_next_step_can_be_pasted(genmod):
    assert genmod("build", "--encoder", "mlp", "-o", "a b").err == "wrote a b\nnext: genmod train 'a b'\n"


def test_json_is_one_document_that_counts_right(genmod):
    import genmod as package

    done = genmod("build", "--encoder", "mlp", "--latent", 3, "-s", "encoder.hidden=20,10", "--json", "-q")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert document["directory"] == "model"
    encoder = document["parts"][0]
    assert encoder["changed"] == {"hidden": [20, 10]}
    assert encoder["parameters"] == 64 * 20 + 20 + 20 * 10 + 10
    model = package.load("model")
    assert document["parameters"] == sum(p.numel() for p in model.parameters())
    assert [stage["shape"] for stage in document["stages"]] == [[1, 8, 8], [10], [3], [1, 8, 8], [1, 8, 8]]


def test_each_part_can_be_named(genmod):
    words = (
        "--encoder mlp --posterior delta --prior none --decoder gaussian --network mlp --divergence none "
        "--objective reconstruction --data digits --latent 5"
    )
    assert genmod("build", *words.split()).code == 0
    saved = json.loads(Path("model/model.json").read_text())
    assert {kind: part["name"] for kind, part in saved["components"].items()} == {
        "encoder": "mlp",
        "posterior": "delta",
        "prior": "none",
        "decoder": "gaussian",
        "network": "mlp",
        "divergence": "none",
        "objective": "reconstruction",
        "dataset": "digits",
    }
    assert saved["latent"] == [5]


def test_same_seed_same_weights(genmod):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert genmod("build", "--encoder", "mlp", "-o", out, "--seed", seed).code == 0
    a, b, c = (Path(out, "model.safetensors").read_bytes() for out in "abc")
    assert a == b != c


def test_dry_run_writes_nothing_and_says_the_same(genmod):
    dry = genmod("build", "beta-vae", "--dry-run", "--json")
    assert (dry.code, list(Path.cwd().iterdir())) == (0, [])
    assert "nothing was written" in dry.err
    real = genmod("build", "beta-vae", "--json")
    assert json.loads(dry.out) | {"directory": "model"} == json.loads(real.out)


def test_dry_run_allocates_no_weights(genmod, monkeypatch):
    monkeypatch.setattr("genmod.model.assembly.assemble", pytest.fail)
    assert genmod("build", "--dry-run").code == 0


def test_weights_that_are_left_to_training_are_those_of_the_seed(genmod):
    small = ("--encoder", "mlp", "-s", "encoder.hidden=8", "--latent", "2", "--seed", "5")
    assert genmod("build", *small, "--no-weights", "-o", "later").code == 0
    assert sorted(path.name for path in Path("later").iterdir()) == ["model.json"]
    assert genmod("build", *small, "-o", "now").code == 0
    assert Path("later/model.json").read_bytes() == Path("now/model.json").read_bytes()
    for name in ("later", "now"):
        assert genmod("train", name, "--steps", "2", "--device", "cpu", "-q").code == 0
    later, now = (read_any_tensors(Path(name) / "last.safetensors") for name in ("later", "now"))
    assert all(torch.equal(later[name], tensor) for name, tensor in now.items())
    assert genmod("build", "--from", "x", "--no-weights").code == 2


SPEC = """
latent = 3
objective = "elbo"

[encoder]
name = "mlp"
hidden = [12]
"""


@pytest.mark.parametrize("name", ["mine.toml", "mine"])
def test_specification_from_a_file(genmod, name):
    Path(name).write_text(SPEC)
    document = json.loads(genmod("build", name, "-s", "encoder.activation=relu", "--json").out)
    assert document["parts"][0]["changed"] == {"hidden": [12], "activation": "relu"}
    assert document["stages"][2]["shape"] == [3]
    assert document["recipe"] == ""


def test_specification_from_standard_input_is_that_of_the_file(genmod, monkeypatch):
    Path("mine.toml").write_text(SPEC)
    for more in ([], ["--latent", "4"], ["--encoder", "mlp"], ["--encoder", "conv", "--prior", "normal"]):
        stdin(monkeypatch, SPEC.encode())
        from_stdin = genmod("build", "-", "--dry-run", "--json", *more)
        assert from_stdin.code == 0
        assert from_stdin.out == genmod("build", "mine.toml", "--dry-run", "--json", *more).out


def test_recipe_is_meant_even_beside_a_file_of_its_name(genmod):
    Path("beta-vae").write_text("not TOML at all")
    assert json.loads(genmod("build", "beta-vae", "--dry-run", "--json").out)["recipe"] == "beta-vae"


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (b"[encoder", ["is not TOML", "Expected ']'"]),
        (b"\xff\xfe", ["UTF-8"]),
        (b"encodr = 'mlp'", ["'encodr'", "encoder, posterior"]),
        (b"encoder = 3", ["encoder is 3"]),
        (b"latent = 0", ["latent is 0"]),
        (b"encoder = {name = 'mlp', hiden = [3]}", ["encoder.hiden", "did you mean hidden?"]),
        (b"encoder = {name = 'mlp', hidden = ['3']}", ["encoder.hidden[0] = '3'"]),
    ],
)
def test_wrong_specifications(genmod, monkeypatch, content, messages):
    Path("wrong.toml").write_bytes(content)
    for argument in ("wrong.toml", "-"):
        stdin(monkeypatch, content)
        done = genmod("build", argument)
        assert (done.code, done.out) == (2, "")
        assert all(message in done.err for message in messages), done.err
        assert not Path("model").exists()


def test_specification_of_no_end(genmod, monkeypatch):
    stdin(monkeypatch, b"#" * 1_000_001)
    done = genmod("build", "-")
    assert done.code == 2
    assert "longer than 1,000,000 bytes" in done.err


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (
            "--encoder cnv",
            ["no encoder 'cnv'", "did you mean conv?", "the encoders are: autoencoder-2d, conv"],
        ),
        ("beta-vea", ["no recipe 'beta-vea'", "did you mean beta-vae"]),
        ("nowhere.toml", ["nowhere.toml does not exist"]),
        ("--latent 0", ["latent is 0", "--latent 16"]),
        ("--latent -3", ["latent is -3"]),
        ("-s encoder", ["'encoder' is not KIND.OPTION=VALUE"]),
        ("-s coder.x=1", ["coder.x", "encoder, posterior"]),
        ("--prior none --divergence kl", ["'none' has no density", "--divergence none"]),
        ("--posterior delta --divergence kl", ["'delta' has no density"]),
        (
            "--divergence none --objective elbo",
            ["objective 'elbo' needs a divergence", "--objective reconstruction"],
        ),
        ("-s decoder.binarize=refuse", ["'bernoulli' is for binary data", "--decoder gaussian"]),
        ("--seed -1", ["--seed"]),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(genmod, arguments, messages):
    done = genmod("build", *arguments.split())
    assert (done.code, done.out) == (2, "")
    assert all(message in done.err for message in messages), done.err
    assert list(Path.cwd().iterdir()) == []


def test_unknown_and_ill_typed_options_are_reported_together(genmod):
    settings = ("encoder.chanels=3", "encoder.norm=btch", "objective.beta=x", "decoder.binarize=maybe")
    done = genmod("build", *(word for setting in settings for word in ("-s", setting)))
    assert done.code == 2
    for message in ("4 mistakes", "encoder.chanels", "did you mean channels?", "did you mean batch?"):
        assert message in done.err
    assert "objective.beta = 'x'" in done.err
    assert "decoder.binarize = 'maybe'" in done.err


def train(directory):
    Path(directory, "run.json").write_text("{}")


def test_trained_model_is_never_overwritten_unasked(genmod, monkeypatch):
    assert genmod("build", "--encoder", "mlp").code == 0
    train("model")
    before = Path("model/model.safetensors").read_bytes()
    monkeypatch.setattr("genmod.model.assembly.assemble", pytest.fail)
    done = genmod("build", "--encoder", "mlp", "--seed", 5)
    assert (done.code, done.out) == (2, "")
    assert "model holds a trained model" in done.err
    assert "--overwrite" in done.err
    assert "-o DIR" in done.err
    assert Path("model/model.safetensors").read_bytes() == before
    monkeypatch.undo()


def test_overwrite_replaces_a_trained_model(genmod):
    assert genmod("build", "--encoder", "mlp").code == 0
    train("model")
    assert genmod("build", "--encoder", "mlp", "--seed", 5, "--overwrite").code == 0
    assert not Path("model/run.json").exists()


def test_untrained_model_is_replaced(genmod):
    assert genmod("build", "--encoder", "mlp").code == 0
    assert genmod("build", "--encoder", "mlp", "--latent", 2).code == 0
    assert json.loads(Path("model/model.json").read_text())["latent"] == [2]


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_folder_of_the_user_is_left_alone(genmod, more):
    Path("model").mkdir()
    Path("model/thesis.tex").write_text("years of work")
    done = genmod("build", *more)
    assert done.code == 2
    assert "model exists and is no genmod model" in done.err
    assert Path("model/thesis.tex").read_text() == "years of work"


def test_file_in_the_place_of_the_directory(genmod):
    Path("model").write_text("mine")
    assert genmod("build", "--overwrite").code == 2
    assert Path("model").read_text() == "mine"


def test_place_that_cannot_be_written(genmod):
    Path("file").write_text("")
    done = genmod("build", "-o", "file/model")
    assert done.code == 2
    assert "file/model" in done.err
    assert "another place" in done.err
    assert "Traceback" not in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_write_permission(genmod):
    Path("locked").mkdir(mode=0o500)
    done = genmod("build", "-o", "locked/model")
    assert done.code == 2
    assert "locked/model" in done.err
    assert "Permission denied" in done.err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_disk_that_fails_midway_leaves_nothing(genmod, monkeypatch, number):
    def fail(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    done = genmod("build", "--encoder", "mlp")
    assert done.code in (1, 2)
    assert os.strerror(number) in done.err
    assert "model" in done.err
    assert "hint: " in done.err
    assert done.out == ""
    assert list(Path.cwd().iterdir()) == []


def test_disk_that_fails_midway_keeps_the_old_model(genmod, monkeypatch):
    assert genmod("build", "--encoder", "mlp").code == 0
    before = {path.name: path.read_bytes() for path in Path("model").iterdir()}

    def fail(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    assert genmod("build", "--encoder", "mlp", "--latent", 2).code != 0
    assert {path.name: path.read_bytes() for path in Path("model").iterdir()} == before


def test_component_of_a_plugin_is_shown_with_its_provider(genmod, plant):
    parts = "from genmod.plugins.encoders.mlp import MlpEncoder\n"
    plant("genmod-other", '"encoder", "wide", "genmod_other.parts:MlpEncoder"', parts=parts)
    for name in ("wide", "genmod-other/wide"):
        done = genmod("build", "--encoder", name)
        assert done.code == 0
        assert "encoder\twide\tgenmod-other 1.5\t" in done.out
    for more, code in ((["--no-plugins"], 2), (["--disable-plugin", "genmod-other"], 2)):
        done = genmod("build", "--encoder", "wide", *more)
        assert done.code == code
        assert "disabled, see `genmod plugins`" in done.err
