"""What is said where parts do not fit: which would; and where a kind is called by another name: which is meant."""

import pytest
import torch
from torch.distributions import Cauchy, Exponential, kl_divergence
from torch.distributions.kl import register_kl

import genmod
from genmod.errors import UndefinedError, UsageError
from genmod.options.kinds import kind_called, kind_meant, kinds_hint
from genmod.plugins.divergences.kl import KL
from genmod.registry.component import KINDS, Component
from genmod.registry.lookup import Registry
from genmod.scaffold import new_plugin
from genmod.spec import ModelSpec
from genmod.testing import run_checks


def test_both_named_on_other_supports():
    with pytest.raises(UsageError) as raised:
        genmod.build(posterior="vmf", prior="normal", encoder="mlp", latent=2)
    assert raised.value.hint.splitlines()[0] == "with posterior vmf: --prior uniform-sphere"
    assert "--posterior normal or --posterior flow or" in raised.value.hint
    assert "--prior uniform-sphere" not in raised.value.hint.splitlines()[1]


class Waiting(Exponential):
    """A distribution with a KL that its author restricts."""


@register_kl(Waiting, Waiting)
def _waiting(q, p):
    if q.rate.shape[-1] != p.rate.shape[-1]:
        raise NotImplementedError("only for as many clocks")
    return q.rate.log() - p.rate.log() + p.rate / q.rate - 1


def test_the_text_of_a_kl_reaches_the_user():
    q, p = Waiting(torch.ones(3, 2)), Waiting(torch.ones(5))
    with pytest.raises(UndefinedError, match="only for as many clocks"):
        KL()(q, p, torch.ones(1, 3, 2))
    with pytest.raises(UndefinedError) as raised:
        KL()(q, Cauchy(torch.ones(2), 1.0), torch.ones(1, 3, 2))
    assert "implemented" not in raised.value.message
    assert kl_divergence(q, q).abs().max() == 0


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("likelihood", "decoder"),
        ("Loss", "objective"),
        ("losses", "objective"),
        ("kl", "divergence"),
        ("q", "posterior"),
        ("inference", "posterior"),
        ("dataloader", "dataset"),
        ("backbone", "encoder"),
        ("discriminator", "critic"),
        ("logger", "tracker"),
        ("encoders", "encoder"),
        ("zzz", ""),
    ],
)
def test_kinds_by_other_names(word, kind):
    assert kind_meant(word, KINDS) == kind
    assert (f"did you mean {kind}?" in kinds_hint([word], KINDS)) == bool(kind)


def test_no_kind_is_the_other_name_of_another():
    assert [kind for kind in KINDS if kind_called(kind, KINDS) not in ("", kind)] == []


WAYS = {
    "find": lambda: Registry(third_party=False).find("likelihood", "gaussian"),
    "check": lambda: run_checks("likelihood/gaussian", registry=Registry(third_party=False)),
    "plugin new": lambda: new_plugin("thing", ["likelihood"]),
    "build": lambda: genmod.build(likelihood="gaussian"),
    "a specification": lambda: ModelSpec().with_component("likelihood", "gaussian"),
    "a file": lambda: ModelSpec.from_toml('likelihood = "gaussian"', where="a file"),
}


@pytest.mark.parametrize("way", WAYS)
def test_wherever_a_kind_is_typed(way):
    with pytest.raises((UsageError, TypeError)) as raised:
        WAYS[way]()
    assert "did you mean decoder?" in f"{raised.value} {getattr(raised.value, 'hint', '')}"


def test_in_a_record():
    with pytest.raises(ValueError, match="did you mean decoder"):
        Component("likelihood", "x", "a:B")
    assert Component("decodr", "x", "a:B").kind == "decodr"  # a newer genmod may have such a kind
