"""Whole models, traced and run outside Python, give what PyTorch gives."""

import math

import pytest
import torch
from torch import nn

import genmod
from genmod.data.dataset import DataInfo
from genmod.errors import UndefinedError
from genmod.explorer.graph import decoder_graph, encoder_graph, trace
from genmod.model.assembly import assemble
from genmod.model.build import compose

TOLERANCE = 1e-4
COLOUR = DataInfo((3, 19, 14), levels=256)
FEW_LEVELS = DataInfo((3, 9, 8), levels=16)
TABLE = DataInfo((7,), low=-math.inf, high=math.inf)
COUNTS = DataInfo((7,), high=math.inf, counts=True)


def assembled(data, latent=5, **components):
    return assemble(compose("vae", components=components, latent=latent), data)


def moved(model):
    """With weights that are no longer those of the start, where offsets are 0 and normalisations do nothing."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for name, buffer in model.named_buffers():
            if "running_mean" in name:
                buffer += 0.1
    return model.eval()


def check(run_in_node, model, *, encode=True):
    z = torch.randn(1, *model.latent_shape)
    x = (torch.rand(1, *model.data.shape) > 0.5).float()
    context = [] if model.conditions is None else [model.conditions.chosen(None, 1)]
    cases = [(decoder_graph(model).to_json(), [z, *context])]
    if encode:
        cases.append((encoder_graph(model).to_json(), [x, *context]))
    _, found = run_in_node(cases)
    with torch.no_grad():
        wanted = [model.decode(z, *context).mean, model.encode(model.observe(x), *context).mean]
    for got, exact in zip(found, wanted, strict=False):
        scale = max(1.0, float(exact.abs().max()))
        assert (got - exact.flatten()).abs().max() < TOLERANCE * scale


@pytest.mark.slow
def test_a_model_of_convolutions(run_in_node):
    model = genmod.build(
        encoder="conv", data="digits", latent=3, settings={"network.norm": "group"}, network="conv"
    )
    check(run_in_node, moved(model))


@pytest.mark.slow
@pytest.mark.parametrize("data", [DataInfo((1, 8, 8), levels=2), COLOUR], ids=["digits", "colour"])
@pytest.mark.parametrize("network", ["conv", "mlp", "resnet", "gated-mlp", "linear", "transformer"])
def test_networks_and_their_encoders(run_in_node, network, data):
    encoder = {"linear": "identity"}.get(network, network)
    decoder = "bernoulli" if data.levels == 2 else "gaussian"
    model = assembled(data, encoder=encoder, network=network, decoder=decoder)
    check(run_in_node, moved(model))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        *({"network.activation": name} for name in ("relu", "gelu", "tanh", "elu", "softplus", "leaky-relu")),
        {"network.norm": "batch"},
        {"network.norm": "group"},
        {"network.spectral_norm": True},
    ],
    ids=str,
)
def test_options_of_networks(run_in_node, settings):
    model = genmod.build(encoder="conv", network="conv", data="digits", latent=3, settings=settings)
    check(run_in_node, moved(model))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "data"),
    [
        *(
            (name, FEW_LEVELS)
            for name in (
                "gaussian",
                "continuous-bernoulli",
                "laplace",
                "student-t",
                "beta",
                "categorical",
                "discretized-logistic",
                "discretized-logistic-mixture",
                "log-cosh",
                "ms-ssim",
            )
        ),
        ("gaussian", TABLE),
        *((name, COUNTS) for name in ("poisson", "negative-binomial", "zero-inflated-negative-binomial")),
    ],
)
def test_the_mean_of_every_likelihood(run_in_node, decoder, data):
    model = assembled(data, encoder="mlp", decoder=decoder)
    check(run_in_node, moved(model), encode=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    ["cvae", "s-vae", "categorical-vae", "joint-vae", "rae-sn", "gm-vae", "flow-prior-vae", "vamp-vae"],
)
def test_recipes(run_in_node, recipe):
    check(run_in_node, moved(genmod.build(recipe, data="digits")))


@pytest.mark.slow
def test_latents_of_a_shape_and_squeeze_and_excite(run_in_node):
    model = genmod.build(
        encoder="resnet",
        network="resnet",
        data="digits",
        latent=(2, 2, 2),
        settings={"network.squeeze_excite": True, "encoder.squeeze_excite": True},
    )
    check(run_in_node, moved(model))


def test_what_depends_on_no_input_is_done_before():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 2))

        def forward(self, x):
            return x @ (self.weight.t() * torch.arange(3.0)).t().contiguous().exp()

    graph = trace(Net(), (torch.zeros(1, 3),))
    assert [node[0] for node in graph.nodes] == ["mm"]
    assert [constant.shape for constant in graph.constants] == [(3, 2)]


class Sorted(nn.Module):
    def forward(self, x):
        return x.sort().values + torch.special.digamma(x)


def test_what_a_page_cannot_do_is_refused_by_name():
    with pytest.raises(UndefinedError) as refused:
        trace(Sorted(), (torch.zeros(1, 3),), "decode")
    assert "aten.sort" in str(refused.value)
    assert "aten.digamma" in str(refused.value)
    assert "genmod explore" in refused.value.hint


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_what_cannot_be_traced_is_refused():
    with pytest.raises(UndefinedError, match="cannot trace"):
        trace(Branching(), (torch.zeros(1, 3),), "decode")


@pytest.mark.slow
def test_a_posterior_without_a_mean_cannot_encode_alone():
    model = genmod.build("pvae", encoder="mlp", data="digits").eval()
    assert decoder_graph(model).nodes
    with pytest.raises(UndefinedError, match="mean of its distribution is not known"):
        encoder_graph(model)
