"""Parts that were not named adapt to those that were; only what was named is refused."""

import re
import warnings
from functools import partial

import pytest
import torch

import genmod
from genmod.defaults import BARE, USUAL
from genmod.errors import ChoiceWarning, UsageError
from genmod.model.adapt import adapted, named_kinds, with_fitting_parts
from genmod.model.assembly import blueprint
from genmod.model.build import compose
from genmod.model.suggest import with_data
from genmod.options.schema import OptionsError
from genmod.registry.lookup import Registry

SMALL = {"encoder": {"name": "mlp", "hidden": [8]}}
ALONE = [(kind, name) for kind in (*USUAL, "decoder") for name in Registry(third_party=False).names(kind)]
QUICK = [pair for pair in ALONE if pair[0] == "posterior" and pair[1] in ("delta", "vmf", "fsq", "lfq")]
QUICK += [("prior", name) for name in ("bernoulli", "uniform-sphere", "gamma", "none", "conditional")]
QUICK += [("objective", "iwae"), ("divergence", "none"), ("decoder", "poisson")]
NEEDS = {
    ("posterior", "fsq"): "--latent",
    ("posterior", "normal-map"): "--encoder",
    ("prior", "conditional"): "--condition",
    ("prior", "pixelcnn"): "--encoder",
    ("prior", "bernoulli"): "genmod grid --prior bernoulli",
    ("prior", "transformer"): "genmod build rq-vae",
    ("prior", "categorical"): "--posterior vq",
    ("prior", "dirichlet"): "--posterior relaxed-categorical",
    ("prior", "uniform-sphere"): "--posterior vmf",
    ("decoder", "columns"): "--decoder",
    ("decoder", "poisson"): "--data",
    ("decoder", "negative-binomial"): "--data",
    ("decoder", "zero-inflated-negative-binomial"): "--data",
}
"""Parts that need more than others of the model, or go with several, and what the hint offers."""


def built(**components):
    """What a build gives and says."""
    said = []
    spec, info = with_data(compose(components={**SMALL, **components}, latent=16))
    return with_fitting_parts(spec, info, lambda each: blueprint(each, info), said.append), said


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(*pair, id="-".join(pair), marks=[] if pair in QUICK else pytest.mark.slow)
        for pair in ALONE
    ],
)
def test_each_part_alone_gives_a_model_or_a_refusal_of_that_part(kind, name):
    if (kind, name) in NEEDS:
        with pytest.raises(UsageError) as refused:
            built(**{kind: name})
        found = re.findall(r"\b(\w+) '([\w-]+)'", refused.value.message)
        assert (kind, name) in found
        assert {each for each in found if each[0] in USUAL or each[0] == "decoder"} == {(kind, name)}
        assert NEEDS[kind, name] in refused.value.hint
        return
    model, said = built(**{kind: name})
    parts = {each: model.spec.components[each].name for each in USUAL}
    assert model.spec.components[kind].name == name
    usual = {**USUAL, kind: name} if kind in USUAL else USUAL
    changed = {each for each in USUAL if parts[each] != usual[each]}
    assert bool(said) == bool(changed)
    for each in changed:
        assert f"--{each} {parts[each]} in place of {USUAL[each]}" in said[0]


@pytest.mark.parametrize(
    ("named", "chosen"),
    [
        ({"objective": "iwae"}, {"divergence": "none"}),
        ({"posterior": "vmf"}, {"prior": "uniform-sphere"}),
        ({"posterior": "lfq"}, {"prior": "categorical"}),
        ({"posterior": "delta"}, {"divergence": "none", "objective": "reconstruction"}),
        ({"prior": "vamp"}, {"divergence": "kl-mc"}),
        ({"prior": "gamma"}, {"posterior": "gamma"}),
        ({"prior": "none"}, {"divergence": "none", "objective": "reconstruction"}),
        ({"divergence": "none"}, {"objective": "reconstruction"}),
        ({"posterior": "vmf", "objective": "iwae"}, {"prior": "uniform-sphere", "divergence": "none"}),
    ],
)
def test_what_is_chosen(named, chosen):
    model, said = built(**named)
    parts = {kind: model.spec.components[kind].name for kind in USUAL}
    assert parts == {**USUAL, **named, **chosen}
    assert len(said) == 1


@pytest.mark.parametrize(
    "named",
    [
        {"objective": "iwae", "divergence": "kl"},
        {"posterior": "vmf", "prior": "normal"},
        {"posterior": "delta", "divergence": "kl"},
    ],
)
def test_what_was_named_is_refused_and_never_exchanged(named):
    with pytest.raises(UsageError) as refused:
        built(**named)
    assert all(f"{kind} {name!r}" in refused.value.message for kind, name in named.items())


