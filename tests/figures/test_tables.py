"""Columns of the data beside generated ones: units, shares, ranks, what is shown of many."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import genmod
from genmod.data.column import Column
from genmod.data.dataset import Batch, DataInfo, TensorSplit
from genmod.errors import UndefinedError
from genmod.figures.latents import latents_figure
from genmod.figures.table_axes import draw_correlations, draw_variable
from genmod.figures.table_figure import table_figure
from genmod.figures.tables import correlations, made_rows, strongest, variables_in

REAL = DataInfo((3,), -math.inf, math.inf)
KNOWN = DataInfo(
    (3,),
    -math.inf,
    math.inf,
    columns=(
        Column("city", "category", "String", ("Bern", "Rom", "Ulm")),
        Column("pay", "positive", "Float64", low=1.0, high=9.0, offset=0.0),
        Column("no", "constant", "Int64", (7,)),
        Column("day", "date", "Date", low=0.0, high=9.0, step=1.0),
    ),
    shift=(0.0, 2.0, 1000.0),
    scale=(1.0, 0.5, 100.0),
    missing=True,
)


def rows(n=400, seed=0):
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 3))).float()
    x[:, 0] = torch.arange(n) % 3
    x[::5, 1] = math.nan
    return x


def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_columns_are_in_the_users_units():
    (city, pay, day), count = variables_in(rows(), rows(seed=1), KNOWN)
    assert count == 3
    assert (city.values, city.ordered) == (("Bern", "Rom", "Ulm"), False)
    assert city.real[:4].tolist() == [0, 1, 2, 0]
    known = np.isfinite(pay.real)
    np.testing.assert_allclose(
        pay.real[known], np.exp(2 + 0.5 * rows()[:, 1].double().numpy()[known]), rtol=1e-6
    )
    assert pay.log
    assert pay.missing == (0.2, 0.2)
    # Draws are whole days, as the data are.
    assert np.array_equal(day.made, np.rint(day.made))
    with pytest.raises(UndefinedError, match="no table"):
        variables_in(torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8), DataInfo((1, 8, 8)))


def test_of_many_columns_those_that_vary_most_are_shown():
    x = torch.randn(100, 30) * torch.arange(30.0)
    chosen, count = variables_in(x, x, DataInfo((30,), -math.inf, math.inf), most=5)
    assert count == 30
    assert [v.name for v in chosen] == [f"x{i}" for i in range(25, 30)]


def test_heights_are_shares_of_all_values():
    pay = variables_in(rows(), 3 * rows(seed=1), KNOWN)[0][1]
    drawn = axes()
    draw_variable(drawn, pay)
    steps = [patch.get_data() for patch in drawn.patches]
    for cells, (values, edges, _) in zip((pay.real, pay.made), steps, strict=True):
        known = cells[np.isfinite(cells)]
        inside = ((known >= edges[0]) & (known <= edges[-1])).mean()
        assert values.sum() == pytest.approx(inside, abs=0.01)
        assert values[3] == pytest.approx(((known >= edges[3]) & (known < edges[4])).mean(), abs=1e-9)
    # Three times as wide: much of what is drawn lies outside, and that is said.
    assert "% of draws outside" in drawn.get_title(loc="left")
    assert "20% missing" in drawn.get_title(loc="left")


def test_rank_correlations_are_those_of_scipy():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, 200).astype(float)
    b = a + rng.normal(size=200)
    b[::7] = np.nan
    known = np.isfinite(b)
    found = correlations([a, b, np.ones(200)])
    assert found[0, 1] == pytest.approx(stats.spearmanr(a[known], b[known]).statistic, abs=1e-12)
    assert np.isnan(found[0, 2])


def test_pairs_are_of_columns_that_belong_together():
    x = torch.randn(300, 6)
    x[:, 5] = x[:, 1] + 0.1 * x[:, 5]
    found = strongest(variables_in(x, x, DataInfo((6,), -math.inf, math.inf))[0], most=2)
    assert [v.name for v in found] == ["x1", "x5"]


def test_where_correlations_differ_is_said():
    x = torch.randn(500, 3)
    made = torch.randn(500, 3)
    x[:, 2] = x[:, 0]
    said = draw_correlations(axes(), axes(), variables_in(x, made, REAL)[0])
    assert said.startswith("They differ most for x0 and x2: 1.00 in the data")
    with pytest.raises(UndefinedError):
        draw_correlations(axes(), axes(), variables_in(rows(), rows(), KNOWN)[0][:1])


@pytest.mark.slow
def test_any_table_has_a_figure():
    counts = DataInfo((40,), high=math.inf, counts=True)
    x = torch.poisson(torch.rand(60, 40) * 20)
    names = {
        text.get_text()
        for text in table_figure(x, x, counts, title="t").findobj()
        if hasattr(text, "get_text")
    }
    assert any("the 12 of 40 columns" in name for name in names)
    one = DataInfo((1,), -math.inf, math.inf)
    assert len(table_figure(torch.zeros(9, 1), torch.zeros(9, 1), one).axes) == 1
    gone = torch.full((9, 3), math.nan)
    table_figure(gone, gone, REAL).canvas.draw()


def test_rows_are_made_given_what_the_data_were_given():
    """Generated rows have the labels of the rows beside them, one by one."""
    from genmod.model.assembly import assemble
    from genmod.model.build import compose

    spec = compose(
        "cvae",
        components={"encoder": "mlp", "decoder": "gaussian", "prior": "normal"},
        settings={"decoder.scale": 0.01},
        latent=2,
    )
    data = DataInfo((3,), -math.inf, math.inf, classes=("a", "b"))
    model = assemble(spec, data).eval()
    asked, latents = [], model.latents
    model.latents = lambda n, context: asked.append(context) or latents(n, context)
    batch = Batch(torch.randn(20, 3), torch.arange(20) % 2)
    made = made_rows(model, batch)
    assert made.shape == (20, 3)
    assert torch.equal(asked[0], model.context(batch))
    assert torch.equal(made, made_rows(model, batch))
    assert not torch.equal(made, made_rows(model, batch, seed=1))


def test_latents_of_tables_have_panels_of_columns():
    x = torch.randn(80, 3)
    model = genmod.build(data=x, encoder="mlp", latent=2)
    drawn = latents_figure(model, TensorSplit(Batch(x)), panels=["marginals", "pairs", "correlations"])
    assert drawn.left_out == {}
    assert drawn.arrays["made"].shape == (40, 3)
    images = genmod.build(encoder="mlp", latent=2)
    split = TensorSplit(Batch(torch.randint(0, 17, (40, 1, 8, 8), dtype=torch.uint8)))
    # Nobody asked for columns of pictures.
    assert "marginals" not in latents_figure(images, split, panels=["kl"]).left_out
    with pytest.raises(UndefinedError, match="no table"):
        latents_figure(images, split, panels=["marginals"])


@pytest.mark.slow
def test_samples_of_a_table_are_drawn_beside_the_data(tmp_path, monkeypatch):
    """As a user types it: a figure where the data are there, strips and a word where they are not."""
    from PIL import Image
    from typer.testing import CliRunner

    from genmod.cli.app import app

    def width(path):
        with Image.open(path) as opened:
            return opened.width

    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", x=np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32))
    genmod.save(genmod.build(data={"name": "npz", "path": "x.npz"}, encoder="mlp", latent=2), "m")
    done = CliRunner().invoke(app, ["sample", "m", "-o", "s.png"])
    assert done.exit_code == 0, done.output
    assert width("s.png") > 1000
    (tmp_path / "x.npz").unlink()
    done = CliRunner().invoke(app, ["sample", "m", "-o", "t.png"])
    assert done.exit_code == 0, done.output
    assert "not beside the data" in done.output
    assert width("t.png") != width("s.png")
