"""What is taken from the Hub: the same model, also from the cache; and nothing that could do harm."""

import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import genmod
from genmod.errors import FileError, GenmodError, PluginError, UsageError
from genmod.hub import pull, push
from genmod.hub.wishes import CardWishes

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # in huggingface_hub


@pytest.fixture(scope="module")
def files(small, tmp_path_factory):
    """The files of the small model, as they go up."""
    folder = tmp_path_factory.mktemp("saved") / "digits"
    small.save_pretrained(folder, model_card_kwargs={"metrics": ()})
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def changed(files, **values):
    """The files with entries of ``model.json`` changed, by dotted path with ``__``."""
    plain = json.loads(files["model.json"])
    for path, value in values.items():
        *way, last = path.split("__")
        at = plain
        for name in way:
            at = at[name]
        at[last] = value
    return {**files, "model.json": json.dumps(plain).encode()}


def test_the_same_model_comes_back_and_goes_on_without_the_hub(hub, small, files, monkeypatch):
    hub.put("me/digits", files)
    model = genmod.from_pretrained("me/digits")
    assert model.sample(3, seed=0).equal(small.sample(3, seed=0))
    assert not model.training
    assert type(model).from_pretrained("me/digits", revision=hub.repositories["me/digits"].at("main"))
    hub.requests.clear()
    with monkeypatch.context() as patch:
        patch.setenv("GENMOD_OFFLINE", "1")
        assert genmod.from_pretrained("me/digits").sample(3, seed=0).equal(small.sample(3, seed=0))
        with pytest.raises(FileError, match="not in the cache, and nothing may be downloaded"):
            genmod.from_pretrained("me/other")
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert genmod.from_pretrained("me/digits").latent_shape == (2,)
        with pytest.raises(FileError, match="not in the cache"):
            genmod.from_pretrained("me/other")
    assert genmod.from_pretrained("me/digits", local_files_only=True).latent_shape == (2,)
    assert hub.requests == []
    # A Hub that gives no answer is as good as none.
    hub.down = True
    with pytest.warns(
        genmod.DataWarning, match="the Hub gives no answer; me/digits is what the cache has of it"
    ):
        assert genmod.from_pretrained("me/digits").latent_shape == (2,)
    with pytest.raises(GenmodError, match="gives no answer"):
        genmod.from_pretrained("me/other")


def test_pull_makes_a_model_directory_of_its_own(hub, command, files, tmp_path):
    hub.put("me/digits", {**files, "evil.pkl": b"cos\nsystem\n", "modeling.py": b"boom", "run.json": b"{}"})
    code, out, err = command("pull", "me/digits")
    assert (code, out) == (0, "digits\n")
    assert "left where they are, 3 files that no model of genmod has: evil.pkl, modeling.py, run.json" in err
    assert err.endswith("next: genmod sample digits\n")
    there = {
        path.relative_to("digits").as_posix(): path for path in Path("digits").rglob("*") if not path.is_dir()
    }
    assert {name: path.read_bytes() for name, path in there.items()} == files
    assert not any(path.is_symlink() or path.stat().st_nlink > 1 for path in there.values())
    # They were not even fetched.
    assert not [
        path
        for path in (tmp_path / "cache").rglob("*")
        if path.name in ("evil.pkl", "modeling.py", "run.json")
    ]
    assert [path for path in hub.asked("GET") if path.endswith((".pkl", ".py", "run.json"))] == []
    code, _, err = command("sample", "digits", "-n", "2")
    assert code == 0
    assert "records no training run" not in err
    code, _, err = command("pull", "me/digits")
    assert code == 2
    assert "digits exists and is not empty" in err
    code, out, _ = command("pull", "me/digits", "-o", "again", "--json", "--offline")
    assert (code, json.loads(out)["directory"]) == (0, "again")


def header(length, text=b"{}"):
    """The beginning of a file of tensors."""
    return struct.pack("<Q", length) + text


OTHER = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


class Boom:
    def __reduce__(self):
        return (Path("pwned").touch, ())


