"""Several machines under torchrun: one is lost and comes back, and the run ends as if nothing had happened."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

import genmod
from genmod.system.tensors import read_any_tensors
from genmod.training.distributed import Team
from genmod.training.train import _started_again

TRAIN = ["--device", "cpu", "--batch-size", "32", "--film-every", "0", "--seed", "3"]
SMALL = {"encoder": {"name": "mlp", "hidden": [32]}, "latent": 3}


def test_processes_that_are_started_again_resume_their_run_and_no_other(tmp_path, monkeypatch):
    model = genmod.build(**SMALL)
    place = genmod.bundle.directory.ModelDirectory(tmp_path / "model")

    def again(**more):
        return _started_again(place, Team(), **{"overwrite": False, **more})

    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert not again()
    with pytest.raises(KeyboardInterrupt):
        genmod.train(
            model,
            directory=place.path,
            steps=9,
            device="cpu",
            film_every=0,
            checkpoint_every=3,
            on_event=_stop_at(6),
        )
    assert again()
    # Another run that was to start over, and had not yet.
    assert not again(overwrite=True)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert not again()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    model = genmod.load(place.path, weights="last")
    assert (
        genmod.train(
            model, directory=place.path, steps=9, device="cpu", film_every=0, checkpoint_every=3
        ).steps
        == 9
    )
    straight = genmod.build(**SMALL)
    genmod.train(straight, steps=9, device="cpu", film_every=0)
    assert all(torch.equal(model.state_dict()[name], each) for name, each in straight.state_dict().items())


def _stop_at(step):
    def stop(event):
        if event.kind == "checkpoint" and event.step == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["fsdp", "ddp"])
def test_a_machine_that_is_killed_and_comes_back(tmp_path, strategy):
    """Two of them on the loopback address; the second is killed with all it runs, and started again."""
    for name in ("straight", "lost"):
        genmod.save(genmod.build(**SMALL), tmp_path / name)
    first, second = _machines(tmp_path / "straight", strategy)
    assert [_end(first), _end(second)] == [0, 0]

    first, second = _machines(tmp_path / "lost", strategy)
    _wait_for(lambda: list((tmp_path / "lost" / "checkpoints").glob("step-*[1-9]*")))
    for pid in [*_all_below(second.pid), second.pid]:
        os.kill(pid, signal.SIGKILL)
    second.wait()
    assert not (tmp_path / "lost" / "last.safetensors").exists()
    back = _machine(tmp_path / "lost", strategy, first.port)
    assert [_end(first), _end(back)] == [0, 0]
    expected, found = (
        read_any_tensors(tmp_path / name / "last.safetensors") for name in ("straight", "lost")
    )
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    # It went on, and did not begin again.
    said = "".join(path.read_text() for path in tmp_path.glob("lost-*.log"))
    steps = [int(step) for step in re.findall(r"^step (\d+)/200", said, re.MULTILINE)]
    assert len(steps) > 1
    assert steps == sorted(set(steps))


def _machines(directory, strategy):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first = _machine(directory, strategy, port)
    # The first is host of the meeting place.
    return first, _machine(directory, strategy, port)


def _machine(directory, strategy, port):
    number = len(list(directory.parent.glob(f"{directory.name}-*.log")))
    log = directory.parent / f"{directory.name}-{number}.log"
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=run"]
    meeting.append(f"--rdzv-conf=is_host={int(number == 0)}")
    launcher = [
        sys.executable,
        "-P",
        "-m",
        "torch.distributed.run",
        "--nnodes=2",
        "--nproc-per-node=1",
        "--max-restarts=3",
    ]
    command = [*launcher, *meeting, "--local-addr=127.0.0.1", "-m", "genmod", "train", str(directory), *TRAIN]
    command += ["--steps", "200", "--checkpoint-every", "20", "--strategy", strategy]
    with log.open("w") as said:
        machine = subprocess.Popen(
            command,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "GLOO_SOCKET_IFNAME": "lo",
                "PYTHONSAFEPATH": "1",
                "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
            },
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=directory.parent,
        )
    machine.port, machine.number = port, number
    return machine


def _end(machine):
    return machine.wait(timeout=800)


def _wait_for(happened):
    until = time.monotonic() + 600
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


def _all_below(pid):
    """Processes that a process has started, and those that they have."""
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        children = list(map(int, stream.read().split()))
    return [each for child in children for each in (*_all_below(child), child)]
