"""Several processes measure one model: the numbers of one, to the last bit, each batch worked on by one of them."""

import pytest
import torch

import genmod
from genmod import Batch, TensorSplit
from genmod.errors import UndefinedError
from genmod.evaluation.runner import make_metrics, measure
from genmod.evaluation.shared import gathered, turn_of
from genmod.evaluation.subject import Subject

METRICS = ["elbo[2]", "nll[3,7]", "mse", "psnr", "active-units", "fid[pixel]", "rfid[pixel]", "aggregate-kl"]


@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian"])
def test_processes_have_the_numbers_of_one(decoder, by_crew, monkeypatch):
    monkeypatch.setattr("genmod.evaluation.subject.examples_at_once", lambda model: 7)
    monkeypatch.setattr("genmod.model.encode.examples_at_once", lambda model: 7)
    made = {"name": decoder, **({"binarize": "dynamic"} if decoder == "bernoulli" else {})}
    model = genmod.build(encoder={"name": "mlp", "hidden": [8]}, decoder=made, latent=2).eval()
    x = torch.randint(0, 17, (40, 1, 8, 8), dtype=torch.uint8)
    split, train = TensorSplit(Batch(x[:30])), TensorSplit(Batch(x[30:]))
    batches = []
    observe = model.observe
    monkeypatch.setattr(model, "observe", lambda x: (batches.append(len(x)), observe(x))[1])

    def measured(processes):
        batches.clear()
        subject = Subject(model, split, train=lambda: train, processes=processes)
        return measure(make_metrics(METRICS), subject), len(batches)

    alone, all_batches = measured(None)
    assert not alone.undefined
    for found, own_batches in by_crew(2, measured):
        assert own_batches < 0.8 * all_batches  # some metrics only encode, and do so in each process
        assert [row.to_json() for row in found.rows] == [row.to_json() for row in alone.rows]
        for row, other in zip(found.rows, alone.rows, strict=True):
            assert row.examples is None or torch.equal(row.examples, other.examples)


def test_what_is_undefined_for_one_is_so_for_all(by_crew):
    def make(crew):
        def each():
            for i in range(5)[turn_of(crew)]:
                if i == 3:
                    raise UndefinedError("no 3", hint="take 4")
                yield i

        with pytest.raises(UndefinedError, match="no 3") as caught:
            gathered(crew, each)
        return caught.value.hint

    assert by_crew(2, make) == ["take 4", "take 4"]


def test_batches_are_in_their_order(by_crew):
    for size in (1, 2, 3, 7):
        assert (
            by_crew(size, lambda crew: gathered(crew, lambda: range(5)[turn_of(crew)]))
            == [[*range(5)]] * size
        )
