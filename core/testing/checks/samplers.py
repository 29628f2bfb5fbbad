"""Laws for samplers: fitting, saving and drawing."""

from collections.abc import Iterator

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.distributions import Distribution

from genmod.errors import UsageError
from genmod.interfaces.sampler import Sampler
from genmod.system.random import reseed, seeded
from genmod.testing.case import Case, NotApplicable, mean_of
from genmod.testing.check import check_for, expect, expect_close, expect_shape, listed
from genmod.testing.checks.modules import random_state_untouched
from genmod.testing.fits import fitted, known_codes, new, uneven_codes

__all__: list[str] = []

_PLAIN = (2,)
_COUNT = 1000
_FEW = 64
_DRAWS = 5_000
_SOME = 500
_TOLERANCE = 0.25


def _each_shape(case: Case) -> Iterator[tuple[tuple[int, ...], Sampler]]:
    refusal = ""
    for shape in case.spreads[0]:
        try:
            made = fitted(case, shape, _FEW)
        except UsageError as error:
            refusal = error.message
            continue
        refusal = "-"
        yield shape, made
    if refusal not in ("", "-"):
        raise NotApplicable(f"it refuses everything that was tried: {refusal}")


@check_for(
    "sampler",
    remedy="make batch_shape () and event_shape latent_shape: fit to codes.flatten(1), and shape the draws back",
    once=True,
)
def check_sampler_shapes(case: Case) -> None:
    """Batch and event are those declared, and so are those of draws and log-densities; all are finite."""
    for shape, made in _each_shape(case):
        p = made()
        expect(isinstance(p, Distribution), f"it makes a {type(p).__name__}, not a Distribution")
        given = (tuple(p.batch_shape), tuple(p.event_shape))
        expect(given == ((), shape), f"for latents {shape} batch and event are {given[0]} and {given[1]}")
        for draws in ((), (3,), (2, 3)):
            z = p.sample(draws)
            expect_shape(z, (*draws, *shape), "a tensor of draws")
            expect(z.isfinite().all(), f"draws of latents {shape} are not finite")
            expect(not z.requires_grad, "draws of sample() carry a graph")
            if made.has_density:
                density = p.log_prob(z)
                expect_shape(density, draws, f"log_prob of draws {tuple(z.shape)}")
                expect(density.isfinite().all(), f"a log-density of a draw is not finite for latents {shape}")
        for mean in mean_of(p):
            expect_shape(mean, shape, "its mean")


@check_for("sampler", remedy="keep what is fitted like the codes: tensor.to(codes)", once=True)
def check_sampler_dtype(case: Case) -> None:
    """Single precision stays single and double stays double, and the codes do not change."""
    for dtype in (torch.float32, torch.float64):
        codes = known_codes(_PLAIN, _FEW, dtype)
        before, made = codes.clone(), new(case, _PLAIN, dtype)
        made.fit(codes, seed=1)
        expect(torch.equal(codes, before), "fitting changed the codes in place")
        given = made.eval()().sample().dtype
        expect(given == dtype, f"fitted to codes of {dtype} it draws {given}")


@check_for(
    "sampler",
    remedy="fit to all codes, in their units and with enough steps; declare independent = True if correlations are lost",
)
def check_sampler_recovers(case: Case) -> None:
    """Its draws have about the means, widths and correlations of the codes: of a correlated normal, of two uneven groups."""
    for what, uneven in (("a correlated normal", False), ("groups of 80 % and 20 %", True)):
        codes = uneven_codes(_COUNT) if uneven else known_codes(_PLAIN, _COUNT)
        made = fitted(case, _PLAIN, _COUNT, uneven=uneven)
        z = made().sample((_DRAWS,)).double()
        (width, mean), (wanted, middle) = torch.std_mean(z, 0), torch.std_mean(codes, 0)
        off = ((mean - middle) / wanted).abs()
        expect(
            off.max() < _TOLERANCE,
            f"fitted to {what}, the means of its draws are {listed(mean)}, of the codes {listed(middle)}",
        )
        off = (width / wanted - 1).abs()
        expect(
            off.max() < _TOLERANCE,
            f"fitted to {what}, the widths of its draws are {listed(width)}, of the codes {listed(wanted)}",
        )
        # Of groups so far apart, a smooth density joins them, and the correlation says little.
        if made.independent or uneven:
            continue
        seen, known = (float(torch.corrcoef(each.T)[0, 1]) for each in (z, codes))
        expect(
            abs(seen - known) < _TOLERANCE,
            f"fitted to {what}, the correlation of its draws is {seen:.3f}, of the codes {known:.3f}",
        )


