"""Training: what it does to a model, what it reports, and what it leaves alone."""

import itertools
import json
import math

import pytest
import torch

from genmod import (
    Batch,
    DataInfo,
    Dataset,
    FileError,
    GenmodError,
    Split,
    TensorSplit,
    UsageError,
    compose,
    load,
    train,
)
from genmod.model.assembly import assemble
from genmod.training.batches import Batches

INFO = DataInfo((6,), low=-9.0, high=9.0)
SIZES = {"train": 96, "validation": 40, "test": 10}
CPU = torch.device("cpu")


class Blobs(Dataset):
    """Points on a plane in six dimensions, with some noise."""

    info = INFO

    def split(self, name):
        generator = torch.Generator().manual_seed(len(name))
        plane = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
        z = torch.randn(SIZES[name], 2, generator=generator)
        return TensorSplit(Batch(z @ plane + 0.1 * torch.randn(SIZES[name], 6, generator=generator)))


@pytest.fixture
def data(tmp_path):
    return Blobs(tmp_path)


def model_of(recipe="vae", *, seed=0, info=INFO, settings=None, **components):
    components = {"encoder": {"name": "mlp", "hidden": [8]}, "decoder": "gaussian", **components}
    spec = compose(recipe, components=components, latent=2, settings=settings or {})
    return assemble(spec, info, seed=seed)


def run(data, model=None, **settings):
    model = model or model_of()
    settings = {"device": "cpu", "batch_size": 16, "lr": 1e-2, **settings}
    return model, train(model, data, **settings)


def rows_of(result, split):
    return [row for row in result.rows if row["split"] == split]


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(state_of(a).values(), state_of(b).values(), strict=True))


def test_it_learns(data):
    model, result = run(data, epochs=30)
    validation = [row["loss"] for row in rows_of(result, "validation")]
    assert result.status == "finished"
    assert result.steps == 30 * 6
    assert min(validation) < validation[0] - 3
    assert not model.training


def test_same_seed_same_weights_whatever_the_caller_drew(data):
    models = []
    for caller in (1, 2):
        torch.manual_seed(caller)
        models.append(run(data, steps=20, seed=7)[0])
    assert same(*models)
    assert not same(models[0], run(data, steps=20, seed=8)[0])


def test_random_state_of_the_caller_is_left_alone(data):
    state = torch.get_rng_state()
    run(data, steps=3)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(UsageError):
        run(data, steps=3, optimizer="nothing")
    assert torch.equal(torch.get_rng_state(), state)


def test_each_step_has_noise_of_its_own():
    """One example of a model that cannot learn: its losses differ by the draw of the latents alone."""

    class One(Dataset):
        info = INFO

        def split(self, name):
            return TensorSplit(Batch(torch.ones(1, 6)))

    _, result = run(One(None), steps=50, lr=1e-12, batch_size=1, log_every=1)
    distortions = {row["distortion"] for row in rows_of(result, "train")}
    assert len(distortions) == 50
    assert len({row["loss"] for row in rows_of(result, "validation")}) == 1


# Batches


