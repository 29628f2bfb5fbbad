"""What a page knows of the examples: how their shapes lie, small pictures of them, the columns of tables."""

import base64
import math

import numpy as np
import pytest
import torch

from genmod.data.column import Column
from genmod.data.dataset import DataInfo
from genmod.explorer.examples import cells, pictures, shapes

IMAGES = DataInfo((1, 28, 28), levels=256)


def bars(width, *, height=20, strength=0.8, at=(14, 14), size=28):
    """Upright bars ``width`` wide, a small step aside of each other."""
    x = torch.zeros(40, 1, size, size)
    for i in range(40):
        top, left = at[1] - height // 2, at[0] - width // 2 + i % 2
        x[i, :, top : top + height, left : left + width] = strength
    return x


def test_shapes_have_size_place_lines_and_strength():
    found = shapes(bars(4), IMAGES, 0.0, 1.0)
    assert found["ground"] == [0.0]
    assert found["pen"] == pytest.approx([0.8])
    assert found["fill"] == pytest.approx([4 / 28, 20 / 28])
    assert found["centre"] == pytest.approx([14.5 / 28, 0.5])
    assert found["peak"] == pytest.approx(0.8)
    assert found["ink"] == pytest.approx(0.8)
    # A rectangle has edges all around; the formula is right for lines that are long and slanted.
    assert found["stroke"] == pytest.approx(4 / 20, rel=0.3)
    assert shapes(bars(8), IMAGES, 0.0, 1.0)["stroke"] > 1.5 * found["stroke"]


def test_the_lines_of_drawn_digits_are_measured():
    """Slanted lines of a known width."""
    down, across = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    away = ((down - 14) - 0.8 * (across - 14)).abs() / math.hypot(1, 0.8)
    inside = ((down - 14).abs() < 10) & ((across - 14).abs() < 12)
    x = (torch.clamp(2 - away, 0, 1) * inside).expand(20, 1, 28, 28)
    assert shapes(x, IMAGES, 0.0, 1.0)["stroke"] * 20 == pytest.approx(3, rel=0.3)


def test_dark_shapes_on_light_paper_and_colours():
    colour = DataInfo((3, 28, 28), levels=256)
    tinted = 1 - bars(6, strength=1.0).expand(-1, 3, -1, -1) * torch.tensor([1.0, 0.5, 0.0])[:, None, None]
    found = shapes(tinted, colour, 0.0, 1.0)
    assert found["ground"] == [1.0, 1.0, 1.0]
    assert found["pen"] == pytest.approx([0.0, 0.5, 1.0], abs=1e-5)


def test_pictures_without_a_ground_have_no_shapes():
    assert shapes(torch.rand(50, 1, 28, 28), IMAGES, 0.0, 1.0) is None
    assert shapes(None, IMAGES, 0.0, 1.0) is None
    assert shapes(torch.zeros(50, 1, 28, 28), IMAGES, 0.0, 1.0) is None
    broken = bars(4)
    broken[0, 0, 0, 0] = math.nan
    assert shapes(broken, IMAGES, 0.0, 1.0) is None


def test_small_pictures_are_the_pictures():
    x = torch.rand(5, 3, 64, 48)
    x[1, 0, :2, :2] = math.nan
    found = pictures(x, DataInfo((3, 64, 48)), 0.0, 1.0)
    assert (found["count"], found["shape"], found["bytes"]) == (5, [3, 32, 24], True)
    levels = torch.tensor(list(base64.b64decode(found["numbers"]))).reshape(5, 3, 32, 24)
    wanted = x.reshape(5, 3, 32, 2, 24, 2).mean((3, 5))
    assert levels[1, 0, 0, 0] == 255
    seen = wanted.isfinite()
    assert (levels[seen] / 254 - wanted[seen]).abs().max() <= 0.5 / 254 + 1e-6


def test_pictures_are_as_many_as_a_page_holds():
    many = pictures(torch.zeros(800, 3, 32, 32), DataInfo((3, 32, 32)), 0.0, 1.0)
    assert many["count"] == 1_500_000 // (3 * 32 * 32)


def test_columns_have_names_ranges_and_units():
    known = (
        Column("city", "category", "String", ("Bern", "Rom", "Ulm")),
        Column("pay", "positive", "Float64", low=1.0, high=9.0, offset=0.5),
        Column("day", "date", "Date", low=0.0, high=9.0, step=1.0),
    )
    data = DataInfo(
        (3,),
        -math.inf,
        math.inf,
        columns=known,
        shift=(0.0, 2.0, 100.0),
        scale=(1.0, 3.0, 10.0),
        missing=True,
    )
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1000, 3))).float()
    x[:, 0] = torch.arange(1000) % 3
    x[::7, 1] = math.nan
    city, pay, day = cells(x, data)
    assert (city["name"], city["values"], city["low"], city["high"]) == ("city", ["Bern", "Rom", "Ulm"], 0, 2)
    # Categories are places, whatever the scale says.
    assert (city["shift"], city["scale"]) == (0, 1)
    assert (pay["shift"], pay["scale"], pay["log"], pay["offset"]) == (2, 3, True, 0.5)
    assert pay["low"] == pytest.approx(np.nanquantile(x[:, 1], 0.01), rel=1e-4)
    assert (day["date"], day["decimals"]) == ("days", 0)
    assert cells(x, IMAGES) is None
    assert cells(None, DataInfo((2,), variables=("a", "b")))[1]["name"] == "b"
    constant = cells(torch.ones(9, 1), DataInfo((1,), -math.inf, math.inf))[0]
    assert constant["low"] < 1 < constant["high"]
