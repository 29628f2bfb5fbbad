"""Statistics of the batch over two processes: value and gradient are those of one process with the whole batch."""

import json
import os
import socket
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import torch
import torch.distributed as dist
from genmod import diagonal_normal
from genmod.plugins.divergences.dip_i import DipI
from genmod.plugins.divergences.dip_ii import DipII
from genmod.plugins.divergences.hsic import HSIC
from genmod.plugins.divergences.mmd import MMD
from genmod.plugins.divergences.sliced_wasserstein import SlicedWasserstein
from genmod.plugins.divergences.tc import TotalCorrelation

rank, size = int(sys.argv[1]), int(sys.argv[2])
if size > 1:
    dist.init_process_group("gloo", rank=rank, world_size=size)
mine = slice(rank * 8 // size, (rank + 1) * 8 // size)
fixed = torch.Generator().manual_seed(1)
loc, log_scale, noise, y = torch.randn(4, 8, 3, generator=fixed, dtype=torch.float64)


class Given(torch.distributions.Distribution):
    # A prior whose draws are given, so that all numbers of processes have the same.
    has_rsample = True

    def rsample(self, shape=()):
        return y[mine][None]


zeros = torch.zeros(3, dtype=torch.float64)
given, standard = Given(validate_args=False), diagonal_normal(zeros, zeros, 1)
parts = {"mmd": MMD(), "sw": SlicedWasserstein(), "dip-i": DipI(kl=0), "dip-ii": DipII(kl=0), "hsic": HSIC(kl=0)}
for sampling in ("exact", "weighted", "stratified"):
    parts[sampling] = TotalCorrelation(sampling=sampling)
    parts[sampling].set_dataset_size(20)
found = {}
for name, part in parts.items():
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    m, s = loc[mine] * weight, log_scale[mine]
    q = diagonal_normal(m, s, 1)
    z = (m + noise[mine] * s.exp())[None]
    torch.manual_seed(2)
    loss = part(q, given if name in ("mmd", "sw") else standard, z).mean()
    (gradient,) = torch.autograd.grad(loss, weight)
    both = torch.cat([loss.detach()[None], gradient])
    if size > 1:
        dist.all_reduce(both)
        both /= size
    found[name] = both.tolist()
if rank == 0:
    print(json.dumps(found))
if size > 1:
    dist.destroy_process_group()
"""


def run(size):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(rank), str(size)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    done = [process.communicate() for process in processes]
    assert all(process.returncode == 0 for process in processes), done
    return json.loads(done[0][0].splitlines()[-1])


@pytest.mark.slow
def test_two_processes_compute_what_one_does():
    one, two = run(1), run(2)
    assert set(one) == {"mmd", "sw", "dip-i", "dip-ii", "hsic", "exact", "weighted", "stratified"}
    for name, numbers in one.items():
        assert two[name] == pytest.approx(numbers, rel=1e-9, abs=1e-12), name
