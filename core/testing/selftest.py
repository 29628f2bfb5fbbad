"""A self-test of the mathematics on this machine: models with known numbers, from end to end."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from genmod.bundle.model import load, save
from genmod.data.dataset import Batch, DataInfo, Dataset, SplitName, TensorSplit
from genmod.evaluation import evaluate
from genmod.evaluation.significance import reach
from genmod.model.assembly import assemble
from genmod.model.build import compose
from genmod.model.latent_variable import LatentVariableModel
from genmod.system.random import reseed, seeded
from genmod.training.signals import Interrupted
from genmod.training.train import train

__all__ = ["Proof", "selftest"]

_DIMS, _LATENT, _SIGMA = 6, 3, 0.4
_LINEAR: dict[str, Any] = {"encoder": {"name": "mlp", "hidden": []}, "network": {"name": "mlp", "hidden": []}}
_REAL: dict[str, Any] = {"low": -math.inf, "high": math.inf}
_PAIRS = (
    ("normal", "normal", (3,)),
    ("normal-full", "normal", (3,)),
    ("laplace", "laplace", (3,)),
    ("gamma", "gamma", (3,)),
    ("power-spherical", "uniform-sphere", (3,)),
    ("vmf", "uniform-sphere", (3,)),
)


@dataclass(frozen=True)
class Proof:
    """A number computed here, and its known value.

    Args:
        what: name of the number.
        found: the number.
        wanted: its known value.
        tolerance: largest allowed difference.
        seconds: time that it took.
    """

    what: str
    found: float
    wanted: float
    tolerance: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the number is within its tolerance."""
        return abs(self.found - self.wanted) <= self.tolerance

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "holds": self.holds}


_Numbers = Iterator[tuple[str, float, float, float]]


def selftest(on_proof: Callable[[Proof], None] = lambda proof: None) -> list[Proof]:
    """Compare numbers of the code that trains and measures models with known ones.

    Bounds of a linear-Gaussian model against its likelihood; a trained linear VAE against the likelihood of
    probabilistic principal components; gradients against finite differences; divergences in closed form against draws;
    a run that was interrupted against one that was not; a saved model against itself. Takes less than a minute.

    Args:
        on_proof: called with each as it is done.

    Returns:
        All of them; the caller's random state does not change.
    """
    done = []
    for check in (_bounds, _gradients, _divergences, _resumed, _saved, _principal_components):
        start = time.perf_counter()
        with seeded(0):
            for what, found, wanted, tolerance in check():
                proof = Proof(what, found, wanted, tolerance, round(time.perf_counter() - start, 3))
                done.append(proof)
                on_proof(proof)
                start = time.perf_counter()
    return done


def _model(data: DataInfo, latent: Any, recipe: str = "vae", **components: Any) -> LatentVariableModel:
    return assemble(compose(recipe, components={**_LINEAR, **components}, latent=latent), data, seed=1)


def _linear_gaussian() -> tuple[LatentVariableModel, MultivariateNormal]:
    """A model in double precision with its exact posterior, and the marginal of its data.

    ``x = W z + b + σ ε`` with orthogonal columns of W, so that the posterior is a diagonal normal of precision
    ``1 + |w_d|²/σ²`` and mean ``w_d·(x - b) / (σ² + |w_d|²)``.
    """
    info = DataInfo((_DIMS,), **_REAL)
    model = _model(info, _LATENT, decoder={"name": "gaussian", "scale": _SIGMA}).double()
    weight = torch.linalg.qr(torch.randn(_DIMS, _DIMS, dtype=torch.float64))[0][:, :_LATENT]
    weight = weight * torch.tensor([2.0, 1.0, 0.3], dtype=torch.float64)
    bias, norms = torch.randn(_DIMS, dtype=torch.float64), weight.square().sum(0)
    to_mean = weight.T / (_SIGMA**2 + norms)[:, None]
    log_scale = -0.5 * torch.log1p(norms / _SIGMA**2)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        parameters["network.layers.0.weight"].copy_(weight)
        parameters["network.layers.0.bias"].copy_(bias)
        head, offset = parameters["posterior.head.weight"], parameters["posterior.head.bias"]
        head.zero_()
        head[:_LATENT] = to_mean
        offset[:_LATENT] = -to_mean @ bias
        # What the bounded log-scale maps to the one that is wanted.
        offset[_LATENT:] = log_scale / (1 - (log_scale / 9) ** 2).sqrt()
    noise = _SIGMA**2 * torch.eye(_DIMS, dtype=torch.float64)
    return model, MultivariateNormal(bias, weight @ weight.T + noise)


@torch.no_grad()
def _bounds() -> _Numbers:
    model, marginal = _linear_gaussian()
    x = marginal.sample((200,))
    exact = marginal.log_prob(x)
    gap = (model.log_weights(x, 10) - exact).abs().max().item()
    yield "importance weights at the exact posterior, largest error, nats", gap, 0.0, 1e-10
    result = evaluate(model, TensorSplit(Batch(x)), "elbo[200]")
    yield "ELBO at the exact posterior, nats", result["elbo"].value, exact.mean().item(), 0.03
    parameters = dict(model.named_parameters())
    parameters["posterior.head.bias"][_LATENT:] += 0.5
    ratios = (model.log_weights(x[:50], 20_000) - exact[:50]).exp().mean(1)
    error = (ratios.std() / len(ratios) ** 0.5).item()
    # As sure as 4.5 standard deviations, with an error of no more than 50 numbers.
    width = reach(4.5, len(ratios) - 1) * error
    yield "mean importance weight ÷ likelihood, posterior too wide", ratios.mean().item(), 1.0, width
    bounds = [_bound(model.log_weights(x, 2000), k) for k in (1, 10, 100)]
    rising = all(a < b for a, b in zip(bounds, [*bounds[1:], exact.mean().item()], strict=True))
    yield "bounds of 1, 10 and 100 draws rise to the likelihood, 1 for yes", float(rising), 1.0, 0.0