@check_for(
    "sampler",
    remedy="shape draws back as codes were flattened: codes.flatten(1), z.reshape(shape)",
    once=True,
)
def check_sampler_places(case: Case) -> None:
    """For latents of every shape each number is drawn at its own place, with the mean of the codes there."""
    for shape, made in _each_shape(case):
        codes = known_codes(shape, _FEW)
        z = made().sample((_SOME,)).double()
        width, middle = torch.std_mean(codes, 0)
        off = ((z.mean(0) - middle) / width).abs().flatten()
        worst = int(off.argmax())
        expect(
            off[worst] < 1,
            f"the mean of draws of latents {shape} is {float(z.mean(0).flatten()[worst]):.4g} where that of the codes is "
            f"{float(middle.flatten()[worst]):.4g}",
        )


@check_for(
    "sampler", remedy="begin fit() anew, with a generator or genmod.system.random.seeded of the seed given"
)
def check_sampler_seed(case: Case) -> None:
    """The same codes and seed give the same fit, bit for bit, independent of earlier draws and fits."""
    first = fitted(case, _PLAIN, _FEW).state_dict()
    reseed(99)
    other = new(case, _PLAIN)
    other.fit(2 * known_codes(_PLAIN, _FEW // 2), seed=3)
    other.fit(known_codes(_PLAIN, _FEW), seed=7)
    again = other.state_dict()
    expect(list(first) == list(again), f"a second fit has the state {list(again)}, a first {list(first)}")
    for name, tensor in first.items():
        expect(torch.equal(tensor, again[name]), f"{name} differs between two fits from one seed")


@check_for(
    "sampler", remedy="draw from a generator of your own, or within genmod.system.random.seeded", once=True
)
def check_sampler_random_state(case: Case) -> None:
    """Fitting does not change the global random states of Python, NumPy and torch."""
    made = new(case, _PLAIN)
    with random_state_untouched("fitting it"):
        made.fit(known_codes(_PLAIN, _FEW), seed=1)


@check_for(
    "sampler",
    remedy="register all that is fitted as buffers or parameters, and size them in reserve(count)",
)
def check_sampler_state(case: Case) -> None:
    """A saved and restored state gives bit-equal draws and densities, in a sampler that was never fitted."""
    made = fitted(case, _PLAIN, _FEW)
    content = save({name: tensor.contiguous() for name, tensor in made.state_dict().items()})
    reseed(99)
    other = new(case, _PLAIN)
    other.reserve(_FEW)
    other.load_state_dict(load(content))
    other.eval()
    pairs = [(_draws(made), _draws(other))]
    if made.has_density:
        points = known_codes(_PLAIN, 5)
        pairs.append((made().log_prob(points), other().log_prob(points)))
    for original, restored in pairs:
        expect(torch.equal(original, restored), "restored and original answers differ")


def _draws(made: Sampler) -> Tensor:
    with seeded(4):
        return made().sample((5,))


@check_for(
    "sampler",
    remedy="standardise the codes before the fit, and give a dimension that does not vary a small width",
    once=True,
)
def check_sampler_degenerate(case: Case) -> None:
    """Codes with a constant dimension, or in tiny or huge units, give finite draws near them."""
    plain = known_codes(_PLAIN, _FEW)
    for what, codes in (
        ("with a constant dimension", torch.stack([plain[:, 0], torch.full((_FEW,), 5.0).double()], 1)),
        ("in units of 1e-4", 1e-4 * plain),
        ("in units of 1e4", 1e4 * plain),
    ):
        made = new(case, _PLAIN)
        made.fit(codes, seed=1)
        z = made.eval()().sample((200,))
        expect(z.isfinite().all(), f"fitted to codes {what}, it draws values that are not finite")
        low, high = codes.amin(0), codes.amax(0)
        reach = 5 * (high - low) + 0.1 * codes.abs().amax(0)
        inside = ((z > low - reach) & (z < high + reach)).double().mean()
        expect(
            inside > 0.95, f"fitted to codes {what}, {1 - float(inside):.0%} of its draws are far from them"
        )


@check_for("sampler", remedy="declare has_density = False where the distribution has no log_prob", once=True)
def check_sampler_density(case: Case) -> None:
    """It has a log-density if and only if it declares one."""
    made = fitted(case, _PLAIN, _FEW)
    points = known_codes(_PLAIN, 3)
    try:
        density = made().log_prob(points)
    except NotImplementedError:
        expect(not made.has_density, "it declares has_density = True, and has no log_prob")
        return
    expect(made.has_density, "it declares has_density = False, and has a log_prob")
    single = torch.stack([made().log_prob(point) for point in points])
    expect_close(single, density, "points one by one, and together")
