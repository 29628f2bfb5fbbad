"""From names to a model: what fits, what does not, and that the latter costs nothing."""

import random

import pytest
import torch
from torch.distributions import Dirichlet, Independent, Normal, constraints

from genmod import (
    Component,
    DataInfo,
    GenmodError,
    PluginError,
    Posterior,
    Prior,
    UndefinedError,
    UsageError,
    build,
    compose,
)
from genmod.interfaces.encoder import Encoder
from genmod.model.assembly import assemble, blueprint, open_dataset
from genmod.model.resolve import resolve
from genmod.options.schema import options_of
from genmod.registry.lookup import Registry
from genmod.registry.provided import Provided
from genmod.spec import MODEL_KINDS, ModelSpec

REGISTRY = Registry(third_party=False)
GREY = DataInfo((1, 8, 8), levels=256)
INFOS = (
    DataInfo((1, 8, 8), levels=2),
    GREY,
    DataInfo((3, 9, 12), low=-1.0, high=1.0),
    DataInfo((12,), low=-torch.inf, high=torch.inf),
)


def with_choices(kind):
    """Every component of a kind, with every choice of its options that are names."""
    for provided in REGISTRY.components(kind):
        yield {"name": provided.name}
        for option in options_of(provided.load()):
            if option.name != "activation":
                yield from ({"name": provided.name, option.name: choice} for choice in option.choices)


def combinations(n):
    """A random part of all combinations of components, half of each being what fits most others."""
    usual = {
        "posterior": "normal",
        "prior": "normal",
        "divergence": "kl",
        "objective": "elbo",
        "decoder": {"name": "gaussian"},
    }
    parts = {
        "encoder": [{"name": name} for name in REGISTRY.names("encoder")],
        "decoder": list(with_choices("decoder")),
        **{kind: REGISTRY.names(kind) for kind in ("posterior", "prior", "divergence", "objective")},
    }
    choose = random.Random(0)

    def one(kind, choices):
        return usual[kind] if kind in usual and choose.random() < 0.5 else choose.choice(choices)

    return [{kind: one(kind, choices) for kind, choices in parts.items()} for _ in range(n)]


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(info, marks=[pytest.mark.slow] * (len(info.shape) == 3 and info is not GREY))
        for info in INFOS
    ],
    ids=lambda info: f"{info.shape}-{info.low}-{info.high}-{info.levels}",
)
def test_every_combination_works_or_is_refused_with_a_way_out(info):
    """Nothing in between: what is accepted has a finite loss and gradients for all parameters."""
    worked, refused = 0, 0
    low, high = max(info.low, -2.0), min(info.high, 2.0)
    x = low + (high - low) * torch.rand(4, *info.shape)
    if info.levels == 2:
        x = x.round()
    for components in combinations(30):
        spec = compose(components=components, latent=3)
        try:
            model = assemble(spec, info, registry=REGISTRY)
        except UsageError as error:
            assert error.hint, components  # noqa: PT017
            refused += 1
            continue
        worked += 1
        terms = model.terms(x)
        assert terms.total.isfinite(), components
        terms.total.backward()
        missing = [
            name
            for name, p in model.named_parameters()
            if p.requires_grad and (p.grad is None or not p.grad.isfinite().all())
        ]
        assert missing == [], components
        assert ("elbo" in terms.values) <= (not model.missing_densities()), components
        if model.prior.has_density:
            assert model.sample(2, seed=0).shape == (2, *info.shape)
    assert worked >= 1
    assert refused >= 1


def test_resolved_specification_is_complete():
    """Every option has a value, every component says where it came from, and resolving again changes nothing."""
    spec = build(encoder="mlp", settings={"objective.beta": 4.0}).spec
    assert set(spec.components) == {*MODEL_KINDS, "dataset"}
    for kind, part in spec.components.items():
        names = {option.name for option in options_of(REGISTRY.find(kind, part.name).load())}
        assert set(part.options) == names
        assert part.provider == "genmod-torch"
        assert part.version
        assert part.revision >= 1
    assert resolve(spec) == spec
    assert ModelSpec.from_json(spec.to_json(), where="here") == spec


def test_resolved_specification_gives_the_same_model():
    model = build(encoder="conv", seed=3)
    again = assemble(model.spec, model.data, seed=3)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True)
    )
    other = assemble(model.spec, model.data, seed=4)
    assert not torch.equal(next(model.parameters()), next(other.parameters()))


def test_decoder_mirrors_the_encoder_unless_another_network_is_named():
    model = build(encoder={"name": "conv", "channels": [8, 16], "norm": "group", "activation": "relu"})
    network = model.spec.components["network"]
    assert network.name == "conv"
    assert {key: network.options[key] for key in ("channels", "norm", "activation")} == {
        "channels": [16, 8],
        "norm": "group",
        "activation": "relu",
    }
    assert build(encoder="conv", network="mlp").spec.components["network"].name == "mlp"


