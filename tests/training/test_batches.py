"""Which examples come when: the same ones whether they are in memory, streamed, or fetched by workers."""

import os
import signal

import pytest
import torch

from genmod import Batch, DataError, DataInfo, Split, TensorSplit
from genmod.data.items import part_of
from genmod.data.suited import suited
from genmod.training import batches as batches_module
from genmod.training.augment import Augmentation
from genmod.training.batches import Batches

CPU = torch.device("cpu")
INFO = DataInfo((1, 3, 3), levels=256)


class Streamed(Split):
    def __init__(self, batch, act=lambda indices: None):
        self.batch, self.act = batch, act

    def __len__(self):
        return len(self.batch)

    def __getitems__(self, indices):
        self.act(indices)
        return self.batch[torch.as_tensor(indices)]


@pytest.fixture
def pictures():
    x = torch.arange(23 * 9, dtype=torch.uint8).reshape(23, 1, 3, 3)
    return Batch(x, labels=torch.arange(23), factors=torch.arange(46).reshape(23, 2))


def test_data_that_leave_too_little_free_memory_stay_where_they_are(pictures, monkeypatch):
    """They are read as others that are not held, in the same order."""
    split, same = TensorSplit(pictures), []
    for free in (2 * pictures.nbytes, 2 * pictures.nbytes - 1):
        monkeypatch.setattr(batches_module, "free_memory", lambda device, free=free: free)
        batches = Batches(split, 5, seed=0, device=CPU)
        assert (batches.held is None) == (free < 2 * pictures.nbytes)
        same.append(ids(batches, range(9)))
    assert same[0] == same[1]


def test_the_order_is_sent_to_a_device_once_an_epoch(pictures, monkeypatch):
    """On a device without values, the places in it stand for the values."""
    sent, meta = [], torch.device("meta")
    monkeypatch.setattr(batches_module, "sent", lambda order, device: sent.append(order) or order)
    batches = Batches(TensorSplit(pictures), 5, seed=0, device=meta)
    for step in (0, 1, 3, 4, 5, 1):
        assert batches._order.there(step, meta).tolist() == batches.indices(step)
    assert len(sent) == 3


def ids(batches, steps):
    return [batches[step].labels.tolist() for step in steps]


def test_every_epoch_is_another_permutation(pictures):
    batches = Batches(TensorSplit(pictures), 5, seed=0, device=CPU)
    assert (batches.batch_size, batches.per_epoch) == (5, 4)
    epochs = [[i for batch in ids(batches, range(4 * e, 4 * e + 4)) for i in batch] for e in range(30)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 30
    # The rest that an epoch leaves out is another one each time, so that all are seen equally often.
    counts = torch.bincount(torch.tensor(epochs).flatten(), minlength=23)
    assert counts.min() >= 20
    assert counts.max() <= 30
    other = Batches(TensorSplit(pictures), 5, seed=1, device=CPU)
    assert ids(other, range(4)) != ids(batches, range(4))


def test_labels_and_factors_belong_to_their_examples(pictures):
    batch = Batches(Streamed(pictures), 5, seed=0, device=CPU)[3]
    assert torch.equal(batch.x, pictures.x[batch.labels])
    assert torch.equal(batch.factors, pictures.factors[batch.labels])


def test_a_split_smaller_than_a_batch(pictures):
    batches = Batches(TensorSplit(pictures[:3]), 128, seed=0, device=CPU)
    assert (batches.batch_size, batches.per_epoch) == (3, 1)
    assert sorted(ids(batches, [0])[0]) == [0, 1, 2]


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("augmented", [False, True])
def test_streaming_changes_nothing(pictures, workers, augmented):
    def made(split, workers):
        augmentation = None
        if augmented:
            texts = ["random-crop:3,padding=1", "random-horizontal-flip", "random-vertical-flip"]
            augmentation = Augmentation(texts, DataInfo((1, 3, 3), levels=256), 7)
        return Batches(split, 5, seed=0, device=CPU, workers=workers, augmentation=augmentation)

    held, streamed = made(TensorSplit(pictures), 0), made(Streamed(pictures), workers)
    # In order, then again from within, as after a resume.
    for step in [*range(9), 6, 7, 8, 3]:
        a, b = held[step], streamed[step]
        assert torch.equal(a.x, b.x)
        assert a.labels.tolist() == b.labels.tolist() == held.indices(step)
        assert augmented == (not torch.equal(a.x, pictures.x[a.labels]))
    streamed.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_data_comes_as_it_is(pictures, workers):
    def fail(indices):
        raise DataError("picture 7 is damaged", hint="remove it")

    batches = Batches(Streamed(pictures, fail), 5, seed=0, device=CPU, workers=workers)
    with pytest.raises(DataError, match=r"^picture 7 is damaged\nremove it$"):
        batches[0]
    batches.close()


def test_a_worker_that_dies(pictures):
    batches = Batches(
        Streamed(pictures, lambda indices: os.kill(os.getpid(), signal.SIGKILL)),
        5,
        seed=0,
        device=CPU,
        workers=1,
    )
    with pytest.raises(DataError, match="a process that reads data has died"):
        batches[0]
    batches.close()


def test_workers_leave_signals_to_the_run(pictures):
    me = os.getpid()

    def signalled(indices):
        if os.getpid() != me:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
                os.kill(os.getpid(), number)

    batches = Batches(Streamed(pictures, signalled), 5, seed=0, device=CPU, workers=2)
    plain = Batches(TensorSplit(pictures), 5, seed=0, device=CPU)
    assert ids(batches, range(6)) == ids(plain, range(6))
    batches.close()


def test_the_global_random_state_is_left_alone(pictures):
    before = torch.random.get_rng_state()
    ids(Batches(Streamed(pictures), 5, seed=0, device=CPU, workers=1), range(3))
    assert torch.equal(torch.random.get_rng_state(), before)


class Varied(Streamed):
    varies = True

    def varied(self, indices, *, seed, step):
        own = [(seed + 100 * step + 7 * index) % 251 for index in indices]
        x = torch.tensor(own, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 3, 3)
        return Batch(x, labels=torch.tensor(indices))

    def in_memory(self):
        return self.batch


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("wrap", [lambda split: split, lambda split: suited(part_of(split, range(23)), INFO)])
def test_examples_that_vary_depend_on_seed_step_and_index_alone(pictures, workers, wrap):
    split = wrap(Varied(pictures))
    batches = Batches(split, 5, seed=3, device=CPU, workers=workers)
    for step in [0, 1, 5, 6, 1]:
        batch = batches[step]
        assert batch.labels.tolist() == batches.indices(step)
        expected = [(3 + 100 * step + 7 * index) % 251 for index in batches.indices(step)]
        assert batch.x[:, 0, 0, 0].tolist() == expected
    assert torch.equal(split.__getitems__([4, 2]).x, pictures.x[[4, 2]])
    batches.close()
