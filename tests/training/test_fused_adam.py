"""Short steps of fused Adam: the numbers of torch's own, whatever comes between two steps."""

import sys
from copy import deepcopy

import pytest
import torch
from torch import nn

from genmod.training.lr import make_optimizer

OPTIONS = [
    ("adam", {}),
    ("adam", {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    ("adam-w", {"betas": (0.5, 0.9), "eps": 1e-3}),
]


def pair(name, options):
    """Parameters and an optimizer as genmod makes it, and the same as torch makes it."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator) for shape in ((30, 40), (40,))]
    ours, theirs = ([nn.Parameter(w.clone()) for w in weights] for _ in range(2))
    cls = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return (ours, make_optimizer(name, ours, 0.1, options)), (theirs, cls(theirs, 0.1, fused=True, **options))


def take(pairs, first, last, without=()):
    for step in range(first, last):
        for parameters, optimizer in pairs:
            generator = torch.Generator().manual_seed(step)
            for i, p in enumerate(parameters):
                gradient = torch.randn(p.shape, generator=generator)
                p.grad = None if (step, i) in without else gradient
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.step()


def same(pairs):
    (ours, optimizer), (theirs, other) = pairs
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    for a, b in zip(ours, theirs, strict=True):
        assert {k: v.tolist() for k, v in optimizer.state[a].items()} == {
            k: v.tolist() for k, v in other.state[b].items()
        }


@pytest.fixture
def kernels(monkeypatch):
    """How torch's own step, and how the kernel was called: the first calls the second once."""
    called = {"own": 0, "kernel": 0}

    def counted(place, name, label):
        function = getattr(place, name)

        def count(*arguments, **options):
            called[label] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(place, name, count)

    counted(sys.modules["torch.optim.adam"], "_fused_adam", "own")
    # Of its own in older versions of torch.
    if hasattr(sys.modules["torch.optim.adamw"], "_fused_adamw"):
        counted(sys.modules["torch.optim.adamw"], "_fused_adamw", "own")
    counted(torch, "_fused_adam_", "kernel")
    counted(torch, "_fused_adamw_", "kernel")
    return called


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_steps_are_those_of_torch(kernels, name, options):
    pairs = pair(name, options)
    take(pairs, 0, 5)
    same(pairs)
    assert kernels == {"own": 1 + 5, "kernel": 5 + 5}  # the first step of ours is torch's


def test_a_parameter_without_a_gradient_stays():
    pairs = pair("adam", {})
    take(pairs, 0, 6, without={(0, 1), (3, 0), (3, 1), (4, 0)})
    same(pairs)


def test_a_state_that_is_loaded_is_gone_on_with():
    pairs = pair("adam", {})
    take(pairs, 0, 3)
    before = [deepcopy(optimizer.state_dict()) for _, optimizer in pairs]
    take(pairs, 3, 6)
    for (_, optimizer), state in zip(pairs, before, strict=True):
        optimizer.load_state_dict(state)
    take(pairs, 6, 9)
    same(pairs)


def test_hooks_and_flags_are_heeded():
    pairs = pair("adam", {})
    take(pairs, 0, 2)
    seen = []
    hook = pairs[0][1].register_step_post_hook(lambda *arguments: seen.append(1))
    take(pairs, 2, 4)
    hook.remove()
    for stopped in (1.0, 0.0):
        for _, optimizer in pairs:
            optimizer.found_inf = torch.tensor(stopped)
        take(pairs, 4, 6)
    assert seen == [1, 1]
    same(pairs)


def test_a_group_that_is_added_moves():
    pairs = pair("adam", {})
    take(pairs, 0, 2)
    for parameters, optimizer in pairs:
        parameters.append(nn.Parameter(torch.ones(7)))
        optimizer.add_param_group({"params": [parameters[-1]]})
    take(pairs, 2, 5)
    same(pairs)
