"""Figures in notebooks: methods of models and of results, batches, and the bar of a run."""

import io
import sys
import types
from typing import ClassVar

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import genmod
from genmod import Batch, UsageError
from genmod.figures import sample_grid
from genmod.interfaces.model import NoLatentsError
from genmod.training.bar import in_notebook


def shown(figure):
    """What a notebook draws, ``(height, width, 3)``."""
    return np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("RGB"))


def built(**more):
    return genmod.build(encoder="mlp", latent=2, settings={"encoder.hidden": [8]}, **more)


def test_samples_are_the_picture_of_samples():
    model = built()
    figure = model.show_samples(6, seed=3)
    assert isinstance(figure, Figure)
    wanted = np.asarray(sample_grid(model, 6, seed=3).image())
    assert shown(figure).shape == wanted.shape
    assert np.abs(shown(figure).astype(int) - wanted).max() <= 1


def test_samples_of_a_model_without_latents():
    model = genmod.build(model="flow")
    assert shown(model.show_samples(2)).std() > 5
    with pytest.raises(NoLatentsError):
        model.show_latents()


def test_every_method_gives_a_figure():
    model = built()
    figures = [
        model.show_reconstructions(n=2),
        model.show_interpolations(n=2, steps=3),
        model.show_traversals(n=2, steps=3),
        model.show_latents(panels=["kl"]),
        model.show_reconstructions(genmod.open_dataset(model.spec).split("train"), 3),
    ]
    for figure in figures:
        assert isinstance(figure, Figure)
        assert shown(figure).std() > 5


def test_a_result_draws_its_curves():
    model = built()
    result = genmod.train(model, steps=4, device="cpu", log_every=1)
    panel = result.plot(["rate"]).axes[0]
    assert list(panel.lines[0].get_ydata()) == [row["rate"] for row in result.rows if row["split"] == "train"]
    assert result.plot().axes[0].get_ylabel() == "loss = -elbo (nats)"
    with pytest.raises(UsageError, match="no metric"):
        result.plot(["speed"])


def test_batches_of_pictures_are_pictures():
    x = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 1, 28, 28)
    drawn = np.asarray(Image.open(io.BytesIO(Batch(x, labels=torch.tensor([4, 7]))._repr_png_())))
    ink = set(map(tuple, drawn.reshape(-1, 3).tolist()))
    assert {(0, 0, 0), (255, 255, 255)} <= ink
    assert Batch(torch.rand(3, 5))._repr_png_() is None
    assert Batch(torch.rand(0, 1, 8, 8))._repr_png_() is None


class Bar:
    """In place of tqdm's."""

    made: ClassVar[list] = []

    def __init__(self, initial=0, total=None, **_):
        self.initial, self.n, self.total, self.texts, self.closed = initial, initial, total, [], False
        self.made.append(self)

    def update(self, n):
        self.n += n

    def set_postfix(self, values, refresh):
        self.texts.append(dict(values))

    def refresh(self):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def tqdm(monkeypatch):
    Bar.made = []
    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    auto = types.ModuleType("tqdm.auto")
    auto.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    return Bar.made


def test_a_bar_follows_the_run(tqdm):
    seen = []
    genmod.train(built(), steps=5, device="cpu", progress=True, on_event=seen.append)
    [bar] = tqdm
    assert (bar.n, bar.total, bar.closed) == (5, 5, True)
    assert "(best)" in bar.texts[-1]["validation"]
    assert seen


def test_a_bar_of_a_run_that_goes_on_begins_at_its_step(tqdm, tmp_path):
    def stop(event):
        if event.kind == "checkpoint" and event.step == 2:
            raise KeyboardInterrupt

    directory, how = tmp_path / "m", {"steps": 5, "device": "cpu", "progress": True}
    with pytest.raises(KeyboardInterrupt):
        genmod.train(built(), directory=directory, checkpoint_every=2, on_event=stop, **how)
    assert (tqdm[0].initial, tqdm[0].closed) == (0, True)
    genmod.train(built(), directory=directory, resume=True, device="cpu", progress=True)
    assert (tqdm[1].initial, tqdm[1].n, tqdm[1].total) == (2, 5, 5)


def test_a_bar_is_closed_when_a_run_fails(tqdm):
    def fail(event):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        genmod.train(built(), steps=5, device="cpu", progress=True, on_event=fail)
    assert tqdm[0].closed


def test_a_bar_comes_by_itself_in_notebooks_alone(tqdm, monkeypatch):
    genmod.train(built(), steps=2, device="cpu")
    assert tqdm == []
    assert not in_notebook()
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    genmod.train(built(), steps=2, device="cpu")
    assert len(tqdm) == 1
    # Who looks at the events has a display of their own.
    genmod.train(built(), steps=2, device="cpu", on_event=lambda event: None)
    genmod.train(built(), steps=2, device="cpu", progress=False)
    assert len(tqdm) == 1


def test_a_bar_that_cannot_be(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(UsageError, match="needs tqdm"):
        genmod.train(built(), steps=2, device="cpu", progress=True)
