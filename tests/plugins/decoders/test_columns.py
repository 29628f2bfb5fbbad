"""A likelihood for each column: against scipy column by column, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import genmod
from genmod import Batch, DataError, DataInfo, TensorSplit, UsageError, compose, evaluate
from genmod.model.assembly import assemble
from genmod.plugins.decoders.columns import ColumnsDecoder
from genmod.plugins.decoders.gaussian import GaussianDecoder
from genmod.registry import Registry, use_registry

COLUMNS = "gaussian*2, bernoulli, categorical:5, poisson, beta, student-t, negative-binomial"


def table(columns, **limits):
    return DataInfo((columns,), **({"low": -math.inf, "high": math.inf} | limits))


def decoder(text, columns, **limits):
    return ColumnsDecoder(table(columns, **limits), columns=text).double().eval()


def example(n=200):
    rng = np.random.default_rng(0)
    return torch.from_numpy(
        np.column_stack(
            [
                rng.normal(size=(n, 2)),
                rng.integers(0, 2, n),
                rng.integers(0, 5, n),
                rng.poisson(3, n),
                rng.beta(2, 3, n),
                rng.standard_t(3, n),
                rng.negative_binomial(3, 0.4, n),
            ]
        )
    )


def test_every_column_against_scipy():
    part = decoder(COLUMNS, 8)
    assert part.parameter_shape == (2 + 1 + 5 + 1 + 2 + 1 + 1,)
    parameters, x = torch.randn(200, 13, dtype=torch.float64), part.observe(example())
    p = part(parameters)
    bases = [each for each in p.base_dist.parts]
    gaussian, bernoulli, categorical, poisson, beta, student, counts = bases
    columns = x.numpy().T
    expected = [
        *(
            stats.norm(gaussian.loc.detach()[:, i], gaussian.scale.detach()[:, i]).logpdf(columns[i])
            for i in range(2)
        ),
        stats.bernoulli(torch.sigmoid(parameters[:, 2])).logpmf(columns[2]),
        np.log(np.take_along_axis(parameters[:, 3:8].softmax(1).numpy(), columns[3:4].T.astype(int), 1))[
            :, 0
        ],
        stats.poisson(poisson.mean[:, 0]).logpmf(columns[4]),
        stats.beta(beta.concentration1[:, 0], beta.concentration0[:, 0]).logpdf(columns[5]),
        stats.t(
            student.df.detach()[:, 0], student.loc.detach()[:, 0], student.log_scale.exp().detach()[:, 0]
        ).logpdf(columns[6]),
        _negative_binomial(counts).logpmf(columns[7]),
    ]
    np.testing.assert_allclose(p.base_dist.log_prob(x).detach().T, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(p.log_prob(x).detach(), np.sum(expected, 0), rtol=1e-9)
    assert bernoulli.batch_shape == categorical.batch_shape == (200, 1)


def _negative_binomial(counts):
    r, mean = counts.log_inverse_dispersion.exp().detach()[:, 0], counts.mean[:, 0]
    return stats.nbinom(r, r / (r + mean))


def test_one_kind_is_that_decoder():
    columns, plain = decoder("gaussian*", 4), GaussianDecoder(table(4)).double()
    x, parameters = torch.randn(2, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(columns(parameters).log_prob(x), plain(parameters).log_prob(x))
    assert str(columns.support) == str(plain.support)


def test_draws_and_mean_of_every_column():
    part = decoder(COLUMNS, 8)
    p = part(0.3 * torch.randn(13, dtype=torch.float64))
    draws = p.sample((20_000,))
    assert torch.isfinite(p.log_prob(draws)).all()
    assert draws[:, 3].unique().tolist() == [0, 1, 2, 3, 4]
    tame = [i for i in range(8) if i != 6]
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - p.mean).abs() < 5 * error)[tame].all()
    assert p.variance.shape == (8,)


@pytest.mark.parametrize(
    ("text", "limits", "expected"),
    [
        ("bernoulli*", {"low": 0.0, "high": 1.0, "levels": 2}, ["(0, 1) 2 levels"]),
        ("bernoulli*", {}, ["(0, 1) 2 levels"]),
        ("beta*", {}, ["(0, 1)"]),
        ("gaussian,categorical:3*", {}, ["(-inf, inf)", "(0, 2) 3 levels"]),
        ("poisson,gaussian*", {"low": 0.0, "counts": True}, ["(0, inf) counts", "(0, inf) counts"]),
        ("categorical*", {"low": 0.0, "high": 1.0, "levels": 256}, ["(0, 1) 256 levels"]),
    ],
)
def test_range_of_each_column(text, limits, expected):
    found = []
    for part in decoder(text, 3, **limits).parts:
        info = part.data
        found.append(
            f"({info.low:g}, {info.high:g})"
            + f" {info.levels} levels" * bool(info.levels)
            + " counts" * info.counts
        )
    assert found == expected


@pytest.mark.parametrize(
    ("text", "cell", "discrete"),
    [
        ("bernoulli,categorical:5*", 1.0, True),
        ("gaussian,bernoulli*", None, False),
        ("gaussian*", None, False),
    ],
)
def test_what_is_a_probability_and_what_a_density(text, cell, discrete):
    part = decoder(text, 3)
    assert (part.cell, part.support.is_discrete) == (cell, discrete)


def test_no_density_where_a_column_has_none():
    assert not decoder("gaussian,log-cosh", 2).is_density


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian*2", "describes 2 columns; the data have 3"),
        ("gaussian*4", "describes 4 columns; the data have 3"),
        ("gaussian*3,beta*", "describes 3 and more columns"),
        ("gaussian*,beta*", "columns; the data have 3"),
        ("gaussian*,,beta", "'' is no entry"),
        ("categorical:1*", "is no entry"),
        ("gaussian*0,beta*", "is no entry"),
        ("gaussian 3", "is no entry"),
        ("gausian*", "gausian"),
        ("ms-ssim*", "does not suit"),
        ("gaussian:5*,poisson:5", "does not suit"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(UsageError, match=message.replace("*", r"\*")) as caught:
        decoder(text, 3)
    assert caught.value.hint


def test_images_are_refused():
    with pytest.raises(UsageError, match="tables"):
        ColumnsDecoder(DataInfo((1, 8, 8)))


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [(2, 2.0, "bernoulli"), (3, 5.0, "categorical:5"), (4, 0.5, "poisson"), (5, 7.0, "beta")],
)
def test_a_value_that_its_column_cannot_hold_is_named(column, value, name):
    part, x = decoder(COLUMNS, 8), example()
    x[7, column] = value
    with pytest.raises(DataError, match=f"column {column} has the value {value:g}, and '{name}'"):
        part.observe(x)
    assert part.train()(torch.zeros(200, 13, dtype=torch.float64)).log_prob(x)[7] == -math.inf


class _Table(genmod.Dataset):
    def __init__(self, x):
        self._x = x

    @property
    def info(self):
        return table(8, missing=bool(self._x.isnan().any()))

    def split(self, name):
        return TensorSplit(Batch(self._x.float()))


@pytest.mark.parametrize("missing", [pytest.param(False, marks=pytest.mark.slow), True])
def test_trains_on_a_table_of_all_kinds(missing):
    x = example()
    if missing:
        x = x.where(torch.rand(x.shape) > 0.2, torch.nan)
    data = _Table(x)
    encoder = {"name": "mlp", "hidden": [16]}
    spec = compose(
        components={"encoder": encoder, "decoder": {"name": "mixture", "columns": COLUMNS}}, latent=2
    )
    assert spec.components["decoder"].name == "mixture"
    model = assemble(spec, data.info)
    assert model.spec.components["decoder"].name == "columns"
    result = genmod.train(model, data, steps=30, batch_size=32, lr=3e-3, device="cpu")
    losses = [row["loss"] for row in result.rows if row["split"] == "validation"]
    assert losses[-1] < losses[0]
    rows = {row.name: row.value for row in evaluate(model, data.split("test"), "elbo[5]").rows}
    assert all(math.isfinite(value) for value in rows.values())
    assert model.sample(3).shape == (3, 8)


@torch.no_grad()
def test_uniform_levels_cost_exactly_three_bits_by_densities_and_probabilities():
    """8 levels, all alike: a density of 1 over the unit interval and probabilities of 1/8 say the same."""
    x = DataInfo((4,), levels=8).values(torch.randint(8, (300, 4), dtype=torch.uint8))
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": {"name": "mlp", "hidden": []},
        "decoder": {"name": "columns", "columns": "continuous-bernoulli*2,categorical,categorical:8"},
    }
    model = assemble(compose(components=components, latent=2), DataInfo((4,), levels=8)).double()
    for parameter in model.parameters():
        parameter.zero_()
    found = evaluate(model, TensorSplit(Batch(x.double())), "elbo[1]")["bits_per_dim"]
    assert found.value == pytest.approx(3.0, abs=1e-12)


@torch.no_grad()
def test_bits_of_gaussian_and_categorical_columns_against_quadrature():
    info = DataInfo((16,), levels=8)
    x = info.values(torch.randint(8, (3000, 16), dtype=torch.uint8)).double()
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": {"name": "mlp", "hidden": []},
        "decoder": {"name": "columns", "columns": "gaussian*8,categorical*8"},
    }
    model = assemble(compose(components=components, latent=2), info).double()
    for parameter in model.parameters():
        parameter.zero_()
    # The bound of a level: the mean of the log-density over its cell.
    scale, step = 1.0, 1 / 7
    within = (np.arange(2000) + 0.5) / 2000 - 0.5
    density = stats.norm(0.0, scale).logpdf(np.arange(8)[:, None] * step + step * within).mean(1)
    bits = -(density + math.log(step)) / math.log(2)
    found = evaluate(model, TensorSplit(Batch(x)), "elbo[1]")["bits_per_dim"]
    assert found.value == pytest.approx((bits.mean() + 3) / 2, abs=4 * found.standard_error)


def test_normals_side_by_side_are_normal():
    """The exact likelihood does not depend on whether the columns are named together or apart."""
    rows = []
    for columns in (None, "gaussian*", "gaussian*2,gaussian*3"):
        info = DataInfo((5,), low=-math.inf, high=math.inf)
        made = "gaussian" if columns is None else {"name": "columns", "columns": columns}
        components = {"encoder": "identity", "network": "linear", "decoder": made}
        model = assemble(compose(components=components, latent=2), info, seed=1)
        split = TensorSplit(Batch(torch.randn(50, 5, generator=torch.Generator().manual_seed(0))))
        rows.append(evaluate(model, split, "exact")["nll[exact]"].value)
    assert rows[1] == rows[0] == pytest.approx(rows[2], rel=1e-6)


PLUGIN = """
import torch
from genmod import Component, Decoder, hookimpl
from torch.distributions import Independent, Laplace, constraints

