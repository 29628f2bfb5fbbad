"""What goes up to the Hub: the allowed files, made anew, without paths of the user's machine."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import genmod
from genmod.errors import GenmodError, UsageError
from genmod.hub import push, staging
from genmod.hub.paths import looks_private, without_folders
from genmod.hub.wishes import CardWishes

FILES = {
    "README.md",
    "config.json",
    "model.json",
    "model.safetensors",
    "samples/reconstructions.png",
    "samples/samples.png",
}
QUICK = CardWishes(metrics=())
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # in huggingface_hub


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of a run, with everything that a run leaves, and with files of others."""
    folder = tmp_path_factory.mktemp("run") / "model"
    model = genmod.build(encoder={"name": "mlp", "hidden": [4]}, latent=2)
    genmod.train(model, steps=2, device="cpu", directory=folder, checkpoint_every=1)
    (folder / "samples" / "notes.png").write_bytes(b"mine")
    (folder / "secret.pkl").write_bytes(b"mine")
    (folder / "plugin.py").write_text("print('mine')")
    return folder


def test_exactly_the_allowed_files_go_up(hub, command, trained, fake):
    code, out, err = command("push", trained, "me/digits", "--licence", "mit", "--metric", "elbo")
    assert code == 0, err
    files = hub.files("me/digits")
    assert set(files) == FILES
    # Nothing else was sent under way, either.
    assert set(hub.large.values()) == {
        files[name] for name in FILES if name.endswith((".png", ".safetensors"))
    }
    for name, size in (line.split("\t") for line in out.splitlines()[1:-1]):
        assert len(files[name]) == int(size)
    assert out.splitlines()[-1].startswith(f"{hub.url}/me/digits/commit/")
    everything = b"".join([*files.values(), out.encode(), err.encode()])
    for private in (str(trained.parent), str(Path.home()), fake.TOKEN):
        assert private.encode() not in everything
    assert hub.repositories["me/digits"].messages[-1] == "Push model using genmod."
    assert "2 steps in" in files["README.md"].decode()
    assert "shows examples of the test data" in err


def test_nothing_is_sent_by_a_dry_run(hub, command, trained, fake):
    code, out, err = command(
        "push", trained, "me/digits", "--dry-run", "--json", "--no-examples", "--metric", "elbo"
    )
    assert code == 0, err
    assert hub.requests == []
    document = json.loads(out)
    assert set(document["files"]) == FILES - {"samples/reconstructions.png"}
    assert document["url"] is None
    assert fake.TOKEN not in out + err


def test_of_paths_the_last_name_stays(hub, command, tmp_path):
    place = tmp_path / "home of ann" / "patients.npz"
    place.parent.mkdir()
    np.savez(place, x=np.random.default_rng(0).random((40, 3)))
    model = genmod.build(data=str(place), encoder={"name": "mlp", "hidden": [4]}, latent=2)
    genmod.save(model, tmp_path / "model")
    code, _, err = command("push", tmp_path / "model", "me/table")
    assert code == 0, err
    assert "stripped, model: dataset.path: of a path 'patients.npz' stays" in err
    files = hub.files("me/table")
    assert b"home of ann" not in b"".join(files.values())
    assert json.loads(files["model.json"])["components"]["dataset"]["options"]["path"] == "patients.npz"
    # The directory itself is as it was.
    assert "home of ann" in (tmp_path / "model" / "model.json").read_text()
    assert genmod.from_pretrained("me/table").sample(2).shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/home/ann/x.npz", "x.npz"),
        ("~/x.npz", "x.npz"),
        (r"C:\Users\ann\x.npz", "x.npz"),
        (r"\\server\share\x.npz", "x.npz"),
        ("s3://bucket/x.npz", "x.npz"),
        ("../ann/x.npz", "x.npz"),
        ("data/../../ann", "ann"),
        ("/", ""),
        ("..", ""),
    ],
)
def test_private_paths(text, name):
    assert looks_private(text)
    assert without_folders({"a": [text, 3]}) == ({"a": [name, 3]}, {"a[0]": name})