def _bound(log_weights: Tensor, k: int) -> float:
    return (log_weights.view(-1, k, log_weights.shape[1]).logsumexp(1) - math.log(k)).mean().item()


def _gradients() -> _Numbers:
    """Directional derivatives of losses, with common random numbers."""
    info = DataInfo((_DIMS,), **_REAL)
    x = torch.randn(8, _DIMS, dtype=torch.float64)
    for recipe, components in (
        ("vae", {}),
        ("vae", {"posterior": "normal-full"}),
        ("vae", {"posterior": "laplace", "prior": "laplace"}),
        ("iwae", {}),
        ("rae-l2", {}),
    ):
        model = _model(info, 3, recipe, decoder="gaussian", **components).double()
        parameters = [p for p in model.parameters() if p.requires_grad]
        directions = [torch.randn_like(p) for p in parameters]
        gradients = torch.autograd.grad(_loss(model, x), parameters)
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
        ends = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.add_(direction, alpha=step)
                ends.append(_loss(model, x).item())
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.sub_(direction, alpha=step)
        name = recipe if not components else f"{recipe}, posterior {components['posterior']}"
        difference = (ends[0] - ends[1]) / 2e-6
        yield f"slope of the loss of {name}, by differences", slope, difference, 1e-6 * max(1.0, abs(slope))


def _loss(model: LatentVariableModel, x: Tensor) -> Tensor:
    reseed(7)
    return model.terms(x).total


@torch.no_grad()
def _divergences() -> _Numbers:
    info = DataInfo((_DIMS,), **_REAL)
    for posterior, prior, latent in _PAIRS:
        model = _model(info, latent, posterior=posterior, prior=prior, decoder="gaussian").double()
        q, p = model.encode(torch.randn(1, _DIMS, dtype=torch.float64)), model.prior()
        z = q.sample((100_000,))
        ratios = q.log_prob(z) - p.log_prob(z)
        error = (ratios.std() / len(ratios) ** 0.5).item()
        exact = kl_divergence(q, p).item()
        yield f"KL({posterior} ‖ {prior}) in closed form, by draws", exact, ratios.mean().item(), 4.5 * error


class _Points(Dataset):
    """Points of a known linear model, or given ones."""

    def __init__(self, x: Tensor) -> None:
        super().__init__(Path())
        self._x = x

    @property
    def info(self) -> DataInfo:
        return DataInfo(tuple(self._x.shape[1:]), **_REAL)

    def split(self, name: SplitName) -> TensorSplit:
        return TensorSplit(Batch(self._x))


def _resumed() -> _Numbers:
    data = _Points(torch.randn(200, _DIMS))
    settings: dict[str, Any] = {
        "steps": 30,
        "batch_size": 20,
        "device": "cpu",
        "ema": 0.9,
        "checkpoint_every": 7,
    }
    whole = _model(data.info, 2, decoder="gaussian")
    train(whole, data, **settings)
    with tempfile.TemporaryDirectory() as folder:
        part = _model(data.info, 2, decoder="gaussian")
        place = Path(folder) / "model"

        def stop(event: Any) -> None:
            if event.kind == "checkpoint" and event.step == 14:
                raise Interrupted(2, event.step)

        with suppress(Interrupted):
            train(part, data, directory=place, on_event=stop, **settings)
        again = load(place, weights="last")
        train(again, data, directory=place, resume=True)
    yield (
        "a run stopped in mid-epoch and resumed, largest difference of weights",
        _gap(whole, again),
        0.0,
        0.0,
    )


def _saved() -> _Numbers:
    model = _model(DataInfo((_DIMS,), **_REAL), 2, decoder="gaussian")
    with tempfile.TemporaryDirectory() as folder:
        again = load(save(model, Path(folder) / "model"))
    yield "a model saved and loaded, largest difference of samples", _gap(model, again), 0.0, 0.0


def _gap(a: LatentVariableModel, b: LatentVariableModel) -> float:
    pairs: Sequence[tuple[Tensor, Tensor]] = list(
        zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )
    samples = (a.eval().sample(5, seed=1) - b.eval().sample(5, seed=1)).abs().max().item()
    return max(samples, *((x - y).abs().max().item() for x, y in pairs if x.numel()))


def _principal_components() -> _Numbers:
    from sklearn.decomposition import PCA

    latent, dims = 4, 20
    weight = torch.randn(dims, latent) * torch.tensor([2.0, 1.5, 1.0, 0.7])
    x = torch.randn(2000, latent) @ weight.T + 0.5 * torch.randn(2000, dims)
    data = _Points(x)
    model = _model(data.info, latent, decoder={"name": "gaussian", "scale": "learned"})
    train(
        model,
        data,
        steps=2500,
        batch_size=500,
        lr=0.05,
        schedule="cosine",
        optimizer_options={"betas": [0.9, 0.95]},
        device="cpu",
        log_every=1000,
    )
    reference = float(PCA(latent).fit(x.double().numpy()).score(x.double().numpy()))
    found = evaluate(model, data.split("test"), "elbo[100]")["elbo"].value
    yield "ELBO of a trained linear VAE, by scikit-learn's PCA, nats", found, reference, 0.05