def test_an_epoch_is_a_permutation_and_the_next_one_another(data):
    split = TensorSplit(Batch(torch.arange(20)[:, None]))
    batches = Batches(split, 6, seed=0, device=CPU)
    assert batches.per_epoch == 3
    epochs = [torch.cat([batches[3 * e + i].x for i in range(3)]).flatten().tolist() for e in range(50)]
    assert all(len(set(epoch)) == 18 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 50
    left_out = [set(range(20)) - set(epoch) for epoch in epochs]
    assert set().union(*left_out) == set(range(20)), "the same examples are always left out"


def test_a_batch_is_a_function_of_seed_and_step():
    split = TensorSplit(Batch(torch.arange(20)[:, None], labels=torch.arange(20)))

    class Streamed(Split):
        def __len__(self):
            return len(split)

        def __getitems__(self, indices):
            return split.__getitems__(indices)

    forward = [Batches(split, 4, seed=1, device=CPU)[step].x.tolist() for step in range(12)]
    one, streamed = (Batches(s, 4, seed=1, device=CPU) for s in (split, Streamed()))
    assert [one[step].x.tolist() for step in reversed(range(12))] == forward[::-1]
    assert [streamed[step].x.tolist() for step in range(12)] == forward
    assert [streamed[step].x.tolist() for step in (7, 3, 4)] == [forward[7], forward[3], forward[4]]
    assert Batches(split, 4, seed=2, device=CPU)[0].x.tolist() != forward[0]
    assert torch.equal(one[0].labels, one[0].x[:, 0])


@pytest.mark.parametrize("batch_size", [1, 96, 1000])
def test_any_batch_size(data, batch_size):
    _, result = run(data, epochs=2, batch_size=batch_size)
    assert result.steps == 2 * max(1, 96 // batch_size)
    assert math.isfinite(result.best_loss)


# Rows, files, events


def test_rows_are_written_once_and_say_where_they_stand(data, tmp_path):
    directory = tmp_path / "model"
    _, result = run(data, epochs=3, log_every=4, directory=directory)
    training = rows_of(result, "train")
    assert [row["step"] for row in training] == [4, 6, 8, 12, 16, 18]
    assert [row["epoch"] for row in training] == pytest.approx(
        [row["step"] / 6 for row in training], abs=1e-3
    )
    assert [row["step"] for row in rows_of(result, "validation")] == [6, 12, 18]
    assert all({"loss", "elbo", "rate", "distortion", "lr"} <= set(row) for row in training)
    written = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert written == list(result.rows)
    record = json.loads((directory / "run.json").read_text())
    assert (record["status"], record["step"], record["total_steps"]) == ("finished", 18, 18)
    assert record["best_loss"] == result.best_loss
    assert record["best_step"] == result.best_step
    assert record["settings"]["batch_size"] == 16


def test_loss_is_the_mean_over_the_steps_since_the_last_row(data):
    _, each = run(data, steps=6, log_every=1)
    _, together = run(data, steps=6, log_every=6)
    for name in ("loss", "rate", "distortion"):
        mean = sum(row[name] for row in rows_of(each, "train")) / 6
        assert rows_of(together, "train")[0][name] == pytest.approx(mean, rel=1e-9)


def test_logging_does_not_change_the_weights(data, tmp_path):
    plain, _ = run(data, steps=20)
    seen = []
    logged, _ = run(data, steps=20, log_every=1, directory=tmp_path / "model", on_event=seen.append)
    assert same(plain, logged)
    kinds = [event.kind for event in seen]
    assert {"train", "validation"} <= set(kinds)
    assert kinds[-1] == "end"
    assert [event.step for event in seen] == sorted(event.step for event in seen)


def test_progress_has_the_loss_of_its_step(data, monkeypatch):
    """The mean over the steps since the last row, for each step, although a row is written after every fourth."""
    singly = rows_of(run(data, steps=11, log_every=1)[1], "train")
    seen, seconds = [], itertools.count()
    monkeypatch.setattr("genmod.training.trainer.time.monotonic", lambda: float(next(seconds)))
    run(data, steps=11, log_every=4, on_event=seen.append)
    progress = [event for event in seen if event.kind == "progress"]
    assert [event.step for event in progress] == list(range(1, 12))
    for event in progress:
        last = max(step for step in (0, 4, 6, 8, 11) if step <= event.step)
        losses = [row["loss"] for row in singly[last : event.step]]
        wanted = {"loss": pytest.approx(sum(losses) / len(losses), rel=1e-9)} if losses else {}
        assert {name: event.values[name] for name in wanted} == wanted
        assert bool(event.values) is bool(losses)


def test_run_that_ends_within_an_epoch_is_validated(data):
    _, result = run(data, steps=8)
    assert [row["step"] for row in rows_of(result, "validation")] == [6, 8]


# Which weights are kept


def test_model_ends_with_the_best_weights(data, tmp_path):
    """A learning rate that ruins the model later on."""
    directory = tmp_path / "model"
    seen = []
    model, result = run(
        data, epochs=12, lr=0.5, optimizer="sgd", clip=5.0, directory=directory, on_event=seen.append
    )
    losses = {row["step"]: row["loss"] for row in rows_of(result, "validation")}
    assert result.best_loss == min(losses.values())
    assert losses[result.best_step] == result.best_loss
    assert [event.step for event in seen if event.best][-1] == result.best_step
    assert result.best_step < 72, "the last weights are the best; the test shows nothing"
    assert same(model, load(directory))
    assert not same(model, load(directory, weights="last"))


def test_early_stopping(data):
    """A model that cannot improve after its first epoch stops after so many more."""
    _, result = run(data, epochs=50, lr=1e-30, patience=3)
    assert result.status == "stopped early"
    assert result.steps == 4 * 6


def test_early_stopping_waits_for_the_schedules(data):
    model = model_of(settings={"objective.beta": "0->1 over 10 epochs"})
    _, result = run(data, model, epochs=50, lr=1e-30, patience=3)
    assert result.status == "stopped early"
    assert 10 * 6 <= result.steps <= 15 * 6
    assert float(model.objective.beta) == 1.0


def test_schedules_are_settled_in_the_end_and_after_a_failure(data):
    model = model_of(settings={"objective.beta": "0->1 over 10 epochs"})

    def stop(event):
        if event.kind == "train":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(data, model, epochs=20, on_event=stop)
    assert float(model.objective.beta) == 1.0
    assert not model.training


def test_frozen_parameters_stay(data):
    model = model_of()
    model.encoder.requires_grad_(requires_grad=False)
    before = state_of(model.encoder)
    run(data, model, steps=5)
    assert all(torch.equal(before[name], tensor) for name, tensor in state_of(model.encoder).items())


# How steps are made


def test_learning_rate_warms_up_and_falls(data):
    _, result = run(data, steps=12, warmup=4, schedule="cosine", log_every=1, lr=0.08)
    lrs = [row["lr"] for row in rows_of(result, "train")]
    assert lrs[:4] == pytest.approx([0.02, 0.04, 0.06, 0.08])
    assert lrs[4:] == pytest.approx([0.04 * (1 + math.cos(math.pi * i / 8)) for i in range(8)])


def test_gradient_is_clipped_to_its_norm(data):
    """One step of plain gradient descent with rate 1 is as long as the clipped gradient."""
    model = model_of()
    before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    run(data, model, steps=1, optimizer="sgd", lr=1.0, clip=1e-3)
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert (after - before).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_steps_of_a_large_gradient_move_nothing_and_are_counted(data):
    """A step of plain gradient descent with rate 1 is as long as the gradient."""
    lengths, start = [], model_of()
    before = torch.cat([p.detach().flatten().clone() for p in start.parameters()])
    for limit in (0.0, 1e-3, 1e6):
        model = model_of()
        _, result = run(data, model, steps=3, optimizer="sgd", lr=1e-3, skip=limit, log_every=1)
        after = torch.cat([p.detach().flatten() for p in model.parameters()])
        lengths.append(float((after - before).norm()))
        counted = [row.get("skipped") for row in rows_of(result, "train")]
        assert counted == {0.0: [None] * 3, 1e-3: [1, 2, 3], 1e6: [0, 0, 0]}[limit]
    assert lengths[0] == lengths[2] > 0
    assert lengths[1] == 0
    first = model_of()
    run(data, first, steps=1, optimizer="sgd", lr=1.0)
    norm = float((torch.cat([p.detach().flatten() for p in first.parameters()]) - before).norm())
    for factor, moved in ((0.999, 0.0), (1.001, norm)):
        model = model_of()
        run(data, model, steps=1, optimizer="sgd", lr=1.0, skip=factor * norm)
        after = torch.cat([p.detach().flatten() for p in model.parameters()])
        assert float((after - before).norm()) == pytest.approx(moved, rel=1e-5)


def test_parts_of_a_batch_give_its_gradient(data):
    """Without noise: the autoencoder."""
    whole, parts = (run(data, model_of("autoencoder"), steps=5, accumulate=n, lr=1e-3)[0] for n in (1, 4))
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "AdamW", "adam-w", "sgd", "RMSprop", "radam"])
def test_optimizers_by_name(data, optimizer):
    model = model_of()
    before = state_of(model)
    run(data, model, steps=2, optimizer=optimizer, lr=1e-3)
    assert all(not torch.equal(before[name], p) for name, p in model.named_parameters())


