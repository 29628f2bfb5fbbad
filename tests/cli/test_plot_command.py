"""``genmod plot``: files of each format, numbers, and drawing while a run goes on."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import types

import pytest

SMALL = ["--encoder", "mlp", "-s", "encoder.hidden=8", "--latent", "2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    import genmod

    place = tmp_path_factory.mktemp("runs")
    for name, lr in (("a", 1e-3), ("b", 1e-2)):
        model = genmod.build(encoder="mlp", latent=2, settings={"encoder.hidden": [8]})
        genmod.train(model, directory=place / name, steps=20, device="cpu", log_every=2, lr=lr)
    return place


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("png", b"\x89PNG"), ("svg", b"<?xml"), pytest.param("pdf", b"%PDF", marks=pytest.mark.slow)],
)
def test_each_format(genmod, runs, tmp_path, suffix, start):
    out = tmp_path / f"x.{suffix}"
    done = genmod("plot", runs / "a", runs / "b", "-m", "loss", "--smooth", "3", "--log", "-o", out)
    assert (done.code, done.out, done.err) == (0, f"{out}\n", "")
    content = out.read_bytes()
    assert content.startswith(start)
    if suffix == "svg":
        # Drawn again, it is the same file.
        command = ["plot", runs / "a", runs / "b", "-m", "loss", "--smooth", "3", "--log", "-o", out]
        assert genmod(*command, "--overwrite").code == 0
        assert out.read_bytes() == content


def test_a_picture_beside_the_model_that_is_not_replaced_silently(genmod, runs):
    done = genmod("plot", runs / "a", "-m", "loss")
    assert (done.code, done.out) == (0, f"{runs / 'a' / 'curves.png'}\n")
    done = genmod("plot", runs / "a")
    assert done.code == 2
    assert "--overwrite" in done.err
    assert genmod("plot", runs / "a", "-m", "loss", "--overwrite").code == 0


def test_numbers(genmod, runs, tmp_path):
    done = genmod("plot", runs / "a", runs / "b", "--metric", "loss", "--json")
    found = json.loads(done.out)
    assert [(each["run"], each["split"]) for each in found] == [
        (str(runs / name), split) for name in "ab" for split in ("train", "validation")
    ]
    rows = [json.loads(line) for line in (runs / "a" / "metrics.jsonl").read_text().splitlines()]
    assert found[0]["values"] == [row["loss"] for row in rows if row["split"] == "train"]
    assert genmod("plot", runs / "a", "-m", "loss", "-o", tmp_path / "c.csv").code == 0
    lines = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text())))
    assert [float(each["value"]) for each in lines if each["split"] == "train"] == found[0]["values"]


def test_what_cannot_be(genmod, runs, tmp_path):
    assert genmod("build", *SMALL, "-o", tmp_path / "new").code == 0
    done = genmod("plot", tmp_path / "new")
    assert done.code == 2
    assert "nothing was trained there" in done.err
    assert f"genmod train {tmp_path / 'new'}" in done.err
    done = genmod("plot", runs / "a", "-o", "x.gif")
    assert done.code == 2
    assert ".svg" in done.err
    done = genmod("plot", runs / "a", "--live")
    assert done.code == 2
    assert "--live draws in a terminal" in done.err


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *arguments):
        import fcntl
        import struct
        import termios

        self.shown = b""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "genmod", *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)

    def read(self, until=""):
        """What was shown, once ``until`` is in it or the command has ended."""
        while True:
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.master, 65536)
                except OSError:
                    break
            elif self.process.poll() is not None:
                break
            if until and until in self.text:
                break
        return self.text

    @property
    def text(self):
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.shown.decode(errors="replace"))

    def end(self):
        self.read()
        code = self.process.wait()
        os.close(self.master)
        return code


@pytest.mark.slow
def test_live_ends_with_the_run(runs):
    terminal = Terminal("plot", runs / "a", "--live", "-m", "loss")
    assert terminal.end() == 0
    assert "finished, step 20" in terminal.text
    assert re.search("[⠁-⣿]{3}", terminal.text)


@pytest.mark.slow
def test_live_goes_on_while_the_run_does_until_ctrl_c(runs, tmp_path):
    import shutil

    place = shutil.copytree(runs / "a", tmp_path / "run")
    record = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**record, "status": "running"}))
    terminal = Terminal("plot", place, "--live")
    assert "Ctrl-C stops drawing" in terminal.read("Ctrl-C stops drawing")
    with (place / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 777, "epoch": 9, "split": "train", "loss": 1.0}\n')
    assert "step 777" in terminal.read("step 777")
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.end() == 0


@pytest.mark.parametrize("width", [40, 60])
def test_how_a_run_stands_is_seen_after_a_long_path(tmp_path, width):
    from rich.console import Console

    from genmod.cli.plot import _page

    place = tmp_path / ("very-" * 20 + "long") / "run"
    place.mkdir(parents=True)
    (place / "run.json").write_text('{"status": "running"}')
    (place / "metrics.jsonl").write_text('{"step": 777, "epoch": 9, "split": "train", "loss": 1.0}\n')
    screen = Console(file=io.StringIO(), width=width)
    screen.print(_page([place], ["loss"], [place], width))
    first = screen.file.getvalue().splitlines()[0]
    assert first.endswith("long/run: running, step 777")
    assert first.startswith("…")


class Screen(io.StringIO):
    """A stream that people watch."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize("columns", ["120", "36", "20"])
