"""Statistics of the batch within a model: trained, saved, refused where they cannot be had."""

import pytest
import torch

from genmod import Batch, DataInfo, Dataset, TensorSplit, UndefinedError, UsageError, compose, load, train
from genmod.model.assembly import assemble, blueprint
from genmod.plugins.divergences.dip_i import DipI
from genmod.plugins.divergences.dip_ii import DipII
from genmod.plugins.divergences.hsic import HSIC
from genmod.plugins.divergences.mmd import MMD
from genmod.plugins.divergences.sliced_wasserstein import SlicedWasserstein
from genmod.plugins.divergences.tc import TotalCorrelation

INFO = DataInfo((6,), low=-1.0, high=1.0)
STATISTICS = ["mmd", "sliced-wasserstein", "tc", "dip-i", "dip-ii", "hsic"]


def spec(divergence, *, posterior="normal", prior="normal", **objective):
    components = {
        "encoder": {"name": "mlp", "hidden": [8]},
        "decoder": {"name": "gaussian", "scale": 0.5},
        "posterior": posterior,
        "prior": prior,
        "divergence": divergence,
        "objective": {"name": "elbo", **objective},
    }
    return compose(components=components, latent=3)


class _Noise(Dataset):
    info = INFO

    def split(self, name):
        drawn = torch.rand(97, 6, generator=torch.Generator().manual_seed(len(name)))
        return TensorSplit(Batch(2 * drawn - 1))


def test_statistics_of_the_batch_say_so():
    for cls in (MMD, SlicedWasserstein, TotalCorrelation, DipI, DipII, HSIC):
        assert cls.batch_statistics == "global"


@pytest.mark.parametrize("name", STATISTICS)
def test_trains_and_comes_back(name, tmp_path):
    """The trainer says how large the dataset is, and that is saved with the model."""
    model = assemble(spec(name), INFO)
    result = train(
        model, _Noise(tmp_path), directory=tmp_path / "model", steps=6, batch_size=32, device="cpu"
    )
    assert result.status == "finished"
    other = load(tmp_path / "model")
    if name == "tc":
        assert other.divergence.dataset_size.item() == 97
    x = torch.rand(8, 6)
    losses = []
    for each in (model, other):
        torch.manual_seed(1)
        losses.append(each.eval().terms(x).loss)
    assert torch.equal(*losses)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_small_batches_have_finite_gradients(name, size):
    """The last batch of an epoch may have a single example."""
    model = assemble(spec(name), INFO)
    loss = model.terms(torch.rand(size, 6)).loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", ["mmd", "sliced-wasserstein"])
def test_codes_without_a_density(name):
    model = assemble(spec(name, posterior="delta"), INFO)
    terms = model.terms(torch.rand(5, 6))
    terms.loss.backward()
    assert "elbo" not in terms.values
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
    with pytest.raises(UsageError, match="needs densities"):
        blueprint(spec({"name": name, "kl": 0.5}, posterior="delta"), INFO)


@pytest.mark.parametrize("name", ["mmd", "sliced-wasserstein", "wasserstein2", "kl"])
def test_no_prior_to_compare_with(name):
    with pytest.raises(UsageError, match=r"no prior|needs densities"):
        blueprint(spec(name, posterior="delta" if "a" in name else "normal", prior="none"), INFO)


@pytest.mark.parametrize("name", ["renyi", "wasserstein2", "reverse-kl", "jeffreys"])
def test_closed_forms_train_with_free_bits(name):
    model = assemble(spec(name, free_bits=0.1), INFO)
    loss = model.terms(torch.rand(5, 6)).loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_free_bits_of_what_does_not_fall_apart():
    with pytest.raises(UndefinedError, match="dimensions"):
        blueprint(spec("mmd", free_bits=0.1), INFO)
