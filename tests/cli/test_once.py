"""What a command validates and reads: each part's options and ``model.json`` once."""

import os
import sys
from collections import Counter
from contextlib import contextmanager

import pytest

from genmod.options import schema

SMALL = ("--encoder", "mlp", "-s", "encoder.hidden=16", "--latent", "2")
PARTS = {"encoder", "posterior", "prior", "decoder", "network", "divergence", "objective", "dataset"}

reads = []
watching = False


def _opened(event, arguments):
    if watching and event == "open" and str(arguments[0]).endswith("model.json"):
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if not flags & 3 and os.path.exists(arguments[0]):  # neither O_WRONLY nor O_RDWR
            reads.append(str(arguments[0]))


# A hook cannot be taken away again, and needs not: it looks at nothing unless it is asked to.
sys.addaudithook(_opened)


@pytest.fixture
def counting(monkeypatch):
    """Count inside how often the options of each part are validated and ``model.json`` is opened for reading."""

    @contextmanager
    def count():
        global watching
        validated, validate = Counter(), schema._validate

        def counted(options, values, where, others):
            validated[where] += 1
            return validate(options, values, where, others)

        reads.clear()
        with monkeypatch.context() as patch:
            patch.setattr(schema, "_validate", counted)
            watching = True
            try:
                yield validated
            finally:
                watching = False

    return count


def test_build(genmod, counting):
    with counting() as validated:
        assert genmod("build", *SMALL).code == 0
    assert validated == dict.fromkeys(PARTS, 1)
    assert reads == []


@pytest.fixture
def trained(genmod):
    genmod("build", *SMALL)
    assert genmod("train", "--steps", "3", "--device", "cpu").code == 0


def test_train(genmod, counting):
    genmod("build", *SMALL)
    with counting() as validated:
        assert genmod("train", "--steps", "3", "--device", "cpu").code == 0
    assert {kind: validated[kind] for kind in PARTS} == dict.fromkeys(PARTS, 1)
    assert set(validated.values()) == {1}
    # Once more when no other run can change it any longer.
    assert len(reads) == 2


@pytest.mark.parametrize("more", [["--resume"], ["--overwrite"]])
def test_train_again(genmod, counting, trained, more):
    with counting() as validated:
        assert (
            genmod("train", *more, *(["--steps", "3"] * ("--overwrite" in more)), "--device", "cpu").code == 0
        )
    assert {kind: validated[kind] for kind in PARTS} == dict.fromkeys(PARTS, 1)
    assert len(reads) <= 2  # once before the directory is locked, and once after


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate"],
        ["evaluate", "--metric", "elbo,mse"],
        ["sample", "-n", "4"],
        ["reconstruct", "-n", "4"],
        ["fit-sampler", "--sampler", "gaussian"],
        pytest.param(["report"], marks=pytest.mark.slow),
    ],
    ids=lambda command: "-".join(command).replace("--", ""),
)
def test_commands_that_use_a_model(genmod, counting, trained, command):
    with counting() as validated:
        assert genmod(*command).code == 0
    assert {kind for kind in PARTS if not validated[kind]} <= {"dataset"}
    if command != ["report"]:  # it looks for the shortest line that builds the same model, by building some
        assert set(validated.values()) == {1}
    assert len(reads) == 1


def test_options_of_the_data_that_are_set_anew_are_validated_beside_the_others(genmod, counting, trained):
    with counting() as validated:
        assert genmod("evaluate", "-s", "dataset.counts=false").code == 0
    assert {kind: validated[kind] for kind in PARTS - {"dataset"}} == dict.fromkeys(PARTS - {"dataset"}, 1)
    assert len(reads) == 1
