"""What ``genmod train --processes`` opens to others: sockets on the loopback address alone, files in a private folder."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import genmod

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="it is seen in /proc")

LISTENING = "0A"
LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


def addresses(pid):
    """Where a process listens, as the kernel writes it."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(link))
        except OSError:  # closed by now
            continue
    for name in ("tcp", "tcp6"):
        table = Path(f"/proc/{pid}/net/{name}")
        for row in table.read_text().splitlines()[1:] if table.exists() else ():
            words = row.split()
            if words[3] == LISTENING and f"socket:[{words[9]}]" in sockets:
                yield words[1].partition(":")[0]


@pytest.fixture
def running(tmp_path):
    """A run in two processes, and a folder for temporary files; yields the launcher once both compute."""
    genmod.save(genmod.build(encoder="mlp", latent=2), tmp_path / "model")
    (tmp_path / "tmp").mkdir()
    launcher = subprocess.Popen(
        [sys.executable, "-P", "-m", "genmod", "-q", "train", "--processes", "2", "--steps", "1000000"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "GLOO_SOCKET_IFNAME": "eth0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows = tmp_path / "model" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and launcher.poll() is None:
        if rows.exists() and rows.stat().st_size:
            break
        time.sleep(0.05)
    yield launcher
    launcher.terminate()
    launcher.communicate()


@pytest.mark.slow
def test_sockets_and_files_are_private_and_do_not_outlive_the_run(running, tmp_path):
    assert running.poll() is None, running.communicate()[1]
    pids = [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
    assert len(pids) == 2
    found = [address for pid in (running.pid, *pids) for address in addresses(pid)]
    assert found
    assert set(found) <= set(LOOPBACK)
    (place,) = (tmp_path / "tmp").glob("genmod-*")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    os.kill(pids[1], signal.SIGKILL)
    assert running.wait(100) != 0
    assert not place.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
