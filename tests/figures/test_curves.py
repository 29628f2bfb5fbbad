"""Curves: what is read, what is averaged, what is drawn."""

import json

import pytest

from genmod.errors import FileError, UndefinedError, UsageError
from genmod.figures.curves import curves, metrics_of, read_curves, running_mean

MODEL = {
    "format": 1,
    "recipe": "vae",
    "latent": [2],
    "condition": [],
    "components": {
        kind: {"name": "x", "provider": "genmod-torch", "version": "0.1.0", "revision": 1, "options": {}}
        for kind in ("encoder", "posterior", "prior", "decoder", "divergence", "objective", "dataset")
    },
    "data": {"shape": [4], "low": 0.0, "high": 1.0, "levels": None, "classes": [], "factors": []},
}


@pytest.fixture
def runs(tmp_path):
    """Two directories with hand-written rows; no model is needed to draw curves."""
    for name, shift in (("a", 0.0), ("b", 10.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(json.dumps(MODEL))
        rows = []
        for step in range(1, 9):
            loss = shift + 8.0 / step
            row = {"step": step, "epoch": step / 4, "split": "train", "loss": loss, "rate": None, "lr": 0.1}
            rows.append(row)
            if step % 4 == 0:
                rows.append({**row, "split": "validation", "loss": loss + 1})
        (tmp_path / name / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def test_curves_are_the_rows(runs):
    train, validation = read_curves([runs / "a"])
    assert (train.split, validation.split) == ("train", "validation")
    assert train.steps == tuple(range(1, 9))
    assert train.values == tuple(8.0 / step for step in range(1, 9))
    assert validation.epochs == (1.0, 2.0)
    assert validation.values == (3.0, 2.0)
    assert metrics_of(runs / "a") == ("loss", "rate", "lr")


def test_only_training_is_averaged(runs):
    train, validation = read_curves([runs / "a"], smooth=2)
    assert train.values[:3] == (8.0, 6.0, pytest.approx(10 / 3))
    assert train.label == "train, mean of 2 rows"
    assert (validation.values, validation.label) == ((3.0, 2.0), "validation")
    assert running_mean([1.0, 2.0], 5) == (1.0, 1.5)


def test_runs_are_told_apart(runs):
    figure = curves([runs / "a", runs / "b"], smooth=3)
    [panel] = figure.axes
    labels = panel.get_legend_handles_labels()[1]
    assert labels == [
        f"{runs / name}: {what}" for name in "ab" for what in ("train, mean of 3 rows", "validation")
    ]
    colours = {line.get_label(): line.get_color() for line in panel.lines if line.get_label() in labels}
    assert len(set(colours.values())) == 2
    # What was averaged stays behind.
    assert len(panel.lines) == 6
    assert [len(line.get_xdata()) for line in panel.lines] == [8, 8, 8, 2, 8, 2]


def test_one_run_has_a_colour_for_each_split(runs):
    [panel] = curves(str(runs / "a"), x="epoch").axes
    first, second = panel.lines
    assert first.get_color() != second.get_color()
    assert list(second.get_xdata()) == [1.0, 2.0]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("epoch", "loss")


def test_logarithmic_only_where_it_can_be(runs):
    figure = curves([runs / "a"], ["loss", "lr"], log=True)
    assert [panel.get_yscale() for panel in figure.axes] == ["log", "log"]
    path = runs / "b" / "metrics.jsonl"
    path.write_text(path.read_text().replace('"loss": ', '"loss": -'))
    assert [panel.get_yscale() for panel in curves([runs / "b"], log=True).axes] == ["linear"]


def test_units_are_of_what_is_in_nats(runs):
    path = runs / "a" / "metrics.jsonl"
    path.write_text(
        path.read_text().replace('"lr"', '"elbo": -1.0, "perceptual": 0.2, "patch_critic_loss": 1.0, "lr"')
    )
    metrics = ["loss", "elbo", "perceptual", "patch_critic_loss", "lr"]
    labels = [panel.get_ylabel() for panel in curves([runs / "a"], metrics).axes]
    assert labels == ["loss", "elbo (nats)", *metrics[2:]]


def test_what_cannot_be_drawn(runs):
    with pytest.raises(UsageError, match="did you mean loss"):
        read_curves([runs / "a"], ["los"])
    with pytest.raises(FileError, match="no model directory"):
        read_curves([runs / "c"])
    with pytest.raises(UsageError, match="means of 0 rows"):
        read_curves([runs / "a"], smooth=0)
    with pytest.raises(UsageError, match="over 'time'"):
        curves([runs / "a"], x="time")
    (runs / "a" / "metrics.jsonl").unlink()
    with pytest.raises(UndefinedError, match="nothing was trained there") as error:
        read_curves([runs / "a"])
    assert error.value.hint.startswith("train it first: genmod train")


def test_pyplot_is_left_alone(runs):
    import sys

    curves([runs / "a"])
    assert "matplotlib.pyplot" not in sys.modules


def test_a_loss_that_is_the_negative_elbo_is_drawn_once(runs):
    for name in ("a", "b"):
        path = runs / name / "metrics.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(f"{json.dumps({**row, 'elbo': -row['loss']})}\n" for row in rows))
    both = [runs / "a", runs / "b"]
    assert [panel.get_ylabel() for panel in curves(both).axes] == ["loss = -elbo (nats)"]
    # Who asks for both gets both, and so do the numbers.
    assert len(curves(both, ["loss", "elbo"]).axes) == 2
    assert {curve.metric for curve in read_curves(both)} == {"loss", "elbo"}
    # Of one run with another weight, they are two things.
    path.write_text(path.read_text().replace('"elbo": -11.0', '"elbo": -10.5'))
    assert [panel.get_ylabel() for panel in curves(both).axes] == ["loss", "elbo (nats)"]


def test_first_steps_do_not_set_the_range(runs):
    path = runs / "a" / "metrics.jsonl"
    for early, inside in ((4000.0, False), (12.0, True)):
        rows = [{"step": i, "split": "train", "loss": early if i == 0 else 9 + i % 3} for i in range(30)]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        [panel] = curves([runs / "a"]).axes
        low, high = panel.get_ylim()
        assert low < 9
        assert (high > early) == inside
        assert high < 13
        assert [text.get_text() for text in panel.texts] == ([] if inside else ["↑ up to 4000"])
    # A fall at the end is what is to be seen.
    rows[-1]["loss"] = -50.0
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows[20:]))
    [panel] = curves([runs / "a"]).axes
    assert panel.get_ylim()[0] < -50
