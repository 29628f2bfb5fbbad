"""Laws for distributions: densities against quadrature, draws against densities."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod.data.dataset import DataInfo
from genmod.errors import UsageError
from genmod.interfaces.model import GenerativeModel
from genmod.spec import ModelSpec
from genmod.testing.case import Case, NotApplicable, mean_of, whole
from genmod.testing.check import check_for, expect, listed, needs_density
from genmod.testing.fits import fitted
from genmod.testing.inputs import jostle, tiny_infos
from genmod.testing.quadrature import grid

__all__ = ["Density", "densities"]

_KINDS = ("posterior", "prior", "decoder", "sampler", "model")
_DRAWS = 20_000
_SIGMAS = 5.0
_FEW = 32
"""Levels of two values that are enumerated for whole models, which run their networks for each pair."""
_TOLERANCE = {1: 1e-3, 2: 5e-3}
"""Dimensions → error of the quadrature that is allowed."""


_KEPT = 8
_recent: dict[tuple[Any, ...], tuple["Density", ...]] = {}
"""Component and options → its densities, which several checks in a row use."""


@dataclass(frozen=True)
class Density:
    """A distribution over one or two values, with its quadrature.

    Args:
        distribution: without batch dimensions, or with a batch of one.
        dims: number of values.
        draws: ``(n, *event_shape)``, double precision.
        points: ``(N, *event_shape)``.
        mass: probability of the cell around each point, ``(N,)``.
        where: the data or latents that it was built for, for messages.
        discrete: whether single points have probabilities.
    """

    distribution: Distribution
    dims: int
    draws: Tensor
    points: Tensor
    mass: Tensor
    where: str
    discrete: bool


def densities(case: Case) -> tuple[Density, ...]:
    """The component's distributions over one and two values; cached for the checks that follow.

    Raises:
        NotApplicable: it has no density, refuses so small a shape, or has a support without quadrature.
    """
    key = (case.kind, case.source, repr(sorted(case.options.items())))
    if key not in _recent:
        made = tuple(_computed(case))
        while len(_recent) >= _KEPT:
            del _recent[next(iter(_recent))]
        _recent[key] = made
    return _recent[key]


def _computed(case: Case) -> Iterator[Density]:
    found, supports = False, set()
    for dims in (1, 2):
        for distribution, support, info, where in _distributions(case, dims):
            draws = distribution.sample((_DRAWS,)).double()
            draws = draws.reshape(_DRAWS, *distribution.event_shape)
            values = None
            if info is not None and info.levels is not None:
                values = info.values(torch.arange(info.levels)).double()
            for times in (1, 2):
                made = grid(support, draws, values=values, times=times)
                if made is None:
                    supports.add(str(support))
                    break
                points, weights = made
                shaped = points.unsqueeze(1) if distribution.batch_shape else points
                mass = (distribution.log_prob(shaped).reshape(-1).exp() * weights).nan_to_num(torch.nan)
                # Narrow peaks may lie between the points of a coarse grid; a wrong constant stays wrong on a finer one.
                if dims == 1 or abs(float(mass.sum()) - 1) < _TOLERANCE[dims]:
                    break
            if made is None:
                continue
            found = True
            yield Density(distribution, dims, draws, points, mass, where, support.is_discrete)
    if not found:
        why = f"no quadrature over {', '.join(supports)}: give the constraint a method quadrature(event_shape, count)"
        raise NotApplicable(why if supports else "it refuses data of one and of two values")


def _distributions(case: Case, dims: int) -> Iterator[tuple[Distribution, Any, DataInfo | None, str]]:
    with torch.no_grad():
        match case.kind:
            case "prior":
                for part, wiring in _ready(case, [(dims,)]):
                    yield part(), part.support, None, f"latents {wiring[0]}"
            case "posterior":
                for part, _ in _ready(case, [(7,)], [(dims,)]):
                    for _ in range(2):
                        where = f"latents {part.latent_shape}"
                        yield part(torch.randn(1, 7, dtype=torch.float64)), part.support, None, where
            case "sampler":
                made = fitted(case, (dims,), 100)
                needs_density(made)
                yield made(), made.support, None, f"latents {(dims,)}"
            case "model":
                tried = set()
                for model, given in case.tried([ModelSpec()], _tiny(dims)):
                    # One of the shapes of the same values will do.
                    if isinstance(given, UsageError) or replace(given[1], shape=(1,)) in tried:
                        continue
                    info = given[1]
                    tried.add(replace(info, shape=(1,)))
                    if model.observations is None or not model.exact:
                        raise NotApplicable("it has no exact density")
                    jostle(model)
                    of = model.double().eval().observations
                    where = f"data {info.shape} in [{info.low:g}, {info.high:g}]"
                    yield _OfModel(model), of.support, of.observed, where
            case _:
                ranges = set()
                for part, (info,) in _ready(case, tiny_infos(dims)):
                    limits = replace(info, shape=(1,))
                    if limits in ranges:
                        continue
                    ranges.add(limits)
                    shape = part.parameter_shape
                    where = f"data {info.shape} in [{info.low:g}, {info.high:g}]"
                    yield part(torch.randn(shape, dtype=torch.float64)), part.support, part.observed, where


class _OfModel(Distribution):
    """The density and the draws of a whole model as a distribution."""

    def __init__(self, model: GenerativeModel) -> None:
        self._model = model
        super().__init__(torch.Size(), torch.Size(model.data.shape), validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self._model.sample(torch.Size(sample_shape).numel(), noise=True)

    def log_prob(self, value: Tensor) -> Tensor:
        return self._model.log_weights(value)[0]


def _tiny(dims: int) -> tuple[DataInfo, ...]:
    """Data of so few values, few enough to enumerate, in rows of a table and in pictures of one column."""
    infos = [info for info in tiny_infos(dims) if dims == 1 or (info.levels or 0) <= _FEW]
    return tuple(
        replace(info, shape=shape) for info in infos if info.is_image for shape in ((dims,), (1, dims, 1))
    )


def _ready(case: Case, *spreads: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    # A size that is refused is passed over: some need two dimensions, and are checked with two.
    for part, wiring in case.tried(*spreads):
        if isinstance(wiring, UsageError):
            continue
        trait = "is_density" if case.kind == "decoder" else "has_density"
        if not getattr(part, trait):
            raise NotApplicable(f"it declares {trait} = False")
        jostle(part)
        whole(part).double().eval()
        yield part, wiring


@check_for(
    *_KINDS,
    remedy="keep every constant, such as ½ log 2π and log scale, and sum log-densities over event dimensions",
)
@torch.no_grad()
def check_normalised(case: Case) -> None:
    """The density integrates, or sums, to one over its support."""
    for density in densities(case):
        total = float(density.mass.sum())
        expect(
            abs(total - 1) < _TOLERANCE[density.dims],
            f"{density.where}: the density of {density.dims} value(s) integrates to {total:.6g}, not 1",
        )


@check_for(
    *_KINDS,
    remedy="make sample and log_prob use the same parameters in the same meaning: a scale, its logarithm or a variance",
)
@torch.no_grad()
def check_draws(case: Case) -> None:
    """Draws have the distribution of the log-density: averages of waves over draws and by quadrature agree."""
    for density in densities(case):
        flat = density.draws.reshape(_DRAWS, -1)
        expect(
            density.discrete or not bool((flat == flat[0]).all(0).any()),
            f"{density.where}: all of {_DRAWS:,} draws are {listed(flat[0])}, and it has a density",
        )
        points = density.points.reshape(len(density.points), -1)
        quarters = flat.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64), dim=0)
        width = (quarters[2] - quarters[0]).clamp(min=1e-6) + (quarters[2] == quarters[0]) * 1.0
        mass = density.mass / density.mass.sum()
        for frequency in (0.3, 1.0, 3.0):
            for direction in [*torch.eye(density.dims).tolist(), [1.0] * density.dims]:
                rate = frequency * torch.tensor(direction, dtype=torch.float64) / width
                for wave in (torch.cos, torch.sin):
                    seen = wave((flat - quarters[1]) @ rate)
                    expected = float((wave((points - quarters[1]) @ rate) * mass).sum())
                    error = float(seen.std()) / _DRAWS**0.5
                    off = abs(float(seen.mean()) - expected)
                    expect(
                        off <= _SIGMAS * error + _TOLERANCE[density.dims] / 2,
                        f"{density.where}: E[{wave.__name__}] is {float(seen.mean()):.4f} ± {error:.4f} over "
                        f"{_DRAWS:,} draws and {expected:.4f} by the density",
                    )


@check_for(
    *_KINDS,
    remedy="return the expected value as mean: it is what users are shown",
)
@torch.no_grad()
def check_mean(case: Case) -> None:
    """The mean of the draws is the mean of the distribution."""
    checked = False
    for density in densities(case):
        for mean in mean_of(density.distribution):
            stated = mean.reshape(-1).double()
            draws = density.draws.reshape(_DRAWS, -1)
            error = draws.std(0) / _DRAWS**0.5
            # Of heavy tails the mean may not exist, or converge too slowly to be compared.
            tame = stated.isfinite() & (draws.abs().amax(0) < 100 * draws.std(0) + 1e-12) & error.isfinite()
            if not tame.all():
                continue
            checked = True
            off = (draws.mean(0) - stated).abs() - _SIGMAS * error
            worst = int(off.argmax())
            expect(
                off[worst] <= 1e-6 + 1e-6 * float(stated[worst].abs()),
                f"{density.where}: the mean of {_DRAWS:,} draws is {float(draws.mean(0)[worst]):.5g} ± "
                f"{float(error[worst]):.2g}, the stated mean {float(stated[worst]):.5g}",
            )
    if not checked:
        raise NotApplicable("it states no mean that could be compared")