def test_options_and_parts_given_in_python_are_named_too():
    spec = compose(components={"objective": "iwae"}, settings={"divergence.free_bits": 1.0})
    assert named_kinds(spec) == {"objective", "divergence"}
    prior = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2), torch.ones(2)), 1)
    with pytest.warns(ChoiceWarning, match="--divergence none in place of kl"):
        model = genmod.build(encoder="mlp", objective="iwae", prior=prior, latent=2)
    assert model.prior().event_shape == (2,)


def test_python_is_told_and_the_model_is_that_of_the_full_line():
    with pytest.warns(
        ChoiceWarning, match="in place of kl\n.objective 'iwae' would ignore divergence 'kl'"
    ) as told:
        chosen = genmod.build(encoder="mlp", objective="iwae", latent=2)
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = genmod.build(encoder="mlp", objective="iwae", divergence="none", latent=2)
    assert chosen.spec == named.spec
    for one, other in zip(chosen.parameters(), named.parameters(), strict=True):
        assert torch.equal(one, other)


def test_losses_are_not_exchanged_where_posterior_and_prior_do_not_fit():
    spec, info = with_data(compose(components={**SMALL, "posterior": "vmf"}, latent=16))
    tried = []

    def attempt(each):
        tried.append(tuple(each.components[kind].name for kind in USUAL))
        return blueprint(each, info)

    adapted(spec, info, UsageError(""), attempt)
    assert tried == [("vmf", "normal", "kl", "elbo"), ("vmf", "uniform-sphere", "kl", "elbo")]


def test_the_search_draws_no_numbers_that_others_draw():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    built(posterior="lfq")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_recipe_that_fits_is_never_changed():
    for name in ("iwae", "s-vae"):
        spec, info = with_data(compose(name))
        model = with_fitting_parts(spec, info, partial(blueprint, data=info), pytest.fail)
        assert {kind: part.name for kind, part in model.spec.components.items()} == {
            **{kind: part.name for kind, part in spec.components.items()},
            "network": model.spec.components["network"].name,
        }


def test_counts_get_their_likelihood(tmp_path):
    import numpy as np

    np.savez(tmp_path / "c.npz", x_train=np.random.default_rng(0).poisson(3.0, (60, 4)).astype("int32"))
    with pytest.warns(ChoiceWarning, match="none in place of kl"):
        model = genmod.build(data=tmp_path / "c.npz", objective="iwae", settings={"dataset.counts": True})
    assert model.spec.components["decoder"].name == "negative-binomial"


def test_the_command_says_what_it_chose(capsys, monkeypatch, tmp_path):
    from genmod.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as done:
        main(["build", "--encoder", "mlp", "--objective", "iwae"])
    assert not done.value.code
    err = capsys.readouterr().err
    assert "chosen to fit what was named: --divergence none in place of kl\n" in err
    assert genmod.load("model").spec.components["divergence"].name == "none"
    with pytest.raises(SystemExit) as done:
        main(["build", "--encoder", "mlp", "--prior", "uniform-sphere", "-o", "other"])
    assert done.value.code == 2
    assert "name one: --posterior power-spherical or --posterior vmf" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recipe", "named"),
    [("beta-tcvae", {"posterior": "delta"}), ("iwae", {"posterior": "delta"}), ("iwae", {"prior": "none"})],
)
def test_what_a_named_recipe_is_about_is_refused_and_never_exchanged(recipe, named):
    spec, info = with_data(compose(recipe, components={**SMALL, **named}))
    with pytest.raises(UsageError, match="has no density"):
        with_fitting_parts(spec, info, partial(blueprint, data=info), pytest.fail)


def test_an_estimate_of_the_kl_is_not_what_a_recipe_is_about():
    spec, info = with_data(compose("gm-vae", components={**SMALL, "prior": "none"}))
    model = with_fitting_parts(spec, info, partial(blueprint, data=info), lambda text: None)
    assert {kind: model.spec.components[kind].name for kind in BARE} == BARE


def test_a_wrong_option_of_a_part_of_a_part_starts_no_search(monkeypatch):
    monkeypatch.setattr("genmod.model.adapt.adapted", lambda *given, **more: pytest.fail("searched"))
    with pytest.raises(OptionsError, match=r"posterior.parts.normal.wide: no such option") as refused:
        built(posterior={"name": "product", "parts": ["normal:wide=1"]})
    assert refused.value.hint == "genmod show posterior normal"
