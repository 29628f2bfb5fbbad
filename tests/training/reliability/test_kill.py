"""SIGKILL at random moments, and every third time in the middle of a save."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from genmod.training.checkpoint import newest

SETTINGS = {
    "steps": 60,
    "checkpoint_every": 2,
    "log_every": 7,
    "batch_size": 64,
    "accumulate": 2,
    "ema": 0.9,
    "schedule": "plateau",
    "schedule_options": {"patience": 0},
    "patience": 50,
    "seed": 3,
}
MODEL = {
    "encoder": {"name": "mlp", "hidden": [64, 32]},
    "decoder": {"name": "gaussian", "scale": "optimal"},
    "objective": {"name": "elbo", "beta": "0->1 over 30 steps"},
}


def last_saved(directory):
    path = directory.parent / "saved"
    return int(path.read_text().split()[-1]) if path.exists() and path.read_text() else 0


def wait_for_a_save(pid, folder):
    """Until a checkpoint is being written, or the run has ended."""
    while not any(folder.glob(".step-*.tmp")):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return


def kill_often(server, fresh, outcome, kills):
    """Kill runs until so many have been; returns how many died in the middle of a save, and how many runs ended."""
    moments = random.Random(0)
    reference = fresh("reference", **MODEL)
    assert server.run(reference, settings=SETTINGS) == 0
    expected = outcome(reference)
    done = mid_save = ended = 0
    directory = fresh("run-0", **MODEL)
    while done < kills or not ended:
        resume = (directory / "run.json").exists()
        pid = server.start(directory, settings=SETTINGS, resume=resume)
        if done < kills:
            time.sleep(moments.uniform(0.03, moments.choice((0.1, 0.3, 1.0))))
            if done % 3 == 0:
                wait_for_a_save(pid, directory / "checkpoints")
            os.kill(pid, signal.SIGKILL)
        code = server.wait()
        assert code in (0, -signal.SIGKILL)
        if code == 0:
            assert outcome(directory) == expected
            ended += 1
            directory = fresh(f"run-{ended}", **MODEL)
            continue
        done += 1
        mid_save += any((directory / "checkpoints").glob(".step-*.tmp"))
        found, passed_over = newest(directory / "checkpoints")
        assert passed_over == []
        assert (found.step if found else 0) >= last_saved(directory)
    return mid_save, ended


def test_eight_kills(server, fresh, outcome):
    mid_save, ended = kill_often(server, fresh, outcome, 8)
    assert mid_save >= 1
    assert ended >= 1


@pytest.mark.slow
def test_forty_kills(server, fresh, outcome):
    mid_save, ended = kill_often(server, fresh, outcome, 40)
    assert mid_save >= 5
    assert ended >= 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_hundred_kills(server, fresh, outcome):
    mid_save, ended = kill_often(server, fresh, outcome, 200)
    assert mid_save >= 50
    assert ended >= 1
