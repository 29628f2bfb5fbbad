"""``genmod evaluate``."""

import json
import subprocess
import sys

import numpy as np
import pytest

import genmod as library
from genmod.cli.metrics import number as format_number
from genmod.model.assembly import open_dataset


@pytest.fixture
def model(genmod):
    made = library.build(encoder="mlp", latent=3, settings={"encoder.hidden": [16]}, seed=1)
    library.save(made, "model")
    return made.eval()


def table(text):
    """Header and rows of tab-separated text."""
    header, *rows = [line.split("\t") for line in text.splitlines()]
    return header, rows


def test_table(genmod, model):
    done = genmod("evaluate", "--device", "cpu")
    assert done.code == 0, done.err
    header, rows = table(done.out)
    assert header == ["test", "value", "standard error", "unit", "examples", "details"]
    wanted = library.evaluate(model, open_dataset(model.spec).split("test"))
    assert [row[0] for row in rows] == ["elbo", "rate", "distortion", "bits_per_dim"]
    for row in rows:
        number = wanted[row[0]]
        assert row[1:] == [
            format_number(number.value),
            format_number(number.standard_error),
            number.unit,
            str(number.n),
            "samples 10",
        ]
    assert done.err.startswith("warning: model records no training run")


def test_json(genmod, model):
    done = genmod(
        "evaluate",
        "model",
        "--split",
        "validation",
        "-s",
        "elbo.samples=3",
        "--seed",
        4,
        "--device",
        "cpu",
        "--json",
    )
    document = json.loads(done.out)
    wanted = library.evaluate(model, open_dataset(model.spec).split("validation"), "elbo[3]", seed=4)
    (found,) = document["models"]
    assert document["split"] == "validation"
    assert found["directory"] == "model"
    assert (found["seed"], found["undefined"], found["warnings"]) == (4, {}, [])
    for row, number in zip(found["rows"], wanted.rows, strict=True):
        assert row == {key: value for key, value in vars(number).items() if key != "examples"}
        assert row["details"] == {"samples": 3}


def test_several_models_in_one_table(genmod, model):
    library.save(library.build("autoencoder", encoder="mlp", latent=3), "plain")
    done = genmod("evaluate", "model", "plain", "--device", "cpu")
    header, rows = table(done.out)
    assert header == ["model", "test", "value", "standard error", "unit", "examples", "details"]
    assert [row[:2] for row in rows] == [
        ["model", "elbo"],
        ["model", "rate"],
        ["model", "distortion"],
        ["model", "bits_per_dim"],
        ["plain", "distortion"],
    ]
    for name in ("elbo", "rate", "bits_per_dim"):
        assert f"plain: no {name}: its posterior 'delta' has no density" in done.err
    document = json.loads(genmod("evaluate", "model", "plain", "--device", "cpu", "--json").out)
    assert [each["directory"] for each in document["models"]] == ["model", "plain"]
    assert set(document["models"][1]["undefined"]) == {"elbo", "rate", "bits_per_dim"}


def test_numbers_of_different_data_are_not_compared_silently(genmod, model):
    np.savez("a.npz", x=np.random.default_rng(0).normal(size=(60, 3)).astype("float32"))
    genmod("build", "--data", "npz", "-s", "dataset.path=a.npz", "--encoder", "mlp", "--decoder",
           "gaussian", "-o", "other")  # fmt: skip
    done = genmod("evaluate", "model", "other", "--device", "cpu")
    assert done.code == 0
    assert "warning: these models were built for different data" in done.err
    assert "other: no bits_per_dim: the data are continuous to its decoder" in done.err
    assert "different data" not in genmod("evaluate", "model", "model", "--device", "cpu").err


def test_one_example_has_no_standard_error(genmod, model):
    np.savez(
        "one.npz",
        x_train=np.zeros((20, 3), "float32"),
        x_validation=np.zeros((2, 3), "float32"),
        x_test=np.zeros((1, 3), "float32"),
    )
    genmod("build", "--data", "npz", "-s", "dataset.path=one.npz", "--encoder", "mlp", "--decoder",
           "gaussian", "-o", "other")  # fmt: skip
    done = genmod("evaluate", "other", "--device", "cpu", "--json")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)["models"]
    assert {row["standard_error"] for row in found["rows"]} == {None}
    assert "nan" in genmod("evaluate", "other", "--device", "cpu").out


def test_nothing_is_written(genmod, model, tmp_path):
    before = sorted(path.name for path in (tmp_path / "here" / "model").iterdir())
    genmod("evaluate", "--device", "cpu")
    assert sorted(path.name for path in (tmp_path / "here" / "model").iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("nowhere", "there is no model directory nowhere"),
        ("model nowhere", "there is no model directory nowhere"),
        ("--metric elbo[0]", "elbo.samples"),
        ("--metric elbow", "did you mean elbo"),
        ("--metric elbo -s nll.samples=3", "nll.samples cannot be set here"),
        ("--split all", "'train', 'validation', 'test'"),
        ("--device gpu", "'gpu' is not a device"),
        ("-s objective.beta=2", "objective.beta cannot be set"),
    ],
)
def test_arguments_that_cannot_be(genmod, model, arguments, message):
    done = genmod("evaluate", *arguments.split())
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "hint: " in done.err


def test_several_metrics_options_and_definitions(genmod, model):
    done = genmod("evaluate", "--metric", "elbo[2]", "--device", "cpu", "--define", "--split", "validation")
    assert done.code == 0, done.err
    assert "rate: KL(q(z|x) ‖ p(z))" in done.err
    _, rows = table(done.out)
    assert {row[-1] for row in rows} == {"samples 2"}


@pytest.mark.slow
def test_several_processes_print_the_numbers_of_one(genmod, model):
    words = ("evaluate", "--split", "train", "-m", "elbo,nll[20],mse,fid", "--device", "cpu", "--json")
    alone = genmod(*words)
    both = subprocess.run(
        [sys.executable, "-P", "-m", "genmod", *words, "--processes", "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    one, two = (json.loads(text)["models"][0]["rows"] for text in (alone.out, both.stdout))
    assert [row["name"] for row in one] == [row["name"] for row in two]
    for row, other in zip(one, two, strict=True):
        assert other["value"] == pytest.approx(row["value"], rel=1e-5)
        assert other["standard_error"] == pytest.approx(row["standard_error"], rel=1e-4)