def test_blueprint_has_no_memory_and_the_same_specification():
    spec = compose(latent=7)
    plan = blueprint(spec, GREY)
    assert all(tensor.is_meta for tensor in (*plan.parameters(), *plan.buffers()))
    model = assemble(spec, GREY)
    assert plan.spec == model.spec
    shapes = [{name: tuple(p.shape) for name, p in m.state_dict().items()} for m in (plan, model)]
    assert shapes[0] == shapes[1]
    assert plan.training
    assert model.training


def test_a_model_too_large_is_refused_before_it_is_allocated():
    """Weights of 8 terabytes."""
    spec = compose(components={"encoder": {"name": "mlp", "hidden": [10**6, 10**6]}})
    with pytest.raises(UsageError, match="parameters"):
        assemble(spec, GREY)


@pytest.mark.parametrize(
    ("components", "info", "message"),
    [
        ({"encoder": "conv"}, DataInfo((12,)), r"8×8.*\(12,\)"),
        ({"encoder": "conv"}, DataInfo((1, 4, 4)), "8×8"),
        ({"encoder": {"name": "conv", "channels": [8] * 9}}, GREY, "at most 3"),
        ({"decoder": "bernoulli"}, GREY, "binarize"),
        ({"decoder": "bernoulli"}, DataInfo((1, 8, 8), low=-1.0), "-1"),
        ({"posterior": "delta"}, GREY, "posterior 'delta'"),
        ({"prior": "none"}, GREY, "prior 'none'"),
        ({"divergence": "none"}, GREY, "divergence"),
        ({"objective": "reconstruction"}, GREY, "would ignore"),
        ({"encoder": "cnov"}, GREY, "cnov"),
        ({"encoder": {"name": "conv", "chanels": [1]}}, GREY, "chanels"),
        ({"objective": {"name": "elbo", "free_bits": 0.1, "capacity": 3.0}}, GREY, "capacity"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_way_out(components, info, message):
    if "decoder" not in components:
        components = {"decoder": "gaussian", **components}
    spec = compose("vae", components=components)
    if components["decoder"] == "bernoulli":
        spec = ModelSpec.from_table({"latent": 4, **{k: v.name for k, v in spec.components.items()}})
    for check in (blueprint, assemble):
        with pytest.raises(UsageError, match=message) as caught:
            check(spec, info)
        text = str(caught.value)
        assert caught.value.hint or "did you mean" in text


def test_mistakes_of_all_parts_are_reported_at_once():
    spec = compose(
        settings={"encoder.hiden": 3, "objective.beta": -1, "posterior.x": 1, "decoder.binarize": "often"}
    )
    with pytest.raises(UsageError) as caught:
        resolve(spec)
    for part in ("encoder.hiden", "objective.beta", "posterior.x", "decoder.binarize"):
        assert part in str(caught.value)


def test_a_specification_without_a_part_says_which():
    with pytest.raises(UsageError, match="posterior, prior"):
        resolve(ModelSpec.from_table({"encoder": "mlp"}))


def test_unknown_part_of_a_model():
    with pytest.raises(UsageError, match="encodr"):
        build(encodr="mlp")


def test_dataset_is_opened_by_name(tmp_path):
    dataset = open_dataset(compose(), tmp_path)
    assert dataset.info.shape == (1, 8, 8)
    assert dataset.root == tmp_path


def test_failed_assembly_leaves_the_random_state_and_default_device_alone():
    state = torch.get_rng_state()
    with pytest.raises(UsageError):
        assemble(compose(components={"prior": "none"}), GREY)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.empty(1).device.type == "cpu"


# What a plugin may get wrong; each class here is one component of an imaginary distribution.


class SimplexPosterior(Posterior):
    """Latents on a simplex.

    ``features (B, n) → Dirichlet``
    """

    def __init__(self, feature_shape, latent_shape):
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.simplex
        self.head = torch.nn.Linear(feature_shape[0], latent_shape[0])

    def forward(self, features):
        return Dirichlet(self.head(features).exp(), validate_args=False)


class SimplexPrior(Prior):
    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = constraints.simplex
        self.register_buffer("ones", torch.ones(latent_shape))

    def forward(self):
        return Dirichlet(self.ones, validate_args=False)


class CauchyPrior(Prior):
    """No closed form of the KL is known with a normal."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, 1)
        self.register_buffer("zeros", torch.zeros(latent_shape))

    def forward(self):
        base = torch.distributions.Cauchy(self.zeros, torch.ones_like(self.zeros), validate_args=False)
        return Independent(base, 1, validate_args=False)


class WrongShapePosterior(Posterior):
    def __init__(self, feature_shape, latent_shape):
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, 1)
        self.head = torch.nn.Linear(feature_shape[0], latent_shape[0] + 1)

    def forward(self, features):
        loc = self.head(features)
        return Independent(Normal(loc, torch.ones_like(loc), validate_args=False), 1, validate_args=False)


class WithoutMirror(Encoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (3,)
        self.layer = torch.nn.Linear(data_shape[-1], 3)

    def forward(self, x):
        return self.layer(x.flatten(1, -2)[:, 0])


class Crashing(Encoder):
    def __init__(self, data_shape):
        raise KeyError("a mistake of the author")

    def forward(self, x):
        return x


EXTRA = {
    "simplex-posterior": SimplexPosterior,
    "simplex-prior": SimplexPrior,
    "cauchy-prior": CauchyPrior,
    "wrong-shape": WrongShapePosterior,
    "without-mirror": WithoutMirror,
    "crashing": Crashing,
}


class _Extended(Registry):
    """The built-in components and the classes above, as if a distribution provided them."""

    def find(self, kind, name):
        name = name.removeprefix("genmod-test/")
        if name not in EXTRA:
            return super().find(kind, name)
        return _Given(Component(kind, name, f"here:{EXTRA[name].__name__}"), EXTRA[name])


class _Given(Provided):
    def __init__(self, component, cls):
        super().__init__(component, "genmod-test", "1.0")
        object.__setattr__(self, "_cls", cls)

    def load(self):
        return self._cls


@pytest.fixture
def extended():
    return _Extended(third_party=False)


def test_supports_must_agree(extended):
    spec = compose(components={"posterior": "simplex-posterior", "decoder": "gaussian"}, registry=extended)
    with pytest.raises(UsageError, match=r"[Ss]implex") as caught:
        assemble(spec, GREY, registry=extended)
    assert "genmod list prior" in caught.value.hint
    model = assemble(spec.with_component("prior", "simplex-prior"), GREY, registry=extended)
    assert model.terms(torch.rand(2, 1, 8, 8)).total.isfinite()
    assert model.spec.components["prior"].name == "genmod-test/simplex-prior"


def test_a_prior_whose_forward_takes_no_context_is_called_with_one(extended):
    """As plugins have it that were written when only some priors were given the context."""
    prior, context = SimplexPrior((3,)), torch.rand(5, 2)
    assert prior(context).batch_shape == prior().batch_shape == prior(context=context).batch_shape == ()

    class Scaled(SimplexPrior):
        def forward(self):
            p = super().forward()
            return Dirichlet(2 * p.concentration, validate_args=False)

    assert torch.equal(Scaled((3,))(context).concentration, torch.full((3,), 2.0))
    parts = {"prior": "cauchy-prior", "divergence": "kl-mc", "decoder": "gaussian"}
    spec = compose(components=parts, condition="label", registry=extended)
    model = assemble(spec, DataInfo((1, 8, 8), levels=256, classes=("a", "b")), registry=extended)
    context = model.conditions.chosen("a", 2)
    assert model.terms(torch.rand(2, 1, 8, 8), context).total.isfinite()
    assert model.latents(3, model.conditions.chosen("b", 3)).shape == (3, 16)


def test_kl_without_a_closed_form_names_the_pair_and_the_way_out(extended):
    spec = compose(components={"prior": "cauchy-prior", "decoder": "gaussian"}, registry=extended)
    with pytest.raises(UndefinedError, match=r"Normal.*Cauchy") as caught:
        assemble(spec, GREY, registry=extended)
    assert "kl-mc" in caught.value.hint
    model = assemble(spec.with_component("divergence", "kl-mc"), GREY, registry=extended)
    assert model.terms(torch.rand(2, 1, 8, 8)).total.isfinite()


def test_component_that_breaks_its_word_about_shapes(extended):
    spec = compose(components={"posterior": "wrong-shape", "decoder": "gaussian"}, registry=extended)
    with pytest.raises(PluginError, match=r"wrong-shape.*\(2, 17\).*\(2, 16\)"):
        assemble(spec, GREY, registry=extended)


def test_encoder_without_a_mirror_asks_for_a_network(extended):
    spec = compose(components={"encoder": "without-mirror", "decoder": "gaussian"}, registry=extended)
    with pytest.raises(UsageError, match="mirror") as caught:
        assemble(spec, GREY, registry=extended)
    assert "--network" in caught.value.hint
    assert assemble(spec.with_component("network", "mlp"), GREY, registry=extended).latent_shape == (16,)


def test_component_that_crashes_names_its_plugin(extended):
    spec = compose(components={"encoder": "crashing", "decoder": "gaussian"}, registry=extended)
    with pytest.raises(PluginError, match=r"genmod-test 1\.0"):
        assemble(spec, GREY, registry=extended)


def test_saved_by_a_newer_revision(extended):
    spec = resolve(compose())
    part = spec.components["posterior"]
    newer = spec.with_component(
        "posterior", type(part)(part.name, {}, "genmod-torch", "99.0", part.revision + 1)
    )
    with pytest.raises(GenmodError, match=r"99\.0") as caught:
        assemble(newer, GREY)
    assert "pip install" in caught.value.hint
