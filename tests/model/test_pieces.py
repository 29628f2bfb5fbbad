"""Work in pieces: memory is bounded, whatever the size of the examples, and the pieces change no number."""

import pytest
import torch

from genmod import Batch, DataInfo, TensorSplit, build, evaluate
from genmod.figures import latents_figure, sample_grid
from genmod.model.assembly import assemble, open_dataset
from genmod.model.build import compose
from genmod.model.encode import encode_split
from genmod.model.pieces import draws_at_once, examples_at_once, held, slices
from genmod.system import memory
from genmod.system.memory import in_pieces, rows_that_fit
from genmod.training.validation import validation_means

METRICS = ["elbo", "nll[10]", "aggregate-kl", "anomaly", "mse"]


def numbers(model):
    """What evaluation, validation, figures and samples say of a model of digits."""
    data = open_dataset(model.spec)
    split = TensorSplit(data.split("train").batch[slice(0, 520)], data.info)
    rows = {row.name: row.value for row in evaluate(model, split, METRICS).rows}
    loss = validation_means(model, model.terms, split, seed=0, team=None)
    drawn = {
        "sample": model.sample(520, seed=0),
        "noise": model.sample(520, seed=0, noise=True),
        "grid": sample_grid(model, 520, seed=0, noise=True).images,
        "codes": encode_split(model, split).draws,
        "figure": latents_figure(model, split, panels=["kl"], number=300).arrays["codes"],
    }
    return {**rows, **loss}, drawn


@pytest.mark.parametrize("recipe", ["vae", "cvae"])
@pytest.mark.parametrize("rows", [13, pytest.param(499, marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_numbers_in_pieces_of_any_size(recipe, rows, monkeypatch):
    model = build(recipe, encoder={"name": "mlp", "hidden": [16]}, latent=3).eval()
    whole, drawn = numbers(model)
    monkeypatch.setattr(memory, "rows_that_fit", lambda *given, **how: rows)
    monkeypatch.setattr("genmod.model.pieces._SCORED", 64 * rows)
    pieces, again = numbers(model)
    assert pieces == pytest.approx(whole, rel=1e-5, abs=1e-5)
    for name in drawn:
        torch.testing.assert_close(again[name], drawn[name], rtol=1e-4, atol=1e-5)


def test_small_examples_are_worked_on_as_before():
    """Of the sizes that everybody uses 500 are between two seeds, as ever."""
    for shape in ((1, 8, 8), (1, 28, 28), (3, 32, 32), (20,)):
        spec = compose("vae", components={"encoder": {"name": "mlp", "hidden": [4]}, "decoder": "gaussian"})
        info = DataInfo(shape, levels=256)
        assert examples_at_once(assemble(spec, info)) == 500
        assert held(5000, info) == 5000


@pytest.mark.parametrize(
    ("side", "decoder"),
    [
        (128, "gaussian"),
        pytest.param(512, "gaussian", marks=pytest.mark.slow),
        pytest.param(128, "categorical", marks=pytest.mark.slow),
    ],
)
def test_large_pictures_take_little_memory(side, decoder):
    info = DataInfo((3, side, side), levels=256)
    components = {"encoder": {"name": "conv", "channels": [8] * 5}, "decoder": decoder}
    model = assemble(compose("vae", components=components, latent=2), info).eval()
    n = max(2, 2**21 // info.size) if decoder == "categorical" else 2 * 2**22 // info.size
    split = TensorSplit(Batch(torch.randint(256, (n, *info.shape), dtype=torch.uint8)), info)
    with memory._Sizes() as noted:
        evaluate(model, split, "elbo[1]")
        if decoder == "gaussian":
            validation_means(model, model.terms, split, seed=0, team=None)
            sample_grid(model, 4)
    assert max(noted.sizes) <= (2**30 if decoder == "categorical" else 2**25 + 2**20)


def test_the_densities_of_a_mixture_of_posteriors_take_little_memory():
    """Each of 300 draws has one under each of 200 posteriors, which go through networks of their own."""
    model = build(
        encoder={"name": "mlp", "hidden": [8]},
        posterior={"name": "flow", "transforms": 1},
        prior={"name": "vamp", "components": 200},
        divergence="kl-mc",
        latent=4,
    ).eval()
    z, found, largest = torch.randn(3, 100, 4), [], []
    for training in (False, True):
        # In training, where gradients keep everything anyway, it is one computation as ever.
        with torch.set_grad_enabled(training), memory._Sizes() as noted:
            found.append(model.prior().log_prob(z))
        largest.append(max(noted.sizes))
    assert largest[0] <= 2**22 < largest[1]
    torch.testing.assert_close(*found)


def test_how_many_rows_fit_is_a_matter_of_memory(monkeypatch):
    network = torch.nn.Linear(1000, 1000).eval()
    x = torch.zeros(4, 1000)
    monkeypatch.setattr(memory, "_BYTES", {"cpu": 160_000})
    # At least as much as the weights, which each piece reads: for fewer rows the time would be theirs.
    assert rows_that_fit(torch.nn.Linear(1000, 1000).eval(), x) == 4 * 1001 * 1000 // 16_000
    monkeypatch.setattr(memory, "bytes_of_weights", lambda network: 0)
    with torch.no_grad():
        assert rows_that_fit(network, x) == 10
        sizes = []
        network.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
        in_pieces(network, torch.zeros(25, 1000))
    assert sizes == [9, 9, 7]


def test_likelihoods_exist_of_as_many_values_as_weights_pay_for():
    model = build("vae", encoder={"name": "mlp", "hidden": [16]}, latent=3)
    assert len(slices(model, torch.zeros(2**14, 1))) == 2
    with torch.device("meta"):
        model.network = torch.nn.Linear(2**12, 2**12, bias=False)  # a quarter of these are 4 million values
    assert len(slices(model, torch.zeros(2**17, 1))) == 2
    assert draws_at_once(model, torch.zeros(2**14, 1)) == 4


@pytest.mark.parametrize("recipe", ["vae", "cvae"])
def test_draws_that_are_decoded_together_have_the_same_likelihoods(recipe, monkeypatch):
    model = build(recipe, encoder={"name": "mlp", "hidden": [16]}, latent=3).eval()
    split = open_dataset(model.spec).split("test")
    one = evaluate(model, split, "elbo")["elbo"].examples
    monkeypatch.setattr("genmod.plugins.metrics.elbo.draws_at_once", lambda model, x: 3)
    assert evaluate(model, split, "elbo")["elbo"].examples == pytest.approx(one, rel=1e-6)


def test_training_is_all_at_once(monkeypatch):
    monkeypatch.setattr(memory, "rows_that_fit", lambda *given, **how: 1)
    network, sizes = torch.nn.Linear(2, 2), []
    network.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    in_pieces(network.train(), torch.zeros(5, 2))
    in_pieces(network.eval(), torch.zeros(5, 2))  # with gradients
    assert sizes == [5, 5]
