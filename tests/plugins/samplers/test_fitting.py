"""Fitting a sampler to a model's codes, drawing from it, and keeping it on disk."""

import json
import shutil

import pytest
import torch

import genmod
from genmod.bundle.sampler import read_origin, save_sampler
from genmod.errors import FileError, UndefinedError, UsageError
from genmod.model.assembly import open_dataset
from genmod.model.encode import encode_split
from genmod.registry.lookup import Registry, use_registry
from genmod.system.tensors import fingerprint

SMALL_KDE = {"name": "kde", "points": 300}
QUICK = [
    "gaussian",
    {"name": "gmm", "components": 3},
    SMALL_KDE,
    {"name": "flow", "steps": 10, "hidden": [8]},
    {"name": "vae", "steps": 10, "hidden": [8]},
    {"name": "flow-matching", "steps": 10, "hidden": [8]},
]


def name_of(sampler):
    return sampler if isinstance(sampler, str) else sampler["name"]


def test_autoencoder_cannot_be_sampled_until_a_sampler_is_fitted(autoencoder):
    with pytest.raises(UndefinedError, match="no prior") as raised:
        autoencoder.sample(3)
    assert "genmod fit-sampler" in raised.value.hint
    assert autoencoder.sampler is None
    sampler = genmod.fit_sampler(autoencoder)
    assert autoencoder.sampler is sampler
    assert autoencoder.sample(3, seed=1).shape == (3, 1, 8, 8)
    assert torch.equal(autoencoder.sample(3, seed=1), autoencoder.sample(3, seed=1, source="sampler"))
    with pytest.raises(UndefinedError, match="no prior"):
        autoencoder.sample(3, source="prior")
    autoencoder.attach_sampler(None)
    with pytest.raises(UndefinedError, match="no sampler was fitted"):
        autoencoder.sample(3, source="sampler")
    with pytest.raises(UsageError, match="latents from 'elsewhere'"):
        autoencoder.sample(3, source="elsewhere")


def test_latents_come_from_the_sampler_or_the_prior(vae):
    before = vae.sample(4, seed=2)
    sampler = genmod.fit_sampler(vae, sampler="gaussian")
    assert torch.equal(vae.sample(4, seed=2, source="prior"), before)
    assert not torch.equal(vae.sample(4, seed=2), before)
    torch.manual_seed(5)
    z = sampler().sample((4,))
    torch.manual_seed(5)
    assert torch.equal(vae.latents(4), z)


