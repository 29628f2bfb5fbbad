"""Operations recorded while a module runs: those that PyTorch exports, or none."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from genmod.explorer.exported import exported
from genmod.explorer.recorded import recorded


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_they_are_what_is_exported():
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 5), nn.SiLU(), nn.Linear(5, 4), nn.Softplus(), nn.LayerNorm(4)
    )
    inputs = (torch.randn(1, 3, 4),)
    found, wanted = recorded(net.eval(), inputs), exported(net, inputs, "run")
    names = [
        [node[0] for node in graph.nodes if node[0] not in ("getitem", "alias")] for graph in (found, wanted)
    ]
    assert sorted(names[0]) == sorted(names[1])
    assert sorted(c.flatten().tolist() for c in found.constants) == sorted(
        c.flatten().tolist() for c in wanted.constants
    )


REWRITTEN = {
    "parts": lambda x: torch.stack([a.relu() for a in x.split(2, 1)]).flatten(0, 1),
    "unbound": lambda x: sum(a * i for i, a in enumerate(x.unbind(2))),
    "enlarged": lambda x: functional.interpolate(x, scale_factor=2),
    "sized": lambda x: functional.interpolate(x, size=(5, 9)),
    "smooth": lambda x: functional.interpolate(x, size=(5, 9), mode="bilinear"),
    "turned": lambda x: (1 - x.transpose(1, 3)).flatten(1) @ torch.ones(48, 2),
    "length": lambda x: torch.linalg.vector_norm(x, dim=1).clamp_min(0.5),
    "norm": nn.BatchNorm2d(4).eval(),
    "shape": lambda x: x * x.new_ones(3).cumsum(0)[:, None],
    "floor": lambda x: 7 * x // 0.5,
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_what_a_browser_does_of_it(run_in_node, name):
    net, x = Function(REWRITTEN[name]), torch.randn(1, 4, 3, 4)
    graph = recorded(net, (torch.zeros(1, 4, 3, 4),))
    assert graph is not None
    _, (found,) = run_in_node([(graph.to_json(), [x])])
    torch.testing.assert_close(found, net(x).flatten(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "draw", [lambda x: (torch.rand_like(x) < x).float(), lambda x: torch.rand_like(x).lt_(x)]
)
def test_draws_are_drawn_anew(draw):
    graph = recorded(Function(draw), (torch.full((1, 3), 0.5),))
    assert [node[0] for node in graph.nodes] == ["rand_like", "lt", "_to_copy"]


def stepping():
    steps = iter(range(1, 9))
    return Function(lambda x: x * next(steps))


UNRECORDED = {
    "branches": lambda x: x if x.sum() > 0 else -x,
    "reads a number": lambda x: x * float(x.max()),
    "reads a list": lambda x: x + torch.tensor(x.tolist()),
    "reads an array": lambda x: x + torch.from_numpy(x.numpy()),
    "changes its input": lambda x: x.add_(1),
    "compares its input in place": lambda x: x.lt_(0.5),
    "compares in place what has a view": lambda x: (y := x * 2, v := y[:, :1], y.lt_(x + 0.3), v + y)[-1],
    "changes a constant": lambda x: torch.zeros(3).copy_(x[0]),
    "has no place in a page": lambda x: x.sort().values,
    "gives no tensor of its input": lambda x: torch.ones(1, 3),
    "fails": lambda x: x @ torch.ones(2),
}


@pytest.mark.parametrize("name", UNRECORDED)
def test_what_is_left_to_the_export(name):
    assert recorded(Function(UNRECORDED[name]), (torch.full((1, 3), 0.25),)) is None


def test_what_differs_from_run_to_run_is_not_recorded():
    assert recorded(stepping(), (torch.zeros(1, 3) + 1,)) is None


def test_a_result_that_is_infinite_hides_no_difference():
    steps = iter(range(1, 9))
    net = Function(lambda x: torch.cat([x * next(steps), (x * 1000).exp()], 1))
    assert recorded(net, (torch.ones(1, 3),)) is None


def test_an_unknown_mean_is_its_own_error():
    with pytest.raises(NotImplementedError):
        recorded(
            Function(lambda x: torch.distributions.Distribution(validate_args=False).mean),
            (torch.zeros(1, 3),),
        )
