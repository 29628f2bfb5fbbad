"""Signals: the step is finished, everything saved, and the exit code says what happened."""

import json
import os
import random
import signal
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

import genmod
from genmod.training import validation
from genmod.training.checkpoint import newest
from genmod.training.signals import STOP_SIGNALS, Interrupted, StopSignals
from genmod.training.train import train

OPTIONS = ["--steps", "150", "--batch-size", "32", "--device", "cpu", "--log-every", "7", "--ema", "0.9"]
MODEL = {"encoder": {"name": "mlp", "hidden": [32]}}
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143}


def begin(server, directory, *more):
    return server.start(directory, arguments=["-q", "train", str(directory), *OPTIONS, *more])


def wait_for_run(directory):
    """Until the run of a directory goes; signals before that find no run to stop."""
    record = {}
    while record.get("status") != "running":
        time.sleep(0.002)
        with suppress(OSError, ValueError):
            record = json.loads((directory / "run.json").read_text())


def left(directory):
    found, passed_over = newest(directory / "checkpoints")
    assert passed_over == []
    return found


@pytest.fixture(scope="module")
def reference(server, tmp_path_factory):
    place = tmp_path_factory.mktemp("reference") / "model"
    genmod.save(genmod.build(latent=2, **MODEL), place)
    begin(server, place)
    assert server.wait() == 0
    state = json.loads((max((place / "checkpoints").glob("step-*")) / "state.json").read_text())
    return SimpleNamespace(directory=place, seconds=state["run"]["seconds"])


def stop_and_go_on(server, directory, name, moment, reference, outcome):
    """Stop a run when it has gone on for a share of the time it takes; whether the signal came before the end."""
    pid = begin(server, directory)
    wait_for_run(directory)
    time.sleep(moment * reference.seconds)
    os.kill(pid, getattr(signal, name))
    code = server.wait()
    record = json.loads((directory / "run.json").read_text())
    assert left(directory).step == record["step"]
    if record["status"] == "finished":
        assert code in (0, CODES[name])
        return False
    assert code == CODES[name], (directory.parent / "stderr").read_text()
    assert record["status"] == "interrupted"
    assert f"stopped after step {record['step']} by {name}" in (directory.parent / "stderr").read_text()
    begin(server, directory, "--resume")
    assert server.wait() == 0
    assert outcome(directory) == outcome(reference.directory)
    return True


@pytest.mark.parametrize(
    "name", [name if name == "SIGTERM" else pytest.param(name, marks=pytest.mark.slow) for name in CODES]
)
def test_at_random_moments(server, fresh, outcome, reference, name):
    moments = random.Random(name)
    stopped = [
        stop_and_go_on(
            server, fresh(f"{name}-{i}", **MODEL), name, moments.uniform(0, 0.5), reference, outcome
        )
        for i in range(2)
    ]
    assert any(stopped)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_at_fifty_random_moments(server, fresh, outcome, reference):
    moments = random.Random(0)
    stopped = [
        stop_and_go_on(server, fresh(str(i), **MODEL), "SIGTERM", moments.uniform(0, 0.8), reference, outcome)
        for i in range(50)
    ]
    assert sum(stopped) > 25


def test_a_second_ctrl_c_aborts_at_once(server, fresh, outcome, reference):
    directory = fresh("model", **MODEL)
    pid = begin(server, directory, "--checkpoint-every", "5")
    wait_for_run(directory)
    time.sleep(0.1 * reference.seconds)
    for _ in range(2):
        os.kill(pid, signal.SIGINT)
        time.sleep(0.0005)
    assert server.wait() == 130
    record = json.loads((directory / "run.json").read_text())
    assert record["status"] == "interrupted"
    begin(server, directory, "--resume")
    assert server.wait() == 0
    assert outcome(directory) == outcome(reference.directory)