def test_low_precision_networks_learn_and_are_switched_back(data):
    model, result = run(data, epochs=10, precision="bf16")
    losses = [row["loss"] for row in rows_of(result, "validation")]
    assert min(losses) < losses[0]
    assert model.encode(torch.zeros(1, 6)).mean.dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.autocast_dtype is None


def test_double_precision(data):
    model, result = run(data, model_of().double(), steps=10)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert math.isfinite(result.best_loss)


def test_stored_integers_and_batch_norm():
    class Pictures(Dataset):
        info = DataInfo((1, 8, 8), levels=256)

        def split(self, name):
            x = torch.randint(
                256, (33, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
            )
            return TensorSplit(Batch(x))

    model = model_of(info=Pictures.info, encoder={"name": "conv", "channels": [4], "norm": "batch"})
    _, result = run(Pictures(None), model, steps=4)
    assert math.isfinite(result.best_loss)
    assert model.encoder.stages[1].num_batches_tracked == result.best_step


# What goes wrong


class Broken(Blobs):
    info = DataInfo((6,), low=-math.inf, high=math.inf)

    def split(self, name):
        batch = super().split(name).batch
        if name == "train":
            batch.x[50] = 1e30  # whose square is none
        return TensorSplit(batch)


def test_loss_that_is_not_finite_stops_the_run_before_any_damage(tmp_path):
    directory = tmp_path / "model"
    model = model_of(info=Broken.info)
    with pytest.raises(GenmodError, match="finite"):
        run(Broken(tmp_path), model, epochs=2, directory=directory)
    assert all(p.isfinite().all() for p in model.parameters())
    assert json.loads((directory / "run.json").read_text())["status"] == "failed"


def test_interrupt_is_recorded_and_passed_on(data, tmp_path):
    directory = tmp_path / "model"

    def stop(event):
        if event.step >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, epochs=50, directory=directory, on_event=stop, log_every=1)
    assert json.loads((directory / "run.json").read_text())["status"] == "interrupted"
    assert load(directory).latent_shape == (2,)


