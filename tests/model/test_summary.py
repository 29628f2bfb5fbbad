"""The summary of a model, against numbers counted by hand."""

import json

import pytest
import torch

import genmod
from genmod.model.assembly import blueprint, open_dataset
from genmod.model.build import compose
from genmod.model.summary import summarize
from genmod.options.text import option_text
from genmod.options.types import form_of
from genmod.options.values import Text, check


def test_shapes_and_counts_by_hand():
    settings = {"encoder.hidden": [20], "objective.beta": "0->4 over 10 epochs"}
    summary = summarize(genmod.build(encoder="mlp", latent=3, settings=settings))
    by_kind = {part.kind: part for part in summary.parts}
    assert [stage.shape for stage in summary.stages] == [(1, 8, 8), (20,), (3,), (1, 8, 8), (1, 8, 8)]
    assert by_kind["encoder"].parameters == 64 * 20 + 20
    assert by_kind["posterior"].parameters == 2 * (20 * 3 + 3)
    assert by_kind["network"].parameters == (3 * 20 + 20) + (20 * 64 + 64)
    assert summary.parameters == sum(part.parameters for part in summary.parts)
    assert by_kind["objective"].changed == {"beta": "0->4 over 10 epochs"}
    assert by_kind["dataset"].changed == {}
    assert summary.recipe == "vae"


def test_frozen_parameters_do_not_count_and_shared_ones_count_once():
    model = genmod.build(encoder="mlp", latent=3, settings={"encoder.hidden": [20]})
    whole = summarize(model).parameters
    weight = next(model.encoder.parameters())
    model.network.register_parameter("again", weight)
    assert summarize(model).parameters == whole
    weight.requires_grad_(False)
    assert summarize(model).parameters == whole - weight.numel()


def test_model_without_weights_has_the_same_summary():
    spec = compose(components={"encoder": "conv"})
    empty = blueprint(spec, open_dataset(spec).info)
    assert next(empty.parameters()).device == torch.device("meta")
    assert summarize(empty) == summarize(genmod.build(encoder="conv"))


def test_json_and_text_say_the_same():
    summary = summarize(genmod.build("beta-vae", encoder="mlp"))
    plain = json.loads(json.dumps(summary.to_json()))
    assert plain["parameters"] == summary.parameters
    text = str(summary)
    assert f"{summary.parameters:,}" in text
    assert "beta=4.0" in text
    assert all(part.name in text for part in summary.parts)
    assert len({len(line.rstrip()) for line in text.splitlines()}) > 1


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (int, 3, "3"),
        (float, 0.25, "0.25"),
        (bool, False, "false"),
        (int | None, None, "none"),
        (str, "a, b", "a, b"),
        (tuple[int, ...], [1, 2], "1,2"),
        (tuple[int, ...], [7], "7"),
        (tuple[int, ...], [], "[]"),
        (tuple[str, ...], ["a", "b,c"], '["a", "b,c"]'),
        (tuple[tuple[int, int], ...], [[1, 2], [3, 4]], "[[1, 2], [3, 4]]"),
        (dict[str, int], {"a": 1}, '{"a": 1}'),
    ],
)
def test_option_text_is_read_back(annotation, value, text):
    from genmod.options.values import plain

    assert option_text(value) == text
    assert plain(check(form_of(annotation), Text(text), "x")) == value


@pytest.mark.parametrize(
    ("prior", "given"), [("normal", "encoder and network"), ("conditional", "encoder, network and prior")]
)
def test_the_parts_that_are_given_conditions(prior, given):
    model = genmod.build(encoder="mlp", latent=2, prior=prior, condition="label")
    assert str(summarize(model)).endswith(f"given label (10), to {given}")
