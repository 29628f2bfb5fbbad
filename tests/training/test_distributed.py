"""Several processes: the same run as in one, whichever way the work is shared."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import genmod
from genmod.cli import main
from genmod.errors import UsageError
from genmod.system.parallel import batch_mean, gather_batch
from genmod.training import distributed
from genmod.training.distributed import Team, process_group


def _genmod(folder, *arguments, check=True, **more):
    environment = {**os.environ, **more}
    environment.pop("WORLD_SIZE", None)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "genmod", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def _weights(folder, name):
    return genmod.load(folder / name, weights="last").state_dict()


def _losses(folder, name):
    lines = (folder / name / "metrics.jsonl").read_text().splitlines()
    return [(row["step"], row["split"], row["loss"]) for row in map(json.loads, lines)]


_RUN = ["--steps", "50", "--device", "cpu", "--log-every", "5", "-s", "optimizer.eps=0.0001"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same model, trained in this process, and in two."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("one", "ddp", "fsdp"):
        small = {"encoder": {"name": "mlp", "hidden": [64]}, "settings": {"objective.free_bits": 0.1}}
        genmod.save(genmod.build(**small), folder / name)
    with pytest.raises(SystemExit) as done:
        main(["train", str(folder / "one"), *_RUN])
    assert done.value.code == 0
    _genmod(folder, "train", "ddp", *_RUN, "--processes", "2")
    return folder


@pytest.fixture(scope="module")
def spread(runs):
    """The same run in two processes with spread weights."""
    _genmod(runs, "train", "fsdp", *_RUN, "--processes", "2", "--strategy", "fsdp")
    return runs


def test_two_processes_train_the_weights_of_one(runs):
    one, two = _weights(runs, "one"), _weights(runs, "ddp")
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-6


def test_metrics_of_two_processes_are_those_of_all_examples(runs):
    one, two = _losses(runs, "one"), _losses(runs, "ddp")
    assert [row[:2] for row in one] == [row[:2] for row in two]
    assert [row[2] for row in two] == pytest.approx([row[2] for row in one], abs=1e-4)


@pytest.mark.slow
def test_spread_weights_give_the_losses_of_whole_ones(spread):
    whole, parts = _losses(spread, "ddp"), _losses(spread, "fsdp")
    assert [row[2] for row in parts] == pytest.approx([row[2] for row in whole], abs=1e-5)


@pytest.mark.parametrize(("strategy", "rank"), [("ddp", 0), ("ddp", 1), ("fsdp", 1)])
@pytest.mark.slow
def test_a_signal_to_either_process_stops_both_and_the_run_goes_on_bit_for_bit(
    spread, strategy, rank, tmp_path
):
    _genmod(
        tmp_path,
        "-q",
        "build",
        "--encoder",
        "mlp",
        "-s",
        "encoder.hidden=64",
        "-s",
        "objective.free_bits=0.1",
    )
    together = ["train", *_RUN, "--processes", "2", "--strategy", strategy]
    launcher = subprocess.Popen(
        [sys.executable, "-P", "-m", "genmod", *together],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    metrics = tmp_path / "model" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.01)
    children = [int(pid) for pid in _children(launcher.pid)]
    child = next(pid for pid in children if _environment(pid).get("RANK") == str(rank))
    os.kill(child, signal.SIGTERM)
    _, errors = launcher.communicate()
    record = json.loads((tmp_path / "model" / "run.json").read_text())
    if record["status"] == "finished":
        pytest.skip("the run was over before the signal came")
    assert launcher.returncode == 143, errors
    assert record["status"] == "interrupted"
    saved = sorted((tmp_path / "model" / "checkpoints").iterdir())[-1].name
    assert saved == f"step-{record['step']:08d}"
    _genmod(tmp_path, *together, "--resume")
    done = _weights(tmp_path, "model")
    uninterrupted = _weights(spread, strategy)
    assert all(torch.equal(done[name], uninterrupted[name]) for name in done)
    assert _losses(tmp_path, "model") == _losses(spread, strategy)


def _children(pid):
    path = f"/proc/{pid}/task/{pid}/children"
    with open(path) as stream:
        return stream.read().split()


def _environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as stream:
        pairs = (entry.split(b"=", 1) for entry in stream.read().split(b"\0") if b"=" in entry)
        return {key.decode(): value.decode() for key, value in pairs}


@pytest.mark.slow
def test_batch_norm_is_refused_where_processes_cannot_share_it(tmp_path):
    _genmod(tmp_path, "-q", "build", "-s", "encoder.norm=batch")
    done = _genmod(tmp_path, "train", "--steps", "2", "--device", "cpu", "--processes", "2", check=False)
    assert done.returncode == 2
    assert "statistics processes on the CPU do not share" in done.stderr
    assert "encoder.norm=group" in done.stderr


def test_a_batch_is_shared_out_evenly_or_not_at_all():
    team = Team()
    team.rank, team.size = 1, 3
    assert team.share(12) == slice(4, 8)
    with pytest.raises(UsageError, match="a batch of 7 cannot be shared evenly among 3 processes"):
        team.share(7)


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_out_is_refused(tmp_path):
    _genmod(tmp_path, "-q", "build", "--encoder", "mlp")
    done = _genmod(tmp_path, "train", "--steps", "2", "--batch-size", "7", "--processes", "2", check=False)
    assert done.returncode == 2
    assert (
        done.stderr.count("a batch of 7 cannot be shared evenly among 2 processes") == 1
    )  # by the first alone


def test_processes_with_gpus_agree_without_them(monkeypatch):
    """NCCL averages gradients; what the loop asks for in each step goes over gloo, and waits for no GPU."""
    begun, device = [], []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.delenv("GENMOD_STORE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", device.append)
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda backend: begun.append(backend))
    with process_group("auto") as chosen:
        assert chosen == "cuda:1" == device[0]
    assert begun == ["cpu:gloo,cuda:nccl"]
    for config, place in (
        ("cpu:gloo,cuda:nccl", "cpu"),
        ("cpu:gloo,cuda:gloo", "cpu"),
        ("cuda:nccl", "cuda"),
    ):
        monkeypatch.setattr(distributed.dist, "get_backend_config", lambda config=config: config)
        assert distributed._device() == place


def test_alone_there_is_nothing_to_share():
    x = torch.randn(4, 3)
    assert torch.equal(batch_mean(x), x.mean(0))
    assert gather_batch(x) is x
    assert (Team().rank, Team().size, Team().largest(1, 2)) == (0, 1, (1, 2))
