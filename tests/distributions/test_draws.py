"""Draws that keep what their values lose: through every move, never past a change, and in compiled programs."""

import copy
import io

import pytest
import torch
from torch.distributions import Normal

from genmod.distributions import (
    Drawn,
    changed,
    drawn,
    drawn_by_logit,
    drawn_on_simplex,
    log_of,
    logit_of,
    own_of,
    plain,
)
from genmod.plugins.posteriors._bits import RelaxedBit


def draw(*shape):
    u = 50 * torch.randn(*shape)
    return drawn_by_logit(u), u


MOVES = {
    "none": lambda z: z[None],
    "slice": lambda z: z[1:3],
    "number": lambda z: z[0],
    "indices": lambda z: z[torch.tensor([2, 0])],
    "mask": lambda z: z[torch.tensor([True, False, True, True])],
    "view": lambda z: z.view(2, 2, 3),
    "reshape": lambda z: z.reshape(-1),
    "flatten": lambda z: torch.flatten(z),
    "unflatten": lambda z: z.unflatten(0, (2, 2)),
    "unsqueeze": lambda z: z.unsqueeze(1),
    "transpose": lambda z: z.transpose(0, 1),
    "mT": lambda z: z.mT,
    "permute": lambda z: z.permute(1, 0),
    "expand": lambda z: z.expand(5, 4, 3),
    "repeat": lambda z: z.repeat(2, 1),
    "cat": lambda z: torch.cat([z, z]),
    "stack": lambda z: torch.stack([z, z], 1),
    "split": lambda z: z.split(2)[1],
    "chunk": lambda z: torch.chunk(z, 2, 1)[1],
    "unbind": lambda z: z.unbind()[3],
    "iteration": lambda z: list(z)[3],
    "select": lambda z: z.index_select(1, torch.tensor([2, 1])),
    "roll": lambda z: z.roll(1, 0),
    "clone": lambda z: z.clone(),
    "detach": lambda z: z.detach(),
    "double": lambda z: z.double(),
    "to": lambda z: z.to(torch.float64),
}


@pytest.mark.parametrize("move", MOVES)
def test_it_goes_along(move):
    z, u = draw(4, 3)
    found, expected = MOVES[move](z), MOVES[move](u)
    assert torch.equal(logit_of(found), expected)
    assert torch.equal(plain(found), MOVES[move](plain(z)))
    assert type(plain(found)) is torch.Tensor


def test_what_computes_is_an_ordinary_tensor():
    z, _ = draw(4, 3)
    for result in (
        2 * z,
        z + 0,
        z.sigmoid(),
        z.sum(0),
        torch.nn.functional.linear(z, torch.ones(2, 3)),
        z > 0.5,
    ):
        assert type(result) is torch.Tensor


@pytest.mark.parametrize("write", ["itself", "a view", "in a function"])
def test_what_was_written_to_has_nothing_left(write):
    z, _ = draw(4, 3)
    if write == "itself":
        z[0] = 0.5
    elif write == "a view":
        z[0].mul_(0).add_(0.5)
    else:
        torch.nn.init.constant_(z, 0.5)
    assert torch.equal(logit_of(z[0]), torch.zeros(3))
    assert logit_of(z).abs().max() < 90


def test_pieces_side_by_side():
    """Each piece has its own, under its own name; what it lacks is computed from its values."""
    z, u = draw(4, 3)
    simplex = drawn_on_simplex(90 * torch.randn(4, 2))
    together = torch.cat([z, torch.full((4, 2), 0.25), simplex], -1)
    first, middle, last = together[None].split([3, 2, 2], -1)
    assert torch.equal(logit_of(first)[0], u)
    torch.testing.assert_close(logit_of(middle)[0], torch.full((4, 2), -1.0986), atol=1e-4, rtol=0)
    assert torch.equal(log_of(last)[0], log_of(simplex))
    # What another keeps is no logarithm of these.
    torch.testing.assert_close(log_of(first)[0], plain(z).log().clamp(min=-87.5))


def test_gradients_flow_through_what_is_kept():
    u = torch.tensor([0.3, 60.0], requires_grad=True)
    z = drawn_by_logit(u)[None]
    (slope,) = torch.autograd.grad((2 * logit_of(z)).sum(), u)
    assert slope.tolist() == [2.0, 2.0]
    assert not logit_of(z.detach()).requires_grad


def test_what_one_distribution_keeps_for_itself():
    q, other = Normal(torch.zeros(3), 1.0), Normal(torch.zeros(3), 1.0)
    values = torch.zeros(2, 3, requires_grad=True)
    z = drawn(values, {q: torch.ones(2, 3)})
    assert torch.equal(own_of(z[None], q), torch.ones(1, 2, 3))
    assert torch.equal(own_of(torch.cat([z, z]), q), torch.ones(4, 3))
    assert own_of(z, other) is None
    # Draws in another order, or of another size, are draws of others in the batch.
    for moved in (z[:, :2], z.T, z[torch.tensor([1, 0])], z.flip(0), z[:, None], z.clone()):
        assert own_of(moved, q) is None
    # Only some of these are draws of it.
    assert own_of(torch.cat([z, torch.zeros(2, 3)]), q) is None
    # Of a fixed value the density has another gradient.
    assert own_of(z.detach(), q) is None
    with torch.no_grad():
        fixed = drawn(torch.zeros(2, 3), {q: torch.ones(2, 3)})
        assert own_of(fixed, q) is not None
    assert own_of(fixed, q) is None


def test_changed_alike():
    z, u = draw(4, 3)
    twice = changed(z, lambda part: part.repeat(2, 1))
    assert torch.equal(logit_of(twice), u.repeat(2, 1))
    assert torch.equal(changed(torch.ones(2), torch.exp), torch.ones(2).exp())


def test_files_and_copies_hold_values():
    z, _ = draw(2)
    file = io.BytesIO()
    torch.save(z, file)
    file.seek(0)
    for other in (torch.load(file), copy.deepcopy(z)):
        assert type(other) is torch.Tensor
        assert torch.equal(other, plain(z))
    assert repr(z) == repr(plain(z))
    with torch.inference_mode():
        assert logit_of(drawn_by_logit(torch.tensor([70.0]))[0]) == 70


def test_compiled_programs_keep_it():
    """Of a logit of 60 at temperature 0.1, whose draws are all 1."""

    def ratio(logits):
        q, p = RelaxedBit(logits, 0.1), RelaxedBit(torch.zeros_like(logits), 0.1)
        z = q.rsample()[None].reshape(-1, 2)
        return q.log_prob(z) - p.log_prob(z) + 0 * z

    found = torch.compile(ratio, backend="eager", fullgraph=True)(torch.full((500, 2), 60.0))
    assert found.mean().item() == pytest.approx(58, abs=0.3)
    assert isinstance(drawn_by_logit(torch.zeros(1)), Drawn)
