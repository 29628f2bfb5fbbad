"""Priors over codes, one after the other: probabilities, draws, and that no code sees itself or a later one."""

import pytest
import torch
from scipy import stats

from genmod import UsageError
from genmod.plugins.priors.pixelcnn import PixelCNNPrior
from genmod.plugins.priors.transformer import TransformerPrior

MAKES = {
    "pixelcnn": lambda shape, context=0: PixelCNNPrior(shape, context, channels=8, layers=3),
    "transformer": lambda shape, context=0: TransformerPrior(shape, context, width=8, heads=2),
}


def jostled(prior):
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return prior


@pytest.mark.parametrize("name", MAKES)
def test_probabilities_add_up_to_one(name):
    prior = jostled(MAKES[name]((2, 3, 3))).double()
    codes = torch.cartesian_prod(*[torch.arange(3)] * 6).reshape(-1, 2, 3)
    p = prior()
    torch.testing.assert_close(p.log_prob_of(codes).exp().sum(), torch.tensor(1.0, dtype=torch.float64))
    vectors = torch.nn.functional.one_hot(codes, 3).double()
    torch.testing.assert_close(p.log_prob(vectors), p.log_prob_of(codes))


@pytest.mark.parametrize("name", MAKES)
def test_no_code_sees_itself_or_a_later_one_and_all_see_those_before(name):
    """By the gradient of each place's logits with respect to what is embedded in the others."""
    prior = jostled(MAKES[name]((4, 5, 3))).double()
    codes = torch.randint(3, (1, 20))
    made = {}

    def hook(module, given, out):
        made["embedded"] = out.requires_grad_()
        return made["embedded"]

    handle = prior.embedding.register_forward_hook(hook)
    logits = prior.logits(codes, None)[0]
    handle.remove()
    seen = torch.zeros(20, 20, dtype=torch.bool)
    for i in range(20):
        wanted = logits[i].sum() + logits[i, 0]
        (gradient,) = torch.autograd.grad(wanted, made["embedded"], retain_graph=True, allow_unused=True)
        rows = gradient[0].abs().sum(-1) > 0
        seen[i, : len(rows)] = rows
    later = torch.ones(20, 20, dtype=torch.bool).triu()
    assert not (seen & later).any()
    if name == "transformer":
        assert (seen | later).all()
    else:
        # Without a blind spot: all that lies above or to the left within reach of the first kernel.
        for i in range(20):
            for j in range(i):
                (r, c), (s, d) = divmod(i, 5), divmod(j, 5)
                if r - s <= 3 and abs(c - d) <= 3:
                    assert seen[i, j], (i, j)


@pytest.mark.parametrize("name", MAKES)
def test_draws_have_the_probabilities(name):
    prior = jostled(MAKES[name]((2, 2, 2)))
    torch.manual_seed(1)
    p = prior()
    codes = torch.cartesian_prod(*[torch.arange(2)] * 4).reshape(-1, 2, 2)
    with torch.no_grad():
        expected = p.log_prob_of(codes).double().exp()
    drawn = p.sample_codes((4000,)).flatten(1) @ torch.tensor([8, 4, 2, 1])
    counts = torch.bincount(drawn, minlength=16).double()
    assert stats.chisquare(counts.numpy(), (expected / expected.sum() * 4000).numpy()).pvalue > 1e-4


@pytest.mark.parametrize("name", MAKES)
def test_conditions_are_looked_at(name):
    prior = jostled(MAKES[name]((2, 2, 3), 4))
    context = torch.eye(4)
    p = prior(context)
    assert p.batch_shape == (4,)
    assert p.sample((5,)).shape == (5, 4, 2, 2, 3)
    codes = torch.randint(3, (2, 2))
    found = p.log_prob_of(codes)
    assert len(found.unique()) == 4
    alone = torch.stack([prior(row[None]).log_prob_of(codes)[0] for row in context])
    torch.testing.assert_close(found, alone)


def test_a_row_is_no_map():
    with pytest.raises(UsageError, match="is one over maps") as caught:
        PixelCNNPrior((4, 3))
    assert "--prior transformer" in caught.value.hint
    TransformerPrior((4, 3))
