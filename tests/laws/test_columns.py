"""The law of ``columns``: every decoder inside it equals itself alone, whatever stands beside it."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch

from genmod import Batch, DataInfo, TensorSplit, UsageError, compose, evaluate
from genmod.model.assembly import assemble
from genmod.plugins.decoders.columns import ColumnsDecoder
from genmod.system.random import seeded
from genmod.testing.inputs import examples

from .conftest import REGISTRY

RANGES = {
    "bits": {"levels": 2},
    "8 levels": {"levels": 8},
    "8 levels from -1": {"low": -1.0, "levels": 8},
    "8 whole levels": {"high": 7.0, "levels": 8},
    "unit interval": {},
    "real": {"low": -math.inf, "high": math.inf},
    "counts": {"high": math.inf, "counts": True},
}
COLUMNS = 6


@cache
def alone(name, limits, count=COLUMNS):
    """The decoder by itself for a table of such data; None where it refuses them or takes no tables."""
    cls = REGISTRY.find("decoder", name).load()
    try:
        return cls(DataInfo((count,), **RANGES[limits])).double().eval()
    except UsageError:
        return None


PAIRS = [
    (name, limits)
    for name in REGISTRY.names("decoder")
    for limits in RANGES
    if name != "columns" and alone(name, limits) is not None
]


@pytest.mark.parametrize("entries", ["{}*", "{}*2,{}*"])
@pytest.mark.parametrize(("name", "limits"), PAIRS)
@torch.no_grad()
def test_a_decoder_in_columns_is_itself(name, limits, entries):
    info, part = DataInfo((COLUMNS,), **RANGES[limits]), alone(name, limits)
    columns = ColumnsDecoder(info, columns=entries.format(name, name)).double().eval()
    assert (columns.is_density, columns.cell, columns.dequantize) == (
        part.is_density,
        part.cell,
        part.dequantize,
    )
    assert str(columns.support) == str(part.support)
    assert columns.observed == part.observed
    x = examples(info, 50).double()
    for act in ("observe", "dequantized"):
        with seeded(1):
            together = getattr(columns, act)(x)
        with seeded(1):
            pieces = x.split([entry.count for entry in columns.entries], -1)
            apart = [getattr(alone(name, limits, piece.shape[1]), act)(piece) for piece in pieces]
        # A probability has no cells, and is asked for none.
        if act == "observe" or not part.support.is_discrete:
            assert torch.equal(together, torch.cat(apart, -1))
    x = columns.observe(x)
    parameters = torch.randn(50, *part.parameter_shape, dtype=torch.float64)
    axis = parameters.dim() - 1
    pieces = parameters.split([entry.count for entry in columns.entries], axis)
    q, p = columns(torch.cat([piece.flatten(1) for piece in pieces], 1)), part(parameters)
    torch.testing.assert_close(q.log_prob(x), p.log_prob(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(q.mean, p.mean)
    if part.is_density:
        torch.testing.assert_close(q.variance, p.variance)


def model_of(decoder, info):
    components = {"encoder": {"name": "mlp", "hidden": [8]}, "decoder": decoder}
    return assemble(compose(components=components, latent=2), info, seed=1)


FIRST = {name: limits for name, limits in reversed(PAIRS)}


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        pytest.param(name, limits, marks=[pytest.mark.slow] * (limits != FIRST[name]))
        for name, limits in PAIRS
    ],
)
def test_every_number_is_that_of_the_decoder_alone(name, limits):
    """ELBO, rate, distortion, NLL, bits per dimension, and what is refused with which reason."""
    info = DataInfo((COLUMNS,), **RANGES[limits])
    split = TensorSplit(Batch(examples(info, 60)))
    found = []
    for decoder in (name, {"name": "columns", "columns": f"{name}*"}):
        result = evaluate(model_of(decoder, info), split, ["elbo[2]", "nll[5]"])
        reasons = {key: why.replace("columns", name) for key, why in result.undefined.items()}
        found.append(({row.name: row.value for row in result.rows}, reasons))
    assert found[0] == found[1]
    assert all(math.isfinite(value) for value in found[0][0].values())


SAME = [
    (name, "8 levels") for name, limits in PAIRS if limits == "8 levels" and alone(name, limits).is_density
]


@pytest.mark.parametrize("name", [name for name, _ in SAME])
@torch.no_grad()
def test_bits_of_two_kinds_are_those_of_each(name):
    """Beside a categorical, whose bits are a probability's: the mean of both, each as it has them alone."""
    if name == "bernoulli":
        pytest.skip("its columns hold two levels")
    info = DataInfo((COLUMNS,), **RANGES["8 levels"])
    half = replace(info, shape=(COLUMNS // 2,))
    x = examples(info, 4000)
    model = model_of({"name": "columns", "columns": f"{name}*3,categorical*3"}, info)
    for parameter in model.parameters():
        parameter.zero_()
    found = evaluate(model, TensorSplit(Batch(x)), "elbo[1]")["bits_per_dim"]
    apart = []
    for each, values in ((name, x[:, :3]), ("categorical", x[:, 3:])):
        model = model_of(each, half)
        for parameter in model.parameters():
            parameter.zero_()
        apart.append(evaluate(model, TensorSplit(Batch(values)), "elbo[1]")["bits_per_dim"])
    error = math.hypot(found.standard_error, *(row.standard_error for row in apart))
    assert abs(found.value - sum(row.value for row in apart) / 2) <= 4 * error + 1e-6
