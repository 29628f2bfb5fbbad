"""Processes that a command starts: they do not outlive it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from genmod import UsageError, cli

pytestmark = pytest.mark.skipif(os.name != "posix", reason="parents of processes are known on POSIX alone")

CHILD = """
import os, time
from genmod.cli.processes import end_with
end_with(os.getppid(), every=0.1)
print("watching", flush=True)
time.sleep(600)
"""
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE, text=True, start_new_session=True)
print(child.stdout.readline().strip(), child.pid, flush=True)
time.sleep(600)
"""


def ended(pid, seconds):
    """Whether a process ends within some time. It is somebody else's child, who has to ask for its exit code."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_process_ends_when_the_one_that_started_it_was_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    with parent.stdout as out:
        word, pid = out.readline().split()
    assert word == "watching"
    parent.kill()
    parent.wait()
    try:
        assert ended(int(pid), 60)
    finally:
        if not ended(int(pid), 0.2):
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_training_stops_when_its_launcher_was_killed(tmp_path):
    from genmod import build, save

    save(build(encoder="mlp", settings={"encoder.hidden": [16]}), tmp_path / "m")
    words = [
        sys.executable,
        "-P",
        "-m",
        "genmod",
        "train",
        str(tmp_path / "m"),
        "--processes",
        "2",
        "--epochs",
        "100000",
    ]
    with open(tmp_path / "log", "w") as log:
        launcher = subprocess.Popen(words, stdout=log, stderr=log)
    until = time.monotonic() + 120
    while not list((tmp_path / "m").glob("checkpoints/step-*")) and time.monotonic() < until:
        time.sleep(0.2)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(launcher.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(children) == 2, (tmp_path / "log").read_text()
    launcher.kill()
    launcher.wait()
    assert all(ended(int(pid), 60) for pid in children)
    assert json.loads((tmp_path / "m" / "run.json").read_text())["status"] == "interrupted"


def test_an_error_of_all_processes_is_said_by_the_first(monkeypatch, capsys):
    """The others wait, so that the launcher can end them; what one of them alone has run into is said then."""
    waited, before = [], signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli.time, "sleep", lambda seconds: waited.append((seconds, capsys.readouterr().err)))
    try:
        for rank in ("0", "1"):
            monkeypatch.setenv("RANK", rank)
            assert cli._report(UsageError("none of these")) == 2
            assert "none of these" in capsys.readouterr().err
    finally:
        signal.signal(signal.SIGTERM, before)
    assert waited == [(cli._SECONDS_TO_SPEAK, "")]