HOSTILE = {
    "pickle for weights": (lambda f: {**f, "model.safetensors": pickle.dumps(Boom())}, "model.safetensors"),
    "pickle alone": (
        lambda f: {"pytorch_model.bin": pickle.dumps(Boom())},
        "no model of genmod: it has no model.json",
    ),
    "a bit of the weights": (
        lambda f: {
            **f,
            "model.safetensors": f["model.safetensors"][:-1] + bytes([f["model.safetensors"][-1] ^ 1]),
        },
        "checksum does not match",
    ),
    "a huge header": (lambda f: {**f, "model.safetensors": header(2**62)}, "header has"),
    "weights of another model": (
        lambda f: {
            **f,
            "model.safetensors": header(len(OTHER), OTHER) + bytes(4),
        },
        "does not belong to this model",
    ),
    "no weights": (lambda f: {k: v for k, v in f.items() if k != "model.safetensors"}, "does not exist"),
    "a huge model": (
        lambda f: changed(f, components__encoder__options={"hidden": [10**9]}),
        "",
    ),
    "an import path": (lambda f: changed(f, components__encoder={"module": "os.system"}), "os.system"),
    "another format": (lambda f: changed(f, format=99), "format 99"),
    "a description that is none": (lambda f: {**f, "model.json": b"[" * 100_000}, "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_snapshot_is_refused(hub, files, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, said = HOSTILE[name]
    hub.put("them/model", make(files))
    with pytest.raises(GenmodError) as refused:
        pull("them/model")
    assert said in refused.value.message
    assert "genmod-pull-" not in str(refused.value)
    assert not Path("model").exists()
    assert not Path("pwned").exists()


@pytest.mark.parametrize("provider", ["./mine.py", "genmod-evil"])
def test_a_plugin_that_is_named_is_never_taken_from_there(hub, files, provider, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile = changed(
        files, components__encoder__provider=provider, components__encoder__name=f"{provider}/mlp"
    )
    hub.put(
        "them/model", {**hostile, "mine.py": b"open('pwned', 'w')", "genmod_evil.py": b"open('pwned', 'w')"}
    )
    with pytest.raises(PluginError):
        genmod.from_pretrained("them/model")
    assert not Path("pwned").exists()
    assert not [path for path in hub.asked("GET") if path.endswith(".py")]


def test_sizes_are_checked_before_anything_is_fetched(hub, files):
    hub.put("them/model", files)
    for path, size, said in (
        ("model.json", 10**10, "at most 4,000,000 are allowed"),
        ("samples/samples.png", 10**9, "at most 20,000,000"),
        ("model.safetensors", 10**9, "the model that it describes has at most"),
    ):
        hub.sizes = {path: size}
        hub.requests.clear()
        with pytest.raises(FileError, match=said):
            genmod.from_pretrained("them/model")
        assert not [each for each in hub.asked("GET") if each.endswith(path) and "resolve" in each]


def test_links_that_lead_out_are_refused(hub, files, tmp_path):
    hub.put("them/model", files)
    (tmp_path / "private.json").write_bytes(files["model.json"])
    genmod.from_pretrained("them/model")
    (description,) = (tmp_path / "cache").rglob("model.json")
    # All repositories of a cache may share large files.
    shared = tmp_path / "cache" / "blobs" / "ab" / "0123"
    shared.parent.mkdir(parents=True)
    shared.write_bytes(files["model.json"])
    for target, whole in ((shared, True), (tmp_path / "private.json", False), (tmp_path / "nothing", False)):
        description.unlink()
        description.symlink_to(target)
        if whole:
            assert genmod.from_pretrained("them/model", local_files_only=True).latent_shape == (2,)
        else:
            with pytest.raises(FileError, match=r"leads out of the cache|is not in the cache"):
                genmod.from_pretrained("them/model", local_files_only=True)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(files["model.safetensors"])
    (folder / "model.json").symlink_to(tmp_path / "private.json")
    with pytest.raises(FileError, match="is a link"):
        genmod.from_pretrained(folder)


def test_what_is_not_there(hub, files, small, tmp_path):
    hub.put("me/digits", files)
    with pytest.raises(FileError, match="no revision 'v9'"):
        genmod.from_pretrained("me/digits", revision="v9")
    with pytest.raises(FileError, match="there is no repository me/none"):
        genmod.from_pretrained("me/none")
    with pytest.raises(UsageError, match="is no name of a repository"):
        genmod.from_pretrained("../digits")
    with pytest.raises(UsageError, match="has no revisions"):
        genmod.from_pretrained(tmp_path, revision="v1")
    with pytest.raises(UsageError, match="is a LatentVariableModel, and no Other"):
        type("Other", (type(small),), {}).from_pretrained("me/digits")


def test_parts_that_were_given_in_python_are_given_again(hub):
    from torch import nn

    given = {"encoder": nn.Linear(20, 8), "network": nn.Linear(2, 20)}
    model = genmod.build(data=torch.rand(30, 20), latent=2, decoder="gaussian", **given)
    push(model, "me/mine", CardWishes(metrics=(), examples=False))
    for take in (genmod.from_pretrained, pull):
        with pytest.raises(UsageError, match="parts that were given in Python") as refused:
            take("me/mine")
        assert "genmod.from_pretrained('me/mine', encoder=…, network=…)" in refused.value.hint
    assert genmod.from_pretrained("me/mine", **given).latent_shape == (2,)


@pytest.mark.slow
def test_from_a_process_with_the_variables_alone(fake, small, tmp_path):
    """As users set them: nothing is patched."""
    with fake.FakeHub() as server:
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": fake.TOKEN,
        }
        genmod.save(small, tmp_path / "model")

        def run(line, code=0, **more):
            words = [sys.executable, "-P", "-m", "genmod", *line.split()]
            done = subprocess.run(
                words, cwd=tmp_path, env={**environment, **more}, capture_output=True, text=True, check=False
            )
            assert done.returncode == code, done.stderr
            return done

        run("push model me/digits --metric elbo")
        run("pull me/digits -o online")
        server.requests.clear()
        run("pull me/digits -o offline", HF_HUB_OFFLINE="1")
        run("pull me/digits -o cached --offline")
        refused = run("pull me/other", code=2, HF_HUB_OFFLINE="1")
        assert "is not in the cache" in refused.stderr
        assert server.requests == []
    for name in ("offline", "cached"):
        assert genmod.load(tmp_path / name).sample(2, seed=0).equal(small.sample(2, seed=0))


@pytest.mark.slow
def test_a_sampler_of_other_weights_says_so_when_it_is_used(hub, small, files):
    """As it does in a model directory."""
    model = genmod.build("autoencoder", encoder={"name": "mlp", "hidden": [4]}, latent=2)
    model.attach_sampler(genmod.fit_sampler(model, sampler="gaussian"))
    push(model, "me/ae", CardWishes(metrics=(), examples=False))
    other = genmod.build("autoencoder", encoder={"name": "mlp", "hidden": [4]}, latent=2, seed=1)
    push(other, "me/other", CardWishes(metrics=(), examples=False))
    mixed = {**hub.files("me/ae"), "model.safetensors": hub.files("me/other")["model.safetensors"]}
    hub.put("me/mixed", mixed)
    taken = genmod.from_pretrained("me/mixed")
    with pytest.raises(genmod.UndefinedError, match="fitted to other weights"):
        taken.sample(2)