def test_draws_have_the_moments_of_the_codes(vae):
    codes = encode_split(vae, open_dataset(vae.spec).split("train"), seed=3).draws
    sampler = genmod.fit_sampler(vae, sampler="gaussian", seed=3)
    torch.testing.assert_close(sampler().mean, codes.mean(0))
    z = vae.latents(20_000)
    torch.testing.assert_close(z.mean(0), codes.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(z.T.cov(), codes.T.cov(), rtol=0, atol=0.1)


def test_means_lie_closer_together_than_draws(vae):
    split = open_dataset(vae.spec).split("train")
    coded = encode_split(vae, split)
    draws, means = coded.draws, coded.means
    assert draws.shape == means.shape == (len(split), 3)
    assert (means.std(0) < draws.std(0)).all()
    assert genmod.fit_sampler(vae, sampler="gaussian", codes="means")().variance.sum() < draws.var(0).sum()


def test_draws_and_means_of_a_point_are_the_same(autoencoder):
    split = open_dataset(autoencoder.spec).split("validation")
    coded = encode_split(autoencoder, split)
    assert torch.equal(coded.draws, coded.means)
    torch.testing.assert_close(encode_split(autoencoder, split, limit=7).draws, coded.draws[:7])


def test_model_and_random_state_are_left_as_they_were(vae):
    vae.train()
    state = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    genmod.fit_sampler(vae, sampler={"name": "vae", "steps": 5, "hidden": [8]})
    assert torch.equal(torch.get_rng_state(), before)
    assert vae.training
    assert list(vae.state_dict()) == list(state), "the sampler became a part of the model"
    assert all(torch.equal(tensor, state[name]) for name, tensor in vae.state_dict().items())
    assert not any(p.requires_grad for p in vae.sampler.parameters())


@pytest.mark.parametrize("sampler", QUICK, ids=name_of)
def test_same_seed_same_sampler(autoencoder, sampler):
    first = genmod.fit_sampler(autoencoder, sampler=sampler, seed=4).state_dict()
    torch.randn(3)
    again = genmod.fit_sampler(autoencoder, sampler=sampler, seed=4).state_dict()
    assert all(torch.equal(first[name], tensor) for name, tensor in again.items())


def test_origin(autoencoder):
    news = []
    sampler = genmod.fit_sampler(
        autoencoder, sampler={"name": "kde", "bandwidth": 0.5}, seed=4, on_progress=lambda *x: news.append(x)
    )
    origin = sampler.origin
    assert origin.component.name == "kde"
    assert origin.component.options == {"bandwidth": 0.5, "points": 20_000}
    assert (origin.split, origin.codes, origin.seed, origin.count) == ("train", "draws", 4, 1297)
    assert origin.weights == fingerprint(autoencoder)
    held = encode_split(autoencoder, open_dataset(autoencoder.spec).split("validation"), seed=4).draws
    assert origin.log_density == pytest.approx(float(sampler().log_prob(held).double().mean()))
    assert news[-1] == ("codes", 1297, 1297)


def test_what_is_refused(autoencoder):
    with pytest.raises(UsageError, match="no such option") as raised:
        genmod.fit_sampler(autoencoder, sampler={"name": "gmm", "component": 3})
    assert "genmod show sampler gmm" in raised.value.hint
    with pytest.raises(UsageError, match="gnm"):
        genmod.fit_sampler(autoencoder, sampler="gnm")
    with pytest.raises(UsageError, match="codes is 'modes'"):
        genmod.fit_sampler(autoencoder, codes="modes")
    other = open_dataset(genmod.compose(components={"dataset": "sprites"}))
    with pytest.raises(UsageError, match="built for examples of shape"):
        genmod.fit_sampler(autoencoder, other)
    assert autoencoder.sampler is None


@pytest.mark.parametrize(
    "parts",
    [
        {"recipe": "s-vae"},
        {"recipe": "categorical-vae"},
        {"recipe": "vae", "posterior": "gamma", "prior": "gamma"},
    ],
    ids=["sphere", "simplex", "positive"],
)
def test_latents_that_are_not_real_numbers(parts):
    model = genmod.build(**parts, encoder={"name": "mlp", "hidden": [8]})
    with pytest.raises(UsageError, match="the latents of this model lie in") as raised:
        genmod.fit_sampler(model, sampler="gaussian")
    assert "prior" in raised.value.hint


def test_a_prior_that_could_depend_on_conditions_is_no_obstacle_where_there_are_none():
    model = genmod.build(encoder="mlp", latent=2, prior="mixture", divergence="kl-mc")
    genmod.fit_sampler(model, sampler="gaussian")
    assert model.latents(4).shape == (4, 2)
    given = genmod.build(encoder="mlp", latent=2, prior="mixture", divergence="kl-mc", condition="label")
    with pytest.raises(UsageError, match="latents depend on the conditions"):
        genmod.fit_sampler(given, sampler="gaussian")


@pytest.mark.parametrize("double", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sampler", QUICK, ids=name_of)
def test_it_comes_back_from_disk(autoencoder, sampler, double, tmp_path):
    model = autoencoder.double() if double else autoencoder
    fitted = genmod.fit_sampler(model, sampler=sampler)
    directory = genmod.save(model, tmp_path / "model")
    assert sorted(path.name for path in (directory / "sampler").iterdir()) == [
        "sampler.json",
        "sampler.safetensors",
    ]
    other = genmod.load(directory)
    # The first draw, which reads the file, and the second are the same.
    for _ in range(2):
        assert torch.equal(other.sample(4, seed=1), model.sample(4, seed=1))
    assert other.sampler.origin == fitted.origin == read_origin(directory)
    assert "genmod.plugins" not in (directory / "sampler" / "sampler.json").read_text(), "an import path"
    again = genmod.save(other, tmp_path / "again")
    for name in ("sampler.json", "sampler.safetensors"):
        assert (again / "sampler" / name).read_bytes() == (directory / "sampler" / name).read_bytes()


@pytest.fixture
def saved(autoencoder, tmp_path):
    genmod.fit_sampler(autoencoder, sampler="gaussian")
    return genmod.save(autoencoder, tmp_path / "model")


def test_it_is_written_into_a_directory(autoencoder, tmp_path):
    directory = genmod.save(autoencoder, tmp_path / "model")
    fitted = genmod.fit_sampler(autoencoder, sampler="gaussian")
    assert save_sampler(fitted, directory) == directory / "sampler"
    with pytest.raises(FileError, match="has a sampler already: gaussian") as raised:
        save_sampler(genmod.fit_sampler(autoencoder, sampler=SMALL_KDE), directory)
    assert "--overwrite" in raised.value.hint
    assert read_origin(directory).component.name == "gaussian"
    save_sampler(autoencoder.sampler, directory, overwrite=True)
    assert read_origin(directory).component.name == "kde"
    assert sorted(path.name for path in directory.iterdir()) == ["model.json", "model.safetensors", "sampler"]
    with pytest.raises(FileError):
        save_sampler(fitted, tmp_path / "nowhere")


def test_crash_leaves_the_old_one(saved, autoencoder, monkeypatch):
    before = {path.name: path.read_bytes() for path in (saved / "sampler").iterdir()}
    fitted = genmod.fit_sampler(autoencoder, sampler=SMALL_KDE)

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("genmod.bundle.sampler.write_tensors", fail)
    with pytest.raises(KeyboardInterrupt):
        save_sampler(fitted, saved, overwrite=True)
    assert {path.name: path.read_bytes() for path in (saved / "sampler").iterdir()} == before
    assert genmod.load(saved).sample(2).shape == (2, 1, 8, 8)


def test_weights_that_have_changed(saved, autoencoder):
    shutil.copy(saved / "model.safetensors", saved / "before.safetensors")
    other = genmod.build("autoencoder", encoder={"name": "mlp", "hidden": [16]}, latent=3, seed=9)
    genmod.save(other, saved.parent / "other")
    shutil.copy(saved.parent / "other" / "model.safetensors", saved / "model.safetensors")
    model = genmod.load(saved)  # loading works, and so does all but the sampler
    assert model.encode(torch.zeros(1, 1, 8, 8)).mean.shape == (1, 3)
    with pytest.raises(UndefinedError, match="fitted to other weights") as raised:
        model.sample(2)
    assert f"genmod fit-sampler {saved} --sampler gaussian --overwrite" in raised.value.hint
    again = genmod.save(model, saved.parent / "again")
    assert not (again / "sampler").exists()
    shutil.copy(saved / "before.safetensors", saved / "model.safetensors")
    assert genmod.load(saved).sample(2).shape == (2, 1, 8, 8)


def test_changed_weights_are_saved_without_the_sampler(autoencoder, tmp_path):
    genmod.fit_sampler(autoencoder, sampler="gaussian")
    with torch.no_grad():
        next(autoencoder.parameters()).add_(1)
    assert not (genmod.save(autoencoder, tmp_path / "model") / "sampler").exists()


def test_training_makes_it_useless(vae):
    genmod.fit_sampler(vae, sampler="gaussian")
    vae.sample(2)
    genmod.train(vae, steps=3, device="cpu")
    with pytest.raises(UndefinedError, match="fitted to other weights") as raised:
        vae.sample(2)
    assert "genmod fit-sampler" in raised.value.hint
    assert vae.sample(2, source="prior").shape == (2, 1, 8, 8)
    genmod.fit_sampler(vae, sampler="gaussian")
    assert vae.sample(2).shape == (2, 1, 8, 8)


def test_weights_are_compared_only_when_they_were_touched(vae, monkeypatch):
    genmod.fit_sampler(vae, sampler="gaussian")
    vae.sample(2)
    compared = []
    monkeypatch.setattr(
        "genmod.model.sampling.fingerprint", lambda model: compared.append(1) or fingerprint(model)
    )
    vae.sample(2)
    assert not compared
    vae.load_state_dict(vae.state_dict())
    vae.sample(2)
    assert len(compared) == 1


def test_sampler_of_ones_own(autoencoder, tmp_path):
    from genmod.scaffold.templates.sampler import TemplateSampler

    own = TemplateSampler((3,))
    own.fit(torch.randn(50, 3))
    autoencoder.attach_sampler(own)
    assert autoencoder.sample(3).shape == (3, 1, 8, 8)
    with pytest.raises(UsageError, match="this sampler has no record of what it was fitted to"):
        genmod.save(autoencoder, tmp_path / "model")


DAMAGE = {
    "no json": ("sampler.json", b"{"),
    "no table": ("sampler.json", b"[]"),
    "empty": ("sampler.json", b"{}"),
    "no state": ("sampler.safetensors", None),
    "truncated": ("sampler.safetensors", b"1234567890"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(saved, damage):
    file, content = DAMAGE[damage]
    path = saved / "sampler" / file
    path.unlink() if content is None else path.write_bytes(content)
    model = genmod.load(saved)
    with pytest.raises(FileError) as raised:
        model.sample(2)
    assert "genmod fit-sampler" in raised.value.hint or "damaged" in raised.value.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("count", "many"),
        ("count", 0),
        ("latent_shape", []),
        ("latent_shape", [3.0]),
        ("codes", "modes"),
        ("split", "all"),
        ("weights", 7),
        ("component", {"name": "gaussian"}),
        ("component", {"name": 1, "options": {}, "provider": "", "version": "", "revision": 1}),
        ("log_density", "high"),
    ],
)
def test_wrong_descriptions(saved, key, value):
    path = saved / "sampler" / "sampler.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(FileError, match=r"sampler\.json is damaged"):
        read_origin(saved)


def test_state_of_another_fit(saved, autoencoder, tmp_path):
    """As a copy by hand of one of the two files would make."""
    genmod.fit_sampler(autoencoder, sampler="gaussian", seed=1, codes="means")
    with torch.no_grad():
        autoencoder.sampler.loc.add_(1)
    other = genmod.save(autoencoder, tmp_path / "other")
    shutil.copy(other / "sampler" / "sampler.safetensors", saved / "sampler")
    with pytest.raises(FileError, match=r"not the state that sampler\.json was written with"):
        genmod.load(saved).sample(1)


def test_newer_format_and_missing_plugin(saved):
    path = saved / "sampler" / "sampler.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "format": 99}))
    with pytest.raises(FileError, match="has format 99"):
        genmod.load(saved).sample(1)
    plain["component"] |= {"name": "genmod-mine/best", "provider": "genmod-mine", "version": "1.2"}
    path.write_text(json.dumps(plain))
    with pytest.raises(genmod.PluginError, match="genmod-mine") as raised:
        genmod.load(saved).sample(1)
    assert "pip install genmod-mine==1.2" in raised.value.hint


def test_the_registry_of_loading_is_that_of_sampling(saved):
    registry = Registry(third_party=False)
    with use_registry(registry):
        model = genmod.load(saved)
    assert model.sample(1).shape == (1, 1, 8, 8)
    assert model._sampler


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


STEPPED = [
    {"name": "flow", "steps": 260, "hidden": [8], "transforms": 1},
    {"name": "flow-matching", "steps": 260, "hidden": [8]},
    {"name": "vae", "steps": 460, "hidden": [8]},
]


@pytest.mark.parametrize("sampler", STEPPED, ids=name_of)
def test_a_fit_that_was_killed_goes_on_bit_for_bit(autoencoder, sampler, tmp_path):
    whole = genmod.fit_sampler(autoencoder, sampler=sampler, seed=4).state_dict()
    folder, stop = tmp_path / "fit", 450 if sampler["name"] == "vae" else 250
    news = []

    def kill(what, done, of):
        if what == "fit" and done >= stop:
            raise Killed

    with pytest.raises(Killed):
        genmod.fit_sampler(autoencoder, sampler=sampler, seed=4, folder=folder, on_progress=kill)
    assert folder.is_dir()
    resumed = genmod.fit_sampler(
        autoencoder, sampler=sampler, seed=4, folder=folder, on_progress=lambda *what: news.append(what)
    )
    first = next(done for what, done, _ in news if what == "fit" and done)
    assert stop - 250 < first <= stop, "it began anew"
    assert all(torch.equal(whole[name], tensor) for name, tensor in resumed.state_dict().items())
    assert not folder.exists()


@pytest.mark.parametrize("files", [["results.json"], ["fit.json", "weights.safetensors"]])
def test_a_folder_with_files_of_others_is_left_as_it_is(autoencoder, files, tmp_path):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(genmod.FileError, match="has files"):
        genmod.fit_sampler(
            autoencoder, sampler={"name": "flow-matching", "steps": 2, "hidden": [4]}, folder=tmp_path
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_a_damaged_state_is_none(autoencoder, tmp_path):
    sampler, folder = {"name": "flow-matching", "steps": 120, "hidden": [4]}, tmp_path / "fit"

    def kill(what, done, of):
        if what == "fit" and done == 110:
            raise Killed

    with pytest.raises(Killed):
        genmod.fit_sampler(autoencoder, sampler=sampler, folder=folder, on_progress=kill)
    (folder / "fit.safetensors").write_bytes(b"damaged")
    again = genmod.fit_sampler(autoencoder, sampler=sampler, folder=folder).state_dict()
    whole = genmod.fit_sampler(autoencoder, sampler=sampler).state_dict()
    assert all(torch.equal(whole[name], tensor) for name, tensor in again.items())
    assert not folder.exists()


def test_another_fit_begins_anew(autoencoder, tmp_path):
    folder, sampler = tmp_path / "fit", STEPPED[1]

    def kill(what, done, of):
        if what == "fit" and done >= 150:
            raise Killed

    def steps(**how):
        news = []
        made = genmod.fit_sampler(
            autoencoder, folder=folder, on_progress=lambda *what: news.append(what), **how
        )
        return made, [done for what, done, _ in news if what == "fit"]

    for change in (
        {"seed": 5},
        {"sampler": {**sampler, "lr": 1e-3}, "seed": 4},
    ):
        with pytest.raises(Killed):
            genmod.fit_sampler(autoencoder, sampler=sampler, seed=4, folder=folder, on_progress=kill)
        made, done = steps(**{"sampler": sampler, **change})
        assert done[0] == 1, change
        alone = genmod.fit_sampler(autoencoder, **{"sampler": sampler, **change})
        assert all(
            torch.equal(alone.state_dict()[name], tensor) for name, tensor in made.state_dict().items()
        )
    # What is damaged is not gone on from.
    with pytest.raises(Killed):
        genmod.fit_sampler(autoencoder, sampler=sampler, seed=4, folder=folder, on_progress=kill)
    (folder / "fit.json").write_text("{")
    assert steps(sampler=sampler, seed=4)[1][0] == 1


def test_samplers_without_steps_take_no_folder(autoencoder, tmp_path):
    genmod.fit_sampler(autoencoder, sampler="gaussian", folder=tmp_path / "fit")
    assert not (tmp_path / "fit").exists()


CONDITIONAL = [
    {"name": "flow", "steps": 400, "kind": "maf", "hidden": [16], "transforms": 1, "lr": 1e-2},
    {"name": "flow-matching", "steps": 500, "hidden": [64, 64]},
]


@pytest.mark.parametrize("sampler", CONDITIONAL, ids=name_of)
def test_a_condition_chooses_among_known_normals(sampler):
    """Class 0 is around (1, 0) and narrow, class 1 around (-1, 1) and wide."""
    torch.manual_seed(0)
    loc, scale = torch.tensor([[1.0, 0.0], [-1.0, 1.0]]), torch.tensor([0.5, 1.0])
    labels = torch.arange(2000) % 2
    codes = loc[labels] + scale[labels, None] * torch.randn(2000, 2)
    options = {name: value for name, value in sampler.items() if name != "name"}
    made = genmod.registry.current_registry().find("sampler", sampler["name"]).load()((2,), 2, **options)
    made.fit(codes, context=torch.eye(2)[labels], seed=1)
    p = made.eval().given(torch.eye(2))
    assert p.batch_shape == (2,)
    with torch.no_grad():
        z = p.sample((2000,))
        truth = genmod.diagonal_normal(loc, scale.log()[:, None].expand(2, 2), 1)
        kl = (truth.log_prob(z) - p.log_prob(z)).mean(0)
    torch.testing.assert_close(z.mean(0), loc, rtol=0, atol=0.15)
    torch.testing.assert_close(z.std(0), scale[:, None].expand(2, 2), rtol=0.15, atol=0)
    assert (kl.abs() < 0.15).all()


@pytest.mark.parametrize("sampler", CONDITIONAL, ids=name_of)
def test_a_sampler_of_a_conditional_model_is_given_the_condition(sampler, tmp_path):
    small = {"name": "mlp", "hidden": [16]}
    model = genmod.build("vae", encoder=small, latent=2, condition="label")
    fitted = genmod.fit_sampler(model, sampler={**sampler, "steps": 5}, seed=1)
    assert fitted.origin.context == 10
    coded = encode_split(model, open_dataset(model.spec).split("validation"), seed=1)
    density = float(fitted(coded.context).log_prob(coded.draws).double().mean())
    assert fitted.origin.log_density == pytest.approx(density, abs=1e-5)
    # These codes hardly depend on the labels: what was fitted is made to.
    torch.manual_seed(0)
    for parameter in fitted.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    context = torch.eye(10)[[7, 7, 2]]
    torch.manual_seed(3)
    z = model.latents(3, context)
    torch.manual_seed(3)
    assert torch.equal(z, fitted(context).sample())
    torch.manual_seed(3)
    assert not torch.equal(z[2], model.latents(3, torch.eye(10)[[7, 7, 9]])[2])
    assert model.sample(3, condition="7", seed=0).shape == (3, 1, 8, 8)
    other = genmod.load(genmod.save(model, tmp_path / "model"))
    assert torch.equal(other.sample(4, condition="3", seed=1), model.sample(4, condition="3", seed=1))


def test_a_prior_that_depends_on_conditions_needs_a_sampler_that_does():
    small = {"name": "mlp", "hidden": [8]}
    model = genmod.build(encoder=small, latent=2, prior="conditional", condition="label")
    with pytest.raises(UsageError, match="knows none") as raised:
        genmod.fit_sampler(model, sampler="gaussian")
    assert "flow-matching" in raised.value.hint
    genmod.fit_sampler(model, sampler={"name": "flow-matching", "steps": 5, "hidden": [8]})
    assert model.sample(2, condition="1").shape == (2, 1, 8, 8)


def test_a_sampler_written_before_conditions_were_known(tmp_path):
    """Its description says nothing of a context, and it draws as it did."""
    model = genmod.build(encoder={"name": "mlp", "hidden": [8]}, latent=2)
    genmod.fit_sampler(model, sampler={"name": "flow-matching", "steps": 5, "hidden": [8]})
    directory = genmod.save(model, tmp_path / "model")
    path = directory / "sampler" / "sampler.json"
    plain = json.loads(path.read_text())
    del plain["context"]
    path.write_text(json.dumps(plain))
    assert torch.equal(genmod.load(directory).sample(3, seed=1), model.sample(3, seed=1))
