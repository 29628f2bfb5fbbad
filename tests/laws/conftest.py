"""Laws beyond those of the conformance kit, for every built-in component with each choice of its options.

A test asks for components by naming a parameter after their kind, ``def test_it(encoder)``; which laws apply follows
from what a component declares, never from its name. Everything that plugins are held to as well (shapes, gradients,
densities, states and many more) is checked by :mod:`genmod.testing`, on the built-in components too.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch

from genmod import UsageError
from genmod.registry.lookup import Registry
from genmod.spec import MODEL_KINDS
from genmod.testing.case import Case
from genmod.testing.inputs import variants

REGISTRY = Registry(third_party=False)

_SMALL = {("encoder", "pretrained"): {"size": 32}, ("decoder", "perceptual"): {"size": 32}}
"""Options with which large networks are given small pictures."""


@dataclass(frozen=True)
class _Named(Case):
    """A case that shows its options."""

    def __str__(self):
        given = ",".join(f"{name}={value}" for name, value in self.options.items())
        return self.label + (f"[{given}]" if given else "")


@cache
def cases(kind):
    """Each component of a kind, with its default options and with every other choice; not where that is refused."""
    found = []
    for provided in REGISTRY.components(kind):
        case = _Named(kind, f"{kind}-{provided.name}", provided, REGISTRY)
        for options in variants(case.cls, _SMALL.get((kind, provided.name), {})):
            changed = replace(case, options=options)
            with suppress(UsageError), torch.device("meta"):
                next(changed.tried())
                found.append(changed)
    return found


def pytest_generate_tests(metafunc):
    for kind in MODEL_KINDS:
        if kind in metafunc.fixturenames:
            metafunc.parametrize(kind, marked(cases(kind)))
    if "part" in metafunc.fixturenames:
        every = [case for kind in MODEL_KINDS[:-1] for case in cases(kind)]
        metafunc.parametrize("part", marked(every))


def marked(found):
    """The cases; other activations are slow, because they take the same path, and the kit tries them too."""
    return [
        pytest.param(case, id=str(case), marks=[pytest.mark.slow] * ("activation" in case.options))
        for case in found
    ]


@pytest.fixture
def registry():
    """The built-in components alone."""
    return REGISTRY
