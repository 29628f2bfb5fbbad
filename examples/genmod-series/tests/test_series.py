"""The windows against the lines of the file read by hand, the splits against times, and a model that fills in gaps."""

import doctest
import math
import runpy
from importlib import import_module
from pathlib import Path

import pytest
import torch
from genmod_series.dataset import SAMPLE, Series

import genmod
from genmod import DataError

NAMES = ("train", "validation", "test")


def written(folder, lines, name="mine.csv"):
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def by_hand(file, length, hop):
    """Every window of a file as lists of numbers, None for a gap."""
    lines = [line.split(",")[1:] for line in Path(file).read_text().splitlines()[1:]]
    cells = [[float(cell) if cell else None for cell in line] for line in lines]
    starts = range(0, len(cells) - length + 1, hop)
    return {s: [[cells[s + t][c] for t in range(length)] for c in range(len(cells[0]))] for s in starts}


def plain(x):
    return [[[None if math.isnan(v) else v for v in row] for row in window] for window in x.double().tolist()]


@pytest.mark.parametrize(("length", "hop"), [(24, 0), (24, 7), (48, 48)])
def test_windows_are_the_lines_of_the_file(length, hop, tmp_path):
    dataset = Series(tmp_path, length=length, hop=hop)
    expected = by_hand(SAMPLE, length, hop or length)
    found = plain(dataset.everything().batch.x)
    assert len(found) == len(expected)
    for window, lines in zip(found, expected.values(), strict=True):
        for row, line in zip(window, lines, strict=True):
            assert row == [None if v is None else pytest.approx(v, abs=1e-6) for v in line]


@pytest.mark.parametrize(("length", "hop"), [(24, 0), (24, 5)])
def test_no_time_is_in_two_splits_and_the_past_is_for_training(length, hop, tmp_path):
    dataset = Series(tmp_path, length=length, hop=hop)
    times = {
        name: {int(i) * dataset.hop + t for i in dataset.places(name) for t in range(length)}
        for name in NAMES
    }
    assert max(times["train"]) < min(times["validation"])
    assert max(times["validation"]) < min(times["test"])
    assert len(times["train"]) == pytest.approx(0.8 * 2880, abs=length)
    whole = dataset.everything().batch.x
    for name in NAMES:
        torch.testing.assert_close(dataset.split(name).batch.x, whole[dataset.places(name)], equal_nan=True)


def test_the_sample_is_what_the_script_writes():
    script = runpy.run_path(str(Path(__file__).parents[1] / "make_sample.py"))
    assert SAMPLE.read_text() == "\n".join(script["lines"]()) + "\n"


def test_a_file_of_ones_own(tmp_path):
    lines = ["t,a,b,c", *(f"{i},{i},{-i},{'' if i == 3 else 0.5}" for i in range(40))]
    written(tmp_path, lines)
    dataset = Series(tmp_path, path=Path("mine.csv"), length=4)
    assert dataset.info.shape == (3, 4)
    assert dataset.info.missing
    first = dataset.split("train").batch.x[0]
    assert first[:2].tolist() == [[0, 1, 2, 3], [0, -1, -2, -3]]
    assert first[2, :3].tolist() == [0.5, 0.5, 0.5]
    assert first[2, 3].isnan()
    whole = Series(
        tmp_path,
        path=written(tmp_path, [line.replace(",\n", ",0\n") for line in lines[:4]] + lines[5:]),
        length=2,
    )
    assert not whole.info.missing


def test_a_model_trained_on_gaps_takes_a_file_without(tmp_path):
    dataset = Series(
        tmp_path, path=written(tmp_path, ["t,a,b", *(f"{i},{i},{i}" for i in range(60))]), length=3
    )
    dataset.known = Series(tmp_path, length=3).info
    assert dataset.info.missing


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["t,a", "0,1", "1,x"], "line 3: 'x' is no number"),
        (["t,a", "0,1", "1,2,3"], "line 3: 3 cells; the first line has 2"),
        (["t,a", "0,inf"], "line 2: 'inf' is not finite"),
        (["t,a"], "has no values"),
        (["t", "0"], "has no values"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, lines, said):
    with pytest.raises(DataError, match=said):
        _ = Series(tmp_path, path=written(tmp_path, lines), length=2).info


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        _ = Series(tmp_path, path=Path("none.csv")).info
    short = written(tmp_path, ["t,a", *(f"{i},{i}" for i in range(30))])
    with pytest.raises(DataError, match="30 times, too few for a window of 24 in validation"):
        Series(tmp_path, path=short).split("validation")


def test_a_model_learns_and_what_is_missing_costs_nothing():
    model = genmod.build(data="series", encoder="mlp", decoder="gaussian", latent=4)
    result = genmod.train(model, steps=150, device="cpu")
    losses = [row["loss"] for row in result.rows if row["split"] == "validation"]
    assert losses[-1] < losses[0]
    x, z = Series(Path()).split("test").batch.x, torch.zeros(12, 4)
    assert x.isnan().any()
    with torch.no_grad():
        found, plain = model.decode(z).log_prob(x), model.decoder(model.network(z))
    # By hand: independent normals, of the values that are there.
    terms = torch.distributions.Normal(plain.mean, plain.stddev).log_prob(x.nan_to_num(0.0))
    torch.testing.assert_close(found, terms.masked_fill(x.isnan(), 0.0).sum((1, 2)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("module", ["genmod_series.dataset"])
def test_examples_of_the_docstrings(module):
    assert doctest.testmod(import_module(module)).failed == 0
