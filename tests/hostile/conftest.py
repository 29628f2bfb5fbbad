"""Commands as a stranger's files meet them: in processes of their own, with limits of time and of memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest


class Done(NamedTuple):
    """What became of a command: its exit code, what it printed, and whether it took too long."""

    code: int
    late: bool
    seconds: float
    kilobytes: int
    output: str

    @property
    def fault(self):
        """What a user should not have seen, or nothing."""
        if self.late:
            return f"no end after {self.seconds} s"
        if self.code not in (0, 1, 2, 3):
            return f"exit code {self.code}"
        signs = ("Traceback", "--debug", "not enough memory", "MemoryError")
        return next((sign for sign in signs if sign in self.output), "")


class Commands:
    """Runs commands in forks; see ``server.py``."""

    def __init__(self, folder):
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == {"ready": True}

    def __call__(self, *arguments, seconds=10, more=2**30, **limits):
        """Run a command; ``more`` is what it may take beyond what is there when everything is imported."""
        output = self.folder / "output.txt"
        output.write_bytes(b"")
        asked = {"arguments": [str(a) for a in arguments], "seconds": seconds, "bytes": more}
        asked |= {"folder": str(self.folder), "output": str(output), **limits}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Done(**self._read(), output=output.read_text("utf-8", "replace"))

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _read(self):
        line = self._process.stdout.readline()
        assert line, "the server has died"
        return json.loads(line)


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    found = Commands(tmp_path_factory.mktemp("commands"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, commands):
    """The directory of a small model that was trained and has a sampler; to be copied."""
    import genmod

    directory = tmp_path_factory.mktemp("trained") / "m"
    model = genmod.build(encoder="mlp", latent=2, settings={"encoder.hidden": [32]})
    genmod.train(model, directory=directory, epochs=2, batch_size=128, device="cpu")
    assert commands("fit-sampler", directory, "--sampler", "gaussian").code == 0
    return directory