@hookimpl
def genmod_components():
    yield Component("decoder", "prepared", "columns_that_prepare:Prepared", summary="begins at the median")

class Prepared(Decoder):
    def __init__(self, data):
        super().__init__(data)
        self.parameter_shape, self.examples_wanted = data.shape, 40
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.register_buffer("start", torch.zeros(data.shape))
        self.calls = 0

    def prepare(self, examples):
        self.calls += 1
        assert examples.shape == (40, *self.data.shape)
        self.start.copy_(examples.median(0).values)

    def forward(self, parameters):
        return Independent(Laplace(parameters + self.start, 1.0, validate_args=False), len(self.data.shape))
"""


def test_what_a_decoder_wants_of_the_data_it_gets_of_its_columns(tmp_path):
    """In training the decoders of columns are prepared once each, with their own columns."""
    path = tmp_path / "columns_that_prepare.py"
    path.write_text(PLUGIN)
    x = torch.randn(100, 5) + torch.arange(5.0)

    class Data(_Table):
        @property
        def info(self):
            return table(5)

    with use_registry(Registry(third_party=False).with_files([path])):
        components = {"encoder": {"name": "mlp", "hidden": [4]}}
        components["decoder"] = {"name": "columns", "columns": "gaussian,prepared*3,gaussian"}
        model = assemble(compose(components=components, latent=2), table(5))
        genmod.train(model, Data(x), steps=1, batch_size=10, device="cpu")
    inner = model.decoder.parts[1]
    assert inner.calls == 1
    assert (inner.start - torch.arange(1.0, 4.0)).abs().max() < 0.7


def test_densities_of_counts_have_bits():
    """Whole numbers are one apart: a density of counts is not one of continuous data."""
    info = DataInfo((3,), high=math.inf, counts=True)
    model = assemble(compose(components={"decoder": "gaussian", "encoder": {"name": "mlp"}}, latent=2), info)
    result = evaluate(model, TensorSplit(Batch(torch.randint(5, (40, 3)).float())), "elbo[1]")
    assert model.decoder.cell == 1.0
    assert math.isfinite(result["bits_per_dim"].value)
