"""Supports are compared by what they contain, by a build and by the conformance kit alike."""

from typing import ClassVar

import pytest
import torch
from torch.distributions import constraints

from genmod import DataInfo, UsageError, compose
from genmod.distributions.probing import disagreement, lies_within, probes, same_support
from genmod.interfaces.prior import Prior
from genmod.model.assembly import assemble
from genmod.plugins.posteriors._ball import PoincareBall
from genmod.plugins.posteriors._side_by_side import Beside
from genmod.plugins.posteriors._sphere import unit_sphere
from genmod.registry.component import Component
from genmod.registry.lookup import Provided, Registry
from genmod.testing.case import Case, NotApplicable

independent = constraints.independent


class Asked(constraints.Constraint):
    """A stranger's own constraint."""

    def __init__(self, check, event_dim=1):
        self.event_dim, self._check = event_dim, check

    def check(self, value):
        return self._check(value)


def ball(radius):
    return Asked(lambda z: z.norm(dim=-1) < radius)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (independent(constraints.real, 1), constraints.real_vector, True),
        (constraints.unit_interval, constraints.interval(0.0, 1.0), True),
        (constraints.unit_interval, constraints.interval(0.0, torch.tensor(1.0)), True),
        (constraints.interval(0.0, 1.0), constraints.interval(0.0, 1.001), False),
        (independent(constraints.real, 2), constraints.real_vector, False),
        (constraints.positive, constraints.nonnegative, False),
        (constraints.positive, constraints.real, False),
        (constraints.unit_interval, constraints.positive, False),
        (constraints.boolean, constraints.unit_interval, False),
        (constraints.simplex, independent(constraints.unit_interval, 1), False),
        (constraints.simplex, constraints.one_hot, False),
        (constraints.simplex, Asked(lambda z: (z >= 0).all(-1) & ((z.sum(-1) - 1).abs() < 1e-5)), True),
        (constraints.one_hot, Asked(lambda z: ((z == 0) | (z == 1)).all(-1) & (z.sum(-1) == 1)), True),
        (unit_sphere, Asked(lambda z: (z.norm(dim=-1) - 1).abs() < 1e-5), True),
        (unit_sphere, ball(1.0), False),
        (PoincareBall(1.0), ball(1.0), True),
        (PoincareBall(1.0), ball(0.96), False),
        (PoincareBall(4.0), ball(0.5), True),
        (PoincareBall(1.0), PoincareBall(1.01), False),
        (independent(constraints.nonnegative, 1), Asked(lambda z: (z >= 0).all(-1)), True),
        (independent(constraints.interval(-1, 1), 1), Asked(lambda z: (z.abs() <= 1.04).all(-1)), False),
        # Nothing that is tried lies in either, so nothing says that they are the same.
        (Asked(lambda z: z[..., 0] == 7.125), Asked(lambda z: z[..., 0] == 7.25), False),
        (None, None, True),
        (None, constraints.real, False),
    ],
)
def test_same_support(a, b, same):
    assert same_support(a, b) is same
    assert same_support(b, a) is same


def test_supports_side_by_side():
    parts = [(constraints.simplex, (2,)), (independent(constraints.real, 1), (3,)), (unit_sphere, (2,))]
    beside = Beside(parts)
    assert same_support(beside, Beside(parts), (7,))
    assert not same_support(beside, Beside([*parts[:2], (constraints.real_vector, (2,))]), (7,))
    in_other_words = Asked(lambda z: constraints.simplex.check(z[..., :2]) & unit_sphere.check(z[..., 5:]))
    assert same_support(beside, in_other_words, (7,))
    assert not same_support(beside, Asked(lambda z: constraints.simplex.check(z[..., :2])), (7,))


def test_disagreement_is_a_point_of_one_of_them():
    point = disagreement(constraints.positive, constraints.real, (3,))
    assert point is not None
    assert point.min() <= 0


def test_a_support_may_lie_within_another():
    assert lies_within(constraints.simplex, constraints.real_vector, (3,))
    assert lies_within(constraints.one_hot, constraints.simplex, (3,))
    assert not lies_within(constraints.simplex, constraints.one_hot, (3,))


def test_probes_are_of_the_kinds_they_are_named_for():
    of_kind = {
        "sphere": unit_sphere, "positive": constraints.positive, "unit": constraints.unit_interval,
        "simplex": constraints.simplex, "bits": constraints.boolean, "choice": constraints.one_hot,
        "whole": Asked(lambda z: z == z.round()), "counts": constraints.nonnegative_integer,
    }  # fmt: skip
    asked = {
        name: support.check(points).all() for name, points in probes((3,)) if (support := of_kind.get(name))
    }
    assert set(asked) == set(of_kind)
    assert all(asked.values())


# A build and the conformance kit


class InOtherWords(Prior):
    """A standard normal with a constraint of its own that says the same as torch's."""

    own = Asked(lambda z: (z == z).all(-1))

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = self.own
        self.register_buffer("zeros", torch.zeros(latent_shape))

    def forward(self):
        base = torch.distributions.Normal(self.zeros, torch.ones_like(self.zeros), validate_args=False)
        return torch.distributions.Independent(base, 1, validate_args=False)


class Different(InOtherWords):
    own = Asked(lambda z: (z > -3).all(-1))


class Extended(Registry):
    """The built-in components and the two priors above."""

    extra: ClassVar = {"in-other-words": InOtherWords, "different": Different}

    def find(self, kind, name):
        short = name.removeprefix("genmod-test/")
        return _Given(short) if kind == "prior" and short in self.extra else super().find(kind, name)


class _Given(Provided):
    def __init__(self, name):
        super().__init__(Component("prior", name, "here:It"), "genmod-test", "1.0")

    def load(self):
        return Extended.extra[self.component.name]


@pytest.mark.parametrize(("name", "fits"), [("in-other-words", True), ("different", False)])
def test_build_and_kit_agree_about_a_strangers_constraint(name, fits):
    registry = Extended(third_party=False)
    prior = Extended.extra[name]
    spec = compose(components={"prior": name, "decoder": "gaussian", "encoder": "mlp"}, registry=registry)
    normal = registry.find("posterior", "normal").load()
    if fits:
        assert isinstance(assemble(spec, DataInfo((1, 8, 8)), registry=registry).prior, prior)
    else:
        with pytest.raises(UsageError, match="draws latents in"):
            assemble(spec, DataInfo((1, 8, 8)), registry=registry)
    try:
        pairs = list(Case("prior", f"prior/{name}", prior, registry).pairs())
    except NotApplicable:
        pairs = []
    assert any(isinstance(q, normal) for q, _ in pairs) is fits


def test_of_large_latents_few_numbers_are_drawn():
    wide = constraints.independent(constraints.real, 1)
    for size, count in ((3, 400), (65536, 16), (2**22, 1)):
        name, points = next(probes((size,), wide))
        assert (name, points.shape) == ("free", (count, size))
    shape = (2**24,)
    # Supports of priors over the codes of 24 bits: no points of that length are drawn.
    assert same_support(constraints.one_hot, constraints.independent(constraints.one_hot, 0), shape)
    assert not same_support(wide, constraints.one_hot, (65536,))
    assert not same_support(constraints.simplex, constraints.one_hot, (65536,))
