"""A model in a loop of one's own: the loss that it returns, its schedules, and what changes with the steps."""

import warnings

import pytest
import torch

import genmod
from genmod import UsageError
from genmod.system.random import seed_for, seeded


def small(recipe="vae", **settings):
    return genmod.build(recipe, encoder="mlp", settings={"encoder.hidden": [8], **settings})


@pytest.fixture
def x():
    return torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_loop_gives_the_weights_of_the_trainer(x):
    """The same batch in each step, plain gradient descent: by hand and by genmod.train."""
    settings = {"objective.beta": "0->1 over 4 steps", "decoder.binarize": "threshold"}
    ours, mine = small(**settings), small(**settings)
    options = {"steps": 5, "batch_size": 12, "lr": 0.01, "optimizer": "SGD", "device": "cpu", "seed": 3}
    genmod.train(
        ours,
        {"train": x[:12], "validation": x[12:], "test": x[12:]},
        **options,
        schedule="constant",
        clip=0.0,
    )
    optimizer = torch.optim.SGD(mine.parameters(), lr=0.01)
    mine.train()
    for step in range(5):
        mine.advance(step, 5)
        order = torch.randperm(12, generator=torch.Generator().manual_seed(seed_for(3, "order", step)))
        with seeded(seed_for(3, "noise", step)):
            loss = mine(x[:12][order])["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = dict(ours.named_parameters())
    for name, parameter in mine.named_parameters():
        torch.testing.assert_close(parameter, best[name], rtol=1e-5, atol=1e-6)


def test_loss_and_terms(x):
    model = small(**{"objective.beta": 3.0}).eval()
    torch.manual_seed(0)
    made = model(x)
    assert (made["loss"].shape, made["elbo"].shape, made["elbo"].requires_grad) == ((), (16,), False)
    torch.testing.assert_close(made["loss"], (made["distortion"] + 3 * made["rate"]).mean())
    torch.testing.assert_close(made["elbo"], -made["distortion"] - made["rate"])


def test_a_conditional_model_is_given_labels(x):
    model = small("cvae")
    assert model(x, labels=torch.arange(16) % 10)["loss"].requires_grad
    with pytest.raises(UsageError, match="label"):
        model(x)


def test_schedules_move_by_steps_alone(x):
    model = small(**{"objective.beta": "0->4 over 10 steps"})
    assert float(model.objective.beta) == 4
    for step, beta in ((0, 0.0), (5, 2.0), (10, 4.0)):
        model.advance(step, 10)
        assert float(model.objective.beta) == beta
    model.advance(5, 10)
    assert float(model.eval().objective.beta) == 2
    with pytest.raises(UsageError, match="the run has"):
        model.advance(0, 9)
    epochs = small(**{"objective.beta": "0->4 over 2 epochs"})
    with pytest.raises(UsageError, match=r"objective.beta .* in epochs"):
        epochs.advance(0, 10)
    epochs.advance(2, 10, per_epoch=4)
    assert float(epochs.objective.beta) == 1


def test_what_stands_still_is_said_once(x):
    model = small(**{"objective.beta": "0->4 over 10 steps"})
    with pytest.warns(UserWarning, match=r"objective.beta; call model.advance"):
        model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(x)
        small()(x)
        model = small(**{"objective.beta": "0->4 over 10 steps"})
        with torch.no_grad():
            model(x)
        model.eval()(x)
        model.train()
        model.advance(0, 10)
        model(x)


def test_a_codebook_is_updated_by_each_step_once(x):
    model = genmod.build("vq-vae")
    model.advance(0, 2)
    with pytest.warns(UserWarning, match=r"VQPosterior; call model.prepare"):
        model(x)
    model = genmod.build("vq-vae")
    model.prepare(x)
    model.train()
    model.advance(0, 2)
    before = {name: b.clone() for name, b in model.posterior.named_buffers()}
    model(x)["loss"].backward()
    model.advance(1, 2)
    moved = {name: b.clone() for name, b in model.posterior.named_buffers()}
    assert any(not torch.equal(before[name], moved[name]) for name in moved)
    # Nothing was computed since.
    model.advance(2, 2)
    assert all(torch.equal(moved[name], b) for name, b in model.posterior.named_buffers())


def test_losses_of_several_groups_are_refused(x):
    with pytest.raises(UsageError, match="model, critic"):
        small("factor-vae")(x)