@pytest.mark.parametrize("text", ["x.npz", "data/x.npz", "a..b", "0->1/1000", "relu", "1/2", ""])
def test_what_is_no_private_path_stays(text):
    assert without_folders({"a": text}) == ({"a": text}, {})


def test_files_of_a_model_that_are_there_no_more_go_away(hub, small):
    hub.put(
        "me/digits",
        {"sampler/sampler.json": b"{}", "samples/reconstructions.png": b"old", "notes.txt": b"of a person"},
    )
    push(small, "me/digits", CardWishes(metrics=(), examples=False))
    assert set(hub.files("me/digits")) == FILES - {"samples/reconstructions.png"} | {"notes.txt"}


@pytest.mark.slow
def test_a_sampler_goes_with_the_model(hub):
    model = genmod.build("autoencoder", encoder={"name": "mlp", "hidden": [4]}, latent=2)
    model.attach_sampler(genmod.fit_sampler(model, sampler="gaussian"))
    push(model, "me/ae", QUICK)
    assert {"sampler/sampler.json", "sampler/sampler.safetensors"} < set(hub.files("me/ae"))
    assert genmod.from_pretrained("me/ae").sample(3, seed=0).equal(model.sample(3, seed=0))
    model.attach_sampler(None)
    done = push(model, "me/ae", QUICK)
    assert set(hub.files("me/ae")) == FILES - {"samples/samples.png"}
    assert "no prior" in done.problems["samples"]


def test_private_branch_message_and_patterns(hub, small):
    url = small.push_to_hub(
        "me/hidden",
        private=True,
        branch="v2",
        commit_message="longer",
        ignore_patterns="*.png",
        config={"mine": 1},
        model_card_kwargs={"metrics": ()},
    )
    repository = hub.repositories["me/hidden"]
    assert repository.private
    assert url.endswith(repository.at("v2"))
    assert repository.messages[-1] == "longer"
    assert hub.files("me/hidden", "main") == {}
    assert set(hub.files("me/hidden", "v2")) == {name for name in FILES if not name.endswith(".png")}
    config = json.loads(hub.files("me/hidden", "v2")["config.json"])
    assert (config["mine"], config["library_name"], config["data_shape"]) == (1, "genmod", [1, 8, 8])


def test_signatures_are_those_of_the_mixin():
    mixin = pytest.importorskip("huggingface_hub").ModelHubMixin
    for name in ("save_pretrained", "from_pretrained", "push_to_hub"):
        theirs = inspect.signature(getattr(mixin, name)).parameters
        theirs = {key: each for key, each in theirs.items() if key != "self"}
        for ours in (getattr(genmod.GenerativeModel, name), getattr(genmod, name)):
            found = dict(inspect.signature(ours).parameters)
            found.pop("model", None)
            found.pop("self", None)
            assert [(each.name, each.kind) for each in found.values()] == [
                (each.name, each.kind) for each in theirs.values()
            ]
            for each, other in zip(found.values(), theirs.values(), strict=True):
                assert each.name == "commit_message" or each.default == other.default


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("model", "a b"), "is no name of a repository"),
        (("model", "me/digits", "--licence", "My Own"), "licence 'My Own' is"),
        (("model", "me/digits", "--metric", "nosuch"), "nosuch"),
        (("model", "me/digits", "--offline"), "--offline or GENMOD_OFFLINE forbids"),
        (("nowhere", "me/digits"), "no model directory nowhere"),
    ],
)
def test_refused_before_anything_is_made(hub, command, small, arguments, said):
    genmod.save(small, "model")
    code, out, err = command(
        *[each for each in arguments if each == "--offline"],
        "push",
        *arguments[arguments[0] == "--offline" :],
    )
    assert (code, out) == (2, "")
    assert said.replace("licence 'My Own' is", "licence 'My Own' is") in err
    assert hub.requests == []


def test_what_the_hub_refuses_is_said_in_a_line(hub, command, small, monkeypatch):
    genmod.save(small, "model")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    code, _, err = command("push", "model", "me/digits")
    assert code == 1
    assert "error: the Hub does not let you do this with me/digits\n" in err
    assert "hf auth login" in err
    assert "hf_wrong" not in err
    assert hub.repositories == {}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids"):
        small.push_to_hub("me/digits")