class Slow:
    """Lets a signal come while a piece of the validation loss is computed."""

    def __init__(self, monkeypatch, number, at):
        self.calls, self.number, self.at = 0, number, at
        means = validation.validation_means

        def slow(*arguments, **options):
            self.calls += 1
            if self.calls == at:
                os.kill(os.getpid(), number)
            return means(*arguments, **options)

        monkeypatch.setattr("genmod.training.trainer.validation_means", slow)


def test_while_validating(monkeypatch, tmp_path):
    Slow(monkeypatch, signal.SIGTERM, 2)
    with pytest.raises(Interrupted) as stopped:
        train(genmod.build(latent=2, **MODEL), directory=tmp_path / "m", steps=50, device="cpu")
    # The validation at the end of the second epoch, of ten steps each, and one step more.
    assert stopped.value.step == 21
    assert left(tmp_path / "m").step == 21


def test_while_validating_for_the_last_time(monkeypatch, tmp_path):
    Slow(monkeypatch, signal.SIGINT, 2)
    with pytest.raises(Interrupted) as stopped:
        train(genmod.build(latent=2, **MODEL), directory=tmp_path / "m", steps=20, device="cpu")
    assert stopped.value.exit_code == 130
    record = json.loads((tmp_path / "m" / "run.json").read_text())
    assert (record["status"], record["step"]) == ("finished", 20)
    assert left(tmp_path / "m").step == 20


def test_handlers_are_put_back():
    def own(number, frame):
        pass

    before = {number: signal.signal(number, own) for number in STOP_SIGNALS}
    try:
        train(genmod.build(latent=2, **MODEL), steps=1, device="cpu")
        assert all(signal.getsignal(number) is own for number in STOP_SIGNALS)
        with StopSignals():
            assert all(signal.getsignal(number) is not own for number in STOP_SIGNALS)
        assert all(signal.getsignal(number) is own for number in STOP_SIGNALS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_only_the_second_ctrl_c_interrupts():
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.received in (signal.SIGTERM, signal.SIGUSR1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_a_shell_lets_its_background_jobs_ignore_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.received is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.received == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_trains_without_handlers():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    results = []
    model = genmod.build(latent=2, **MODEL)
    thread = threading.Thread(target=lambda: results.append(train(model, steps=2, device="cpu")))
    thread.start()
    thread.join()
    assert results[0].status == "finished"
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


@pytest.mark.slow
def test_a_group_of_processes_is_signalled(server, tmp_path, outcome):
    """As a scheduler does: workers that read ahead get the signal too."""
    import numpy as np

    x = np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=x)
    data = ["--data", "npz", "-s", f"dataset.path={tmp_path / 'x.npz'}", "--encoder", "mlp", "--latent", "2"]
    train_ = ["--steps", "200", "--batch-size", "16", "--device", "cpu", "--workers", "2"]
    train_ += ["--augment", "random-horizontal-flip"]
    for name in ("whole", "stopped"):
        directory = tmp_path / name / "model"
        directory.parent.mkdir()
        code = server.run(directory, arguments=["-q", "build", *data, "-o", str(directory)])
        assert code == 0, (tmp_path / name / "stderr").read_text()
        command = ["-q", "train", str(directory), *train_]
        pid = server.start(directory, arguments=command)
        if name == "stopped":
            wait_for_run(directory)
            rows = directory / "metrics.jsonl"
            while not (rows.exists() and rows.stat().st_size):
                time.sleep(0.002)
            workers = children(pid)
            for each in (pid, *workers):
                os.kill(each, signal.SIGTERM)
            assert server.wait() == 143, (tmp_path / name / "stderr").read_text()
            assert len(workers) == 2
            server.start(directory, arguments=[*command, "--resume"])
        assert server.wait() == 0, (tmp_path / name / "stderr").read_text()
    assert outcome(tmp_path / "stopped" / "model") == outcome(tmp_path / "whole" / "model")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        return [int(each) for each in stream.read().split()]
