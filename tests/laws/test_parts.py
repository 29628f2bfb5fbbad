"""Laws of every part of a model, whatever its kind."""

import pytest
import torch

from genmod.testing.case import NotApplicable


def trial_of(case, batch=4):
    try:
        return case.trial(batch)
    except NotApplicable as reason:
        pytest.skip(str(reason))


def test_single_precision_agrees_with_double(part):
    if part.kind == "divergence":
        pytest.skip("it may draw, and draws of other numbers in double precision")
    trial = trial_of(part)
    trial.part.eval()
    single = trial()
    trial.part.double()
    for a, b in zip(single, trial(inputs=trial.converted(torch.Tensor.double)), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_a_batch_may_have_one_example(part, mode):
    trial = trial_of(part, batch=1)
    trial.part.train(mode == "training")
    answers = trial()
    assert all(answer.isfinite().all() for answer in answers)
    sum(answer.sum() for answer in answers if answer.requires_grad)
    for answer in answers:
        if answer.requires_grad:
            answer.sum().backward(retain_graph=True)
    assert all(p.grad is None or p.grad.isfinite().all() for p in trial.part.parameters())


def test_an_example_does_not_depend_on_its_neighbours_by_one_bit(part):
    """The same batch size takes the same path through the kernels."""
    if part.kind in ("prior", "divergence"):
        pytest.skip("it is not asked about examples, or about those of a batch")
    trial = trial_of(part, batch=7)
    trial.part.eval()
    before = trial.converted(lambda x: x[:4])
    after = trial.converted(lambda x: torch.cat([x[:1], x[4:]]))
    pairs = list(zip(trial(inputs=before), trial(inputs=after), strict=True))
    assert all(torch.equal(a[0], b[0]) for a, b in pairs)
    # Where all mass is on single points, the logarithm of it is 0 for all.
    apart_by = [not torch.equal(a[1:], b[1:]) for a, b in pairs]
    rounds = getattr(getattr(trial.part, "support", None), "is_discrete", False)
    apart = any(apart_by) if rounds else all(apart_by)
    assert apart, "the neighbours' own answers are the same; the test shows nothing"


def test_repr_names_the_class(part):
    made, _ = next(part.accepted())
    assert part.cls.__name__ in repr(made)