def test_trained_model_is_not_trained_over(data, tmp_path):
    directory = tmp_path / "model"
    run(data, steps=2, directory=directory)
    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    with pytest.raises(FileError, match="trained model"):
        run(data, steps=2, directory=directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"steps": -1}, "steps"),
        ({"epochs": 1, "steps": 1}, "one of them"),
        ({"batch_size": 2.0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"lr": 0}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"lr": math.inf}, "lr"),
        ({"clip": -1}, "clip"),
        ({"seed": -1}, "seed"),
        ({"precision": "16"}, "precision"),
        ({"device": "tpu"}, "tpu"),
        ({"schedule": "cosin"}, "did you mean cosine"),
        ({"optimizer": "adm"}, "did you mean adam"),
        ({"optimizer_options": {"momentun": 1}}, "momentun"),
        ({"epoch": 3}, "epoch"),
        ({"accumulate": 3, "batch_size": 16}, "accumulate"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(data, settings, message):
    model = model_of()
    before = state_of(model)
    with pytest.raises(UsageError, match=message):
        run(data, model, **settings)
    assert all(torch.equal(before[name], tensor) for name, tensor in state_of(model).items())


def test_all_wrong_settings_are_reported_at_once(data):
    with pytest.raises(UsageError) as caught:
        run(data, lr=-1, clip=-1, patience=-1, log_every=0)
    assert all(name in str(caught.value) for name in ("lr", "clip", "patience", "log_every"))


def test_data_of_another_shape(data):
    with pytest.raises(UsageError, match=r"\(7,\).*\(6,\)"):
        run(data, model_of(info=DataInfo((7,), low=-9.0, high=9.0)), steps=1)
