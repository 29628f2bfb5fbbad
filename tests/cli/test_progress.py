"""Progress: what is seen on terminals of three widths, and the lines where there is no terminal."""

import io
import re
import sys

import pytest

from genmod.cli import console, progress
from genmod.cli.columns import cells
from genmod.cli.gauge import fitted, gauge, results
from genmod.cli.progress import StepProgress, TrainingProgress
from genmod.training.events import Event

TERMS = {"loss": 2345.678, "elbo": -2345.678, "distortion": 2299.1, "rate": 46.578}
WIDTHS = (60, 80, 120)


class Terminal(io.StringIO):
    """A stream that people watch."""

    encoding = "utf-8"

    def isatty(self):
        return True


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    console.configure(console.Settings())
    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", made)
    return made


def text(pieces):
    return "".join(part for part, _ in pieces)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("done", [0, 1, 123_456, 1_000_000])
def test_bar_steps_and_time_are_seen_at_every_width(width, done):
    line = text(gauge("epoch 123.4", done, 1_000_000, "12:34:56 left", width))
    assert len(line) <= width
    assert f"{done}/1000000" in line
    assert line.endswith("12:34:56 left")
    assert line.startswith("epoch 123.4")
    bar = line.count("━") + line.count("╌")
    assert 8 <= bar <= 40
    assert line.count("━") == round(bar * done / 1_000_000)


@pytest.mark.parametrize("width", WIDTHS)
def test_loss_and_validation_are_seen_at_every_width(width):
    line = text(results(TERMS, [("validation 2345.68, best 2340.12 at 12000", "")], width))
    assert len(line) <= width
    assert line.startswith("loss 2345.68  ")
    assert line.endswith("validation 2345.68, best 2340.12 at 12000")
    assert ("distortion" in line) == (width > 60)
    assert "elbo" not in line, "it is the loss with its sign changed"


@pytest.mark.parametrize("width", range(1, 60))
def test_no_line_is_wider_than_the_terminal(width):
    for line in (
        gauge("what is done", 5, 10, "0:05 left", width),
        results(TERMS, [("validation 1", "")], width),
    ):
        assert len(text(fitted(line, width))) <= width


@pytest.mark.parametrize("width", range(1, 60))
def test_letters_that_take_two_columns_are_counted_so(width):
    for line in (
        gauge("模型 模型模型", 5, 10, "0:05 left", width),
        results({"loss": 1.0, "模型": 2.0, "模型模型": 3.0}, [("validation 1", "")], width),
    ):
        assert cells(text(fitted(line, width))) <= width


def events():
    """Two epochs of four steps; rows are told as a run tells them."""
    for step in range(1, 9):
        values = {"loss": 100.0 - step}
        if step % 4 == 0:
            yield Event("train", step, 8, step / 4, values)
            yield Event("validation", step, 8, step / 4, {"loss": 90.0 + step}, best=step == 4)
        yield Event("progress", step, 8, step / 4, {} if step % 4 == 0 else values)


def test_without_a_terminal_one_line_in_ten_seconds_with_the_loss_of_its_step(capsys, clock):
    with TrainingProgress() as show:
        for event in events():
            show(event)
            clock.now += 2.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "step 1/8  epoch 0.2  loss 99.00"
    assert lines[1] == "step 4/8  epoch 1.0  loss 96.00  validation 94.00 (best)  0:13 left"
    assert len(lines) <= 3
    for line in lines:
        step, loss = re.match(r"step (\d+)/8 .* loss (\d+)", line).groups()
        assert int(loss) == 100 - int(step), "a stale loss"


def test_best_validation_loss_is_marked(capsys, clock):
    with TrainingProgress() as show:
        for event in events():
            clock.now += 100.0
            show(event)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "validation 98.00, best 94.00 at 4" in last


@pytest.mark.parametrize(
    "other", [Event("progress", 1, 8, 0.2, {"loss": 99.0}), Event("resume", 80, 100, 20.0)]
)
def test_another_run_begins_anew(capsys, clock, other):
    with TrainingProgress() as show:
        for event in [*events(), other, Event("progress", 81, 100, 20.2, {"loss": 9.0})]:
            clock.now += 100.0
            show(event)
    assert "validation" not in capsys.readouterr().err.splitlines()[-1]


def test_quiet_says_nothing(capsys, clock):
    console.configure(console.Settings(quiet=True))
    with TrainingProgress() as show, StepProgress() as steps:
        for event in events():
            clock.now += 100.0
            show(event)
            steps("encode", event.step, 8)
    assert capsys.readouterr() == ("", "")


def test_tasks_without_a_terminal(capsys, clock):
    with StepProgress() as show:
        for step in range(11):
            show("encode", step, 10)
            clock.now += 4.0
    assert capsys.readouterr().err.splitlines() == [
        "encode 3/10  0:28 left",
        "encode 6/10  0:16 left",
        "encode 9/10  0:04 left",
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("colors", [True, False])
def test_on_a_terminal(monkeypatch, clock, width, colors):
    pyte = pytest.importorskip("pyte")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "24")
    if not colors:
        monkeypatch.setenv("NO_COLOR", "1")
    with TrainingProgress() as show:
        for event in events():
            clock.now += 1.0
            show(event)
        during = sys.stderr.getvalue()
    after = sys.stderr.getvalue()
    screen = pyte.Screen(width, 24)
    pyte.Stream(screen).feed(during.replace("\n", "\r\n"))
    first, second, *rest = (line.rstrip() for line in screen.display)
    assert re.fullmatch(r"epoch 2\.0  ━{20,}  8/8  0:00 left", first)
    assert second == "loss 92.00  validation 98.00, best 94.00 at 4"
    assert not any(rest)
    assert bool(re.search(r"\x1b\[[\d;]*3\dm", during)) is colors
    pyte.Stream(screen).feed(after[len(during) :].replace("\n", "\r\n"))
    assert not any(line.strip() for line in screen.display), "nothing stays behind"


def test_on_a_terminal_without_unicode(monkeypatch, clock):
    class Old(Terminal):
        encoding = "latin-1"

    monkeypatch.setattr(sys, "stderr", Old())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    with StepProgress() as show:
        show("what is done and takes long", 5, 10)
    written = sys.stderr.getvalue()
    assert written.isascii()
    assert "takes lo.  \x1b[36m==\x1b[0m\x1b[2m---" in written
