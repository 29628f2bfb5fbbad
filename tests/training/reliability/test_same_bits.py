"""What the README promises of bits: the same machine and versions, the same command, the same numbers."""

import signal
import subprocess
import sys
import time

import pytest

import genmod

SETTINGS = [
    "--steps",
    "60",
    "--checkpoint-every",
    "5",
    "--batch-size",
    "32",
    "--device",
    "cpu",
    "--seed",
    "3",
]
MODEL = {"encoder": {"name": "mlp", "hidden": [32]}}


def command(*arguments):
    """In an interpreter of its own: hashes, addresses and what ran before differ."""
    return [sys.executable, "-P", "-m", "genmod", "-q", *map(str, arguments)]


def test_the_same_command_gives_the_same_bits_also_when_it_was_killed(fresh, outcome):
    first, again, killed, other = (fresh(name, **MODEL) for name in ("first", "again", "killed", "other"))
    for directory in (first, again):
        subprocess.run(command("train", directory, *SETTINGS), check=True)
    subprocess.run(command("train", other, *SETTINGS[:-1], "4"), check=True)
    run = subprocess.Popen(command("train", killed, *SETTINGS))
    while run.poll() is None and not any((killed / "checkpoints").glob("step-*")):
        time.sleep(0.001)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    subprocess.run(command("train", killed, "--resume"), check=True)
    assert outcome(first) == outcome(again) == outcome(killed)
    assert outcome(first)["last"] != outcome(other)["last"]
    measured = [
        subprocess.run(command("evaluate", directory, "--json"), check=True, capture_output=True).stdout
        for directory in (first, again, killed)
    ]
    assert measured[0].replace(b"first", b"again") == measured[1]
    assert measured[0].replace(b"first", b"killed") == measured[2]


@pytest.mark.parametrize(
    ("what", "before"),
    [
        ("torch", "2.0"),
        ("device", "cuda"),
        ("processor", "another"),
        ("cpu_capability", "NONE"),
        ("threads", 999),
        ("processes", 7),
    ],
)
def test_what_rounds_otherwise_is_told(fresh, what, before, monkeypatch):
    directory = fresh("model", **MODEL)
    from genmod.training import record

    surroundings = record.surroundings
    monkeypatch.setattr(record, "surroundings", lambda device: {**surroundings(device), what: before})
    genmod.train(genmod.load(directory), directory=directory, steps=2, device="cpu")
    monkeypatch.undo()
    told = []
    genmod.train(
        genmod.load(directory, weights="last"), directory=directory, resume=True, on_event=told.append
    )
    assert [event.text for event in told if event.kind == "warning"] == [
        f"the run goes on, but not bit for bit, because this differs: {what}: {before} → "
        f"{surroundings('cpu')[what]}"
    ]
