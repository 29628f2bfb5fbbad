"""Runs in processes of their own, which can be killed."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import genmod


class Server:
    """Forks training processes; see ``server.py``."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == {"ready": True}

    def start(self, directory, **asked):
        """Begin a run; its process number."""
        self._process.stdin.write(json.dumps({"directory": str(directory), **asked}) + "\n")
        self._process.stdin.flush()
        return self._read()["pid"]

    def wait(self):
        """The exit code of the run, negative for a signal."""
        return self._read()["status"]

    def run(self, directory, **asked):
        self.start(directory, **asked)
        return self.wait()

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _read(self):
        line = self._process.stdout.readline()
        assert line, "the server has died"
        return json.loads(line)


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.close()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def outcome():
    """What a run has left: its weights, metrics and whole final state."""

    def function(directory):
        checkpoints = sorted((directory / "checkpoints").glob("step-*"))
        tensors = {path.name: digest(path) for path in sorted(checkpoints[-1].glob("*.safetensors"))}
        state = json.loads((checkpoints[-1] / "state.json").read_text())
        state["run"].pop("seconds")
        return {
            "last": digest(directory / "last.safetensors"),
            "best": digest(directory / "model.safetensors"),
            "rows": (directory / "metrics.jsonl").read_text(),
            "checkpoint": checkpoints[-1].name,
            "tensors": tensors,
            "run": state["run"],
        }

    return function


@pytest.fixture
def fresh(tmp_path):
    """Make a model directory of that name."""

    def function(name, **components):
        components = {"encoder": "mlp", "latent": 2} | components
        place = tmp_path / name / "model"
        place.parent.mkdir()
        return genmod.save(genmod.build(**components), place)

    return function
