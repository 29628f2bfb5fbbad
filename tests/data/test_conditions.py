"""Conditional models: what they are given reaches every part, in training and after it."""

import shutil
import subprocess
import sys

import pytest
import torch

from genmod import (
    Batch,
    DataError,
    DataInfo,
    Dataset,
    Factor,
    TensorSplit,
    UsageError,
    build,
    evaluate,
    load,
    save,
    train,
)
from genmod.data.conditions import Conditions, joined, joined_shape
from genmod.model.assembly import assemble, blueprint
from genmod.model.build import compose
from genmod.spec import ModelSpec

INFO = DataInfo(
    (1, 8, 8),
    levels=2,
    classes=("left", "right"),
    factors=(Factor("height", 3), Factor("colour", 2, ("red", "blue"))),
)


def pictures(n, seed=0):
    """A bright half, left or right, that nothing but the label tells from a blank picture's noise."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (n,), generator=g)
    x = torch.zeros(n, 1, 8, 8, dtype=torch.uint8)
    x[labels == 0, :, :, :4] = 1
    x[labels == 1, :, :, 4:] = 1
    factors = torch.stack([torch.randint(3, (n,), generator=g), torch.randint(2, (n,), generator=g)], 1)
    return Batch(x, labels=labels, factors=factors)


class Halves(Dataset):
    info = INFO

    def split(self, name):
        return TensorSplit(pictures(256, seed=len(name)))


def model_of(condition="label", **components):
    components = {"encoder": {"name": "mlp", "hidden": [16]}, **components}
    spec = compose(components=components, latent=2, condition=condition)
    return assemble(spec, INFO)


def test_conditions_are_one_hot_side_by_side():
    batch = pictures(50)
    vectors = Conditions(("colour", "label"), INFO).of(batch)
    assert vectors.shape == (50, 4)
    assert torch.equal(vectors[:, :2].argmax(1), batch.factors[:, 1])
    assert torch.equal(vectors[:, 2:].argmax(1), batch.labels)
    assert torch.equal(vectors.sum(1), torch.full((50,), 2.0))


def test_what_is_asked_for():
    conditions = Conditions(("label", "colour"), INFO)
    assert conditions.chosen("right", 2).tolist() == [[0, 1, 1, 0], [0, 1, 0, 1]]
    assert conditions.chosen("colour=blue, label=left", 1).tolist() == [[1, 0, 0, 1]]
    assert conditions.chosen(None, 3)[:, :2].tolist() == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("up", "'up' is no value of label", "left, right"),
        ("colour=green", "'green' is no value of colour", "red, blue"),
        ("height=1", "not conditioned on 'height'", "label, colour"),
    ],
)
def test_what_cannot_be_asked_for(text, problem, hint):
    with pytest.raises(UsageError, match=problem) as error:
        Conditions(("label", "colour"), INFO).chosen(text, 1)
    assert hint in error.value.hint


def test_data_without_the_property_are_refused():
    with pytest.raises(UsageError, match="no 'size' to condition on") as error:
        model_of("size")
    assert "label, height, colour" in error.value.hint
    with pytest.raises(DataError, match="conditioned on label, which these examples do not have"):
        Conditions(("label",), INFO).of(Batch(torch.zeros(2, 1, 8, 8)))
    with pytest.raises(DataError, match="label is 0 to 7; 0 to 1 were declared"):
        Conditions(("label",), INFO).of(Batch(torch.zeros(2, 1, 8, 8), labels=torch.tensor([0, 7])))


@pytest.mark.parametrize("shape", [(5,), (1, 8, 8), (3, 4), (2, 3, 5, 7)])
def test_a_vector_beside_values_of_any_shape(shape):
    x, context = torch.randn(4, *shape), torch.randn(4, 6)
    assert joined(x, context).shape == (4, *joined_shape(shape, 6))
    pictures = joined(torch.zeros(4, 1, 8, 8), context)
    assert torch.equal(pictures[:, 1:, 3, 5], context)


@pytest.mark.parametrize("part", ["encoder", "network", "prior"])
def test_it_reaches_every_part(part):
    model = model_of(prior="conditional").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x, z = torch.zeros(1, 1, 8, 8), torch.zeros(1, 2)
    answer = {
        "encoder": lambda conditioned: conditioned.encode(x).mean,
        "network": lambda conditioned: conditioned.decode(z).mean,
        "prior": lambda conditioned: conditioned.prior().mean,
    }[part]
    left, right = (answer(model.given(model.asked(side, 1))) for side in ("left", "right"))
    assert not torch.allclose(left, right)


def test_draws_of_any_shape_are_decoded_with_the_condition_of_their_example():
    model = model_of().eval()
    context = model.asked(None, 3)
    z = torch.randn(4, 5, 3, 2)
    whole = model.decode(z, context).mean
    torch.testing.assert_close(whole[2, 1, 1], model.decode(z[2, 1, 1:2], context[1:2]).mean[0])


def test_a_model_that_was_not_told_says_so():
    model = model_of()
    with pytest.raises(UsageError, match="conditioned on label, and was given no conditions"):
        model.encode(torch.zeros(1, 1, 8, 8))
    with pytest.raises(UsageError, match="is not conditional"):
        build(encoder="mlp").sample(1, condition="7")


def test_log_weights_know_the_condition():
    model = model_of(prior="conditional").eval()
    conditioned = model.given(model.asked("left", 3))
    assert conditioned.log_weights(model.observe(pictures(3).x), 7).shape == (7, 3)


@pytest.mark.parametrize(
    ("prior", "divergence", "objective"),
    [
        ("normal", "kl", "elbo"),
        ("conditional", "kl", "elbo"),
        ("conditional", "none", "iwae"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (
                ("conditional", "kl", {"name": "elbo", "free_bits": 0.1}),
                ("mixture", "kl-mc", "elbo"),
                ("conditional", "none", "dreg"),
                ("conditional", "renyi", "elbo"),
                ("conditional", "wasserstein2", "elbo"),
                ("conditional", "jeffreys", "geco"),
            )
        ),
    ],
)
def test_it_learns_from_the_condition(prior, divergence, objective, tmp_path):
    """The label tells all there is to know: half the pixels of a picture, which cost 64 ln 2 nats without it."""
    model = model_of(prior=prior, divergence=divergence, objective=objective)
    train(model, Halves(tmp_path), steps=150, batch_size=32, lr=0.02, device="cpu")
    batch = pictures(64, seed=9)
    x, context = model.observe(batch.x), model.context(batch)

    def distortion(context):
        conditioned = model.given(context)
        return -conditioned.decode(torch.zeros(64, 2)).log_prob(x).mean().item()

    assert distortion(context) < 10
    assert distortion(1 - context) > 44


def test_training_in_parts_is_told_the_same(tmp_path):
    weights = []
    for accumulate in (1, 2):
        model = model_of(objective="reconstruction", divergence="none", posterior="delta", prior="none")
        train(model, Halves(tmp_path), steps=5, batch_size=32, accumulate=accumulate, device="cpu")
        weights.append(model.state_dict())
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-4, atol=1e-5)


def test_evaluation_is_told_and_a_wrong_label_costs(tmp_path):
    model = model_of(prior="conditional")
    train(model, Halves(tmp_path), steps=150, batch_size=32, lr=0.02, device="cpu")
    right = pictures(64, seed=9)
    wrong = Batch(right.x, labels=1 - right.labels, factors=right.factors)
    assert (
        evaluate(model, TensorSplit(right))["elbo"].value
        > evaluate(model, TensorSplit(wrong))["elbo"].value + 5
    )


def test_on_disk_and_in_files(tmp_path):
    model = model_of(("label", "colour"), prior="conditional")
    again = load(save(model, tmp_path / "model"))
    assert again.spec.condition == ("label", "colour")
    kwargs = {"seed": 1, "condition": "left,colour=red"}
    assert torch.equal(model.eval().sample(3, **kwargs), again.sample(3, **kwargs))
    assert ModelSpec.from_toml('condition = ["label"]').condition == ("label",)
    with pytest.raises(UsageError, match="condition is 3, not names"):
        ModelSpec.from_table({"condition": 3})


def test_what_does_not_go_with_a_condition_is_refused_before_anything_is_allocated():
    with pytest.raises(UsageError, match="depends on a condition, and the model has none"):
        blueprint(compose(components={"prior": "conditional"}), INFO)
    with pytest.raises(UsageError, match="pseudo-inputs, which have no label"):
        blueprint(compose(components={"prior": "vamp", "divergence": "kl-mc"}, condition="label"), INFO)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path):
    run = {"batch_size": 32, "device": "cpu", "checkpoint_every": 10}
    for name in ("whole", "halves"):
        train(model_of(prior="conditional"), Halves(tmp_path), directory=tmp_path / name, steps=20, **run)
    # As if it had been killed after its tenth step.
    shutil.rmtree(tmp_path / "halves" / "checkpoints" / "step-00000020")
    model = load(tmp_path / "halves", weights="last")
    train(model, Halves(tmp_path), directory=tmp_path / "halves", resume=True)
    whole, halves = (load(tmp_path / name, weights="last").state_dict() for name in ("whole", "halves"))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


@pytest.mark.slow
def test_several_processes_are_told_what_one_is(tmp_path):
    """Weights of 10 steps in two processes are those of one."""
    small = ["--encoder", "mlp", "-s", "encoder.hidden=16", "--latent", "2"]
    for name, options in (("one", []), ("two", ["--processes", "2"])):
        for arguments in (
            ["build", "cvae", *small, "-o", name],
            ["train", name, "--steps", "10", "--device", "cpu", *options],
        ):
            done = subprocess.run(
                [sys.executable, "-P", "-m", "genmod", *arguments],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    one, two = (load(tmp_path / name, weights="last").state_dict() for name in ("one", "two"))
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-6
