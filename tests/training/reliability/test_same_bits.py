"""What the README promises of bits: the same machine and versions, the same command, the same numbers."""

import os
import signal
import subprocess
import sys
import time

import pytest

import genmod
from genmod.training import resume

MODEL = {"encoder": {"name": "mlp", "hidden": [32]}}
OPTIONS = ["--steps", "60", "--checkpoint-every", "5", "--batch-size", "32", "--device", "cpu"]


def train(directory, *more):
    return ["-q", "train", str(directory), *OPTIONS, *more]


@pytest.mark.slow
def test_another_interpreter_gives_the_same_bits(server, fresh, outcome):
    """In which hashes, addresses and what ran before differ."""
    first, again = fresh("first", **MODEL), fresh("again", **MODEL)
    assert server.run(first, arguments=train(first)) == 0
    subprocess.run([sys.executable, "-P", "-m", "genmod", *train(again)], check=True)
    assert outcome(first) == outcome(again)


def test_the_same_command_gives_the_same_bits_also_when_it_was_killed(server, fresh, outcome):
    first, again, killed, other = (fresh(name, **MODEL) for name in ("first", "again", "killed", "other"))
    assert server.run(first, arguments=train(first)) == 0
    assert server.run(again, arguments=train(again)) == 0
    assert server.run(other, arguments=train(other, "--seed", "4")) == 0
    pid = server.start(killed, arguments=train(killed))
    while not any((killed / "checkpoints").glob("step-*")):
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    assert server.run(killed, arguments=train(killed, "--resume")) == 0
    assert outcome(first) == outcome(again) == outcome(killed)
    assert outcome(first)["last"] != outcome(other)["last"]


@pytest.mark.parametrize("what", ["torch", "device", "processor", "cpu_capability", "threads", "processes"])
def test_what_rounds_otherwise_is_told(fresh, what, monkeypatch):
    directory = fresh("model", **MODEL)
    genmod.train(genmod.load(directory), directory=directory, steps=2, device="cpu")
    before = resume.surroundings("cpu")
    assert before[what]
    monkeypatch.setattr(resume, "surroundings", lambda device: {**before, what: "another"})
    model, events = genmod.load(directory, weights="last"), []
    genmod.train(model, directory=directory, resume=True, on_event=events.append)
    assert [event.text for event in events if event.kind == "warning"] == [
        f"the run is resumed, but not bit for bit, because of these differences: {what}: {before[what]} → another"
    ]