def test_without_an_answer(hub, small):
    hub.down = True
    with pytest.raises(GenmodError, match="gives no answer"):
        push(small, "me/digits", QUICK)


def test_the_package_is_named_where_it_is_missing(small, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="need the package huggingface_hub") as refused:
        genmod.from_pretrained("me/digits")
    assert "genmod-torch[hub]" in refused.value.hint


def test_save_pretrained_writes_the_same_and_keeps_a_card_that_was_edited(small, tmp_path):
    folder = tmp_path / "digits"
    assert small.save_pretrained(folder, model_card_kwargs={"metrics": ()}) is None
    (folder / "README.md").write_text("mine")
    small.save_pretrained(folder, model_card_kwargs={"metrics": ()})
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == FILES
    assert (folder / "README.md").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits"]
    assert genmod.GenerativeModel.from_pretrained(folder).sample(2, seed=1).equal(small.sample(2, seed=1))
    (folder / "run.json").write_text("{}")
    with pytest.raises(UsageError, match=r"other files than a model for the Hub: run.json"):
        small.save_pretrained(folder)
    with pytest.raises(UsageError, match="takes no licence"):
        small.save_pretrained(tmp_path / "other", model_card_kwargs={"licence": "mit"})
    assert not (tmp_path / "other").exists()


def test_save_pretrained_leaves_models_of_others_alone(small, tmp_path):
    for name in ("README.md", "config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(
        UsageError, match=r"Hub: README\.md, config\.json, model\.safetensors; it is left alone"
    ):
        small.save_pretrained(tmp_path, model_card_kwargs={"metrics": ()})
    assert (tmp_path / "model.safetensors").read_text() == "{}"


def test_what_is_put_there_meanwhile_stays(small, tmp_path, monkeypatch):
    folder, put = tmp_path / "digits", {"README.md": "mine"}

    def stage(*arguments, **how):
        staged = staging.stage(*arguments, **how)
        for name, text in put.items():
            (folder / name).write_text(text)
        return staged

    small.save_pretrained(folder, model_card_kwargs={"metrics": ()})
    monkeypatch.setattr("genmod.hub.methods.stage", stage)
    small.save_pretrained(folder, model_card_kwargs={"metrics": ()})
    assert (folder / "README.md").read_text() == "mine"
    put["notes.txt"] = "years of work"
    with pytest.raises(UsageError, match=r"other files than a model for the Hub: notes\.txt"):
        small.save_pretrained(folder, model_card_kwargs={"metrics": ()})
    assert (folder / "notes.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_a_model_of_the_hub_does_not_give_way(small, tmp_path):
    folder = tmp_path / "digits"
    small.save_pretrained(folder, model_card_kwargs={"metrics": ()})
    before = (folder / "model.safetensors").read_bytes()
    other = genmod.build(encoder={"name": "mlp", "hidden": [4]}, latent=3)
    for how in ({}, {"overwrite": True}):
        with pytest.raises(UsageError, match="holds a model with its card"):
            genmod.save(other, folder, **how)
        with pytest.raises(UsageError, match="holds a model with its card"):
            genmod.train(other, directory=folder, steps=1, device="cpu", **how)
    assert (folder / "model.safetensors").read_bytes() == before
    # Training it goes on from its weights.
    genmod.train(genmod.load(folder), directory=folder, steps=1, device="cpu")
    assert genmod.load(folder).latent_shape == (2,)


def test_a_card_that_is_a_link_is_not_followed(small, tmp_path):
    folder, secret = tmp_path / "digits", tmp_path / "secret"
    small.save_pretrained(folder, model_card_kwargs={"metrics": ()})
    secret.write_text("key")
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to(secret)
    with pytest.raises(UsageError, match=r"other files than a model for the Hub: README\.md"):
        small.save_pretrained(folder, model_card_kwargs={"metrics": ()})
    assert (folder / "README.md").is_symlink()