def test_dashboard_draws_what_a_run_tells(monkeypatch, columns):
    from genmod.cli import console
    from genmod.cli.dashboard import Dashboard
    from genmod.training.events import Event

    screen = Screen()
    clock = types.SimpleNamespace(monotonic=lambda: 100.0)  # it stands still, however long this takes
    monkeypatch.setattr("genmod.cli.dashboard.time", clock)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stderr", screen)
    console.configure(console.Settings(color="never"))
    with Dashboard() as dashboard:
        dashboard(Event("warning", 0, 10, 0.0, text="[red]careful[/red]"))
        dashboard(Event("progress", 0, 10, 0.0))
        for step in range(1, 10):
            for kind in ("train", "validation"):
                values = {"loss": 5.0 / step, "rate": 1.0 * step, "distortion": 2.0}
                dashboard(Event(kind, step, 10, 1.0, values, best=kind == "validation"))
        # Drawn at most once a second, however much there is to tell.
        assert screen.getvalue().count("10  ") <= 2
        dashboard._drawn = 0.0
        dashboard(Event("progress", 9, 10, 1.0))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert re.search("[⠁-⣿]{3}", shown)
    assert "careful[/red]" in shown
    assert shown.rstrip().endswith("warning: [red]careful[/red]")
    if columns == "120":
        assert "9/10" in shown
        assert "loss  train 0.56  valid. 0.56" in shown
        assert "best validation loss 0.56 at step 9" in shown
    console.configure(console.Settings())


@pytest.mark.slow
def test_dashboard(tmp_path):
    """Curves are drawn while it runs; afterwards the screen has what it has without."""
    import genmod

    model = genmod.build(encoder="mlp", latent=2, settings={"encoder.hidden": [8]})
    genmod.save(model, tmp_path / "m")
    options = ["--steps", "1500", "--device", "cpu", "--log-every", "10"]
    terminal = Terminal("train", tmp_path / "m", *options, "--dashboard")
    assert terminal.end() == 0
    assert "steps/s" in terminal.text
    assert re.search("[⠁-⣿]{3}", terminal.text)
    assert "finished after 1500 steps" in terminal.text
    assert "samples.png" in terminal.text


@pytest.mark.slow
def test_dashboard_and_ctrl_c(tmp_path):
    import genmod

    model = genmod.build(encoder="mlp", latent=2, settings={"encoder.hidden": [8]})
    genmod.save(model, tmp_path / "m")
    terminal = Terminal("train", tmp_path / "m", "--steps", "1000000", "--device", "cpu", "--dashboard")
    assert "steps/s" in terminal.read("steps/s")
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.end() == 130
    assert "stopped after step" in terminal.text
    assert json.loads((tmp_path / "m" / "run.json").read_text())["status"] == "interrupted"


def test_dashboard_off_a_terminal_is_the_normal_output(genmod, tmp_path):
    said = []
    for more in ([], ["--dashboard"]):
        assert genmod("build", *SMALL, "-o", "m", "--overwrite").code == 0
        done = genmod("train", "m", "--steps", "5", "--device", "cpu", *more)
        assert done.code == 0
        # Lines of progress come every few seconds, with whatever there is to tell just then.
        lines = [line for line in done.err.splitlines() if not line.startswith("step ")]
        said.append((done.out, re.sub(r"[\d.]+ s", "", "\n".join(lines))))
    assert said[0] == said[1]
