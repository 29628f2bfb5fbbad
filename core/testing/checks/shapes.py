"""Laws for shapes, over many shapes of data, features and latents."""

import math

import torch
from torch.distributions import Distribution

from genmod.distributions.probing import disagreement, same_support
from genmod.errors import UndefinedError, UsageError
from genmod.options.schema import options_of
from genmod.testing.case import BATCH, Case, NotApplicable, mean_of
from genmod.testing.check import CheckFailed, check_for, expect, expect_close, expect_shape, needs_density
from genmod.testing.inputs import examples

__all__: list[str] = []


@check_for(
    *(
        "encoder",
        "posterior",
        "prior",
        "decoder",
        "network",
        "divergence",
        "objective",
        "critic",
        "sampler",
        "model",
    ),
    remedy="accept at least one of the usual shapes and ranges of data with the options at their defaults",
    once=True,
)
def check_usable(case: Case) -> None:
    """At least one of the usual shapes is accepted."""
    refusals = []
    for _, wiring in case.tried():
        if not isinstance(wiring, UsageError):
            return
        refusals.append(wiring.message)
    files = [o.name for o in options_of(case.cls) if "path" in o.words and o.default is None]
    if missing := [name for name in files if name not in case.options]:
        raise NotApplicable(f"it needs a file: -s {case.label}.{missing[0]}=…")
    raise CheckFailed(f"it refuses all {len(refusals)} that were tried; the last: {refusals[-1]}")


@check_for(
    "encoder",
    "network",
    remedy="take every size from the shapes given to the constructor; refuse the others there, by UsageError",
)
def check_shapes(case: Case) -> None:
    """Every shape that the constructor accepts works, for whole batches and single examples."""
    for part, wiring in case.accepted():
        into = wiring[0]
        out = part.feature_shape if case.kind == "encoder" else wiring[1]
        for batch in (BATCH, 1):
            try:
                made = part.eval()(torch.randn(batch, *into))
            except Exception as error:
                raise CheckFailed(f"built for {wiring}, it fails for a batch of {batch}: {error}") from error
            expect_shape(made, (batch, *out), f"built for {wiring}, its output")
            expect(made.isfinite().all(), f"built for {wiring}, it makes values that are not finite")


@check_for(
    "encoder", remedy="return ComponentSpec(name, options) of a network that exists, or None", once=True
)
def check_mirror(case: Case) -> None:
    """The network that the encoder names as its mirror exists, takes those options, and fits every shape."""
    mirrored = 0
    for part, (shape,) in case.accepted():
        mirror = part.mirror()
        if mirror is None:
            continue
        network = Case("network", mirror.name, case.registry.find("network", mirror.name), case.registry)
        try:
            made = network.with_options(mirror.options).build((5,), shape)
        except UsageError as error:
            raise CheckFailed(f"its mirror refuses data {shape}: {error.message}") from error
        mirrored += 1
        if mirrored == 1:
            expect_shape(made.eval()(torch.randn(2, 5)), (2, *shape), "the output of its mirror")
    if not mirrored:
        raise NotApplicable("it declares that it has no mirror")


@check_for(
    "posterior",
    remedy="make batch_shape (B,) and event_shape latent_shape: wrap in Independent(…, len(latent_shape))",
)
def check_posterior_shapes(case: Case) -> None:
    """Batch and event of ``q(z|x)``, of its draws and of its log-densities are those declared."""
    for part, wiring in case.accepted():
        for batch in (BATCH, 1):
            q = part(torch.randn(batch, *wiring[0]))
            _expect_distribution(q, (batch,), part.latent_shape, f"built for {wiring}")
            for draws in ((), (3,), (2, 3)):
                z = q.rsample(draws)
                expect_shape(z, (*draws, batch, *part.latent_shape), "a tensor of draws")
                if part.has_density:
                    expect_shape(q.log_prob(z), (*draws, batch), f"log_prob of draws {tuple(z.shape)}")


@check_for(
    "prior",
    remedy="make batch_shape () and event_shape latent_shape: wrap in Independent(…, len(latent_shape))",
)
def check_prior_shapes(case: Case) -> None:
    """Batch and event of ``p(z)`` are those declared; a prior without a density declares that."""
    for part, (latent,) in case.accepted():
        if not part.has_density:
            try:
                part()
            except UndefinedError as error:
                expect(error.hint, "its UndefinedError has no hint")
                continue
            raise CheckFailed("it declares has_density = False, and forward raises no UndefinedError")
        p = part()
        _expect_distribution(p, (), latent, f"built for {latent}")
        z = p.sample((3, 4))
        expect_shape(z, (3, 4, *latent), "a tensor of draws")
        expect_shape(p.log_prob(z), (3, 4), f"log_prob of draws {tuple(z.shape)}")


@check_for(
    "decoder",
    remedy="make event_shape data.shape: wrap in Independent(…, len(data.shape)); declare parameter_shape",
)
def check_decoder_shapes(case: Case) -> None:
    """Batch and event of ``p(x|z)`` are those declared, for data of every range that is accepted."""
    for part, (info,) in case.accepted():
        x = part.observe(examples(info, BATCH))
        expect_shape(x, (BATCH, *info.shape), "the result of observe")
        for batch in ((), (BATCH,), (2, BATCH)):
            likelihood = part(torch.randn(*batch, *part.parameter_shape))
            _expect_distribution(likelihood, batch, info.shape, f"built for {info.shape}")
            expect(mean_of(likelihood), "it has no mean, which is the picture that is shown")
            density = likelihood.log_prob(x if batch else x[0])
            expect_shape(density, batch, f"log_prob of parameters {batch} + {part.parameter_shape}")


@check_for(
    "divergence", remedy="return (B,): sum over latent dimensions, average over the draws, keep the batch"
)
def check_divergence_shapes(case: Case) -> None:
    """There is one finite value for each example, for any number of draws and latents."""
    part = case.build()
    for latent in ((2,), (1,), (2, 3)):
        for q_of, p_of in case.pairs(part, latent):
            q, p = q_of(torch.randn(BATCH, 7)), p_of()
            for draws in (1, 4):
                value = part(q, p, q.rsample((draws,)))
                expect_shape(value, (BATCH,), f"the value of {draws} draws")
                expect(value.isfinite().all(), f"a value for latents of shape {latent} is not finite")


@check_for(
    "posterior",
    "decoder",
    remedy="compute log_prob from value and parameters together, so that each is broadcast over the batch of the other",
)
@torch.no_grad()
def check_broadcasting(case: Case) -> None:
    """A single value is scored under every distribution of a batch, and by an expanded distribution too."""
    for part, wiring in case.accepted():
        if case.kind == "posterior":
            needs_density(part)
        shape = wiring[0] if case.kind == "posterior" else part.parameter_shape
        made = part.eval()(torch.randn(BATCH, *shape))
        value = made.sample()[0] if case.kind == "posterior" else part.observe(examples(wiring[0], 1))[0]
        wanted = made.log_prob(value.expand(BATCH, *value.shape).contiguous())
        found = made.log_prob(value)
        where = f"built for {wiring}, log_prob of one value {tuple(value.shape)} under a batch of {BATCH}"
        expect_shape(found, (BATCH,), where)
        expect_close(found, wanted, f"{where}, as it is and repeated", rtol=1e-4, atol=1e-4)
        try:
            wide = made.expand(torch.Size((2, BATCH)))
        except NotImplementedError:
            continue
        expect_shape(wide.sample(), (2, BATCH, *made.event_shape), f"a draw, expanded to (2, {BATCH}),")
        expect_close(wide.log_prob(value)[1], wanted, f"{where}, expanded and not", rtol=1e-4, atol=1e-4)


@check_for(
    "posterior",
    "prior",
    "decoder",
    remedy="declare the distribution's own support, event dimensions included",
)
def check_support(case: Case) -> None:
    """Draws and observations lie in the declared support, which is that of the distribution."""
    for part, wiring in case.accepted():
        if part.support is None or (case.kind == "decoder" and not part.is_density):
            continue
        match case.kind:
            case "posterior":
                made, event = part(torch.randn(BATCH, *wiring[0])), part.latent_shape
            case "prior":
                made, event = part(), part.latent_shape
            case _:
                made, event = part.eval()(torch.randn(BATCH, *part.parameter_shape)), part.data.shape
                inside = part.support.check(part.observe(examples(part.data, 50)))
                expect(
                    inside.all(), f"{int((~inside).sum())} of 50 observations lie outside of {part.support}"
                )
        declared = part.support
        expect(
            declared.event_dim == len(event),
            f"{declared} has {declared.event_dim} event dimensions, not {len(event)}",
        )
        inside = declared.check(made.sample((100,)))
        expect(inside.all(), f"{int((~inside).sum())} of {inside.numel()} draws lie outside of {declared}")
        try:
            own = made.support
        except NotImplementedError:
            continue
        alike = own is not None and own.event_dim == declared.event_dim and not own.is_discrete
        if alike and not same_support(declared, own, tuple(event)):
            point = disagreement(declared, own, tuple(event))
            where = "" if point is None else ", ".join(f"{x:.3g}" for x in point[:4].tolist())
            expect(point is None, f"{declared} is declared, {own} is drawn: they disagree at ({where})")


@check_for(
    "posterior",
    "decoder",
    "prior",
    remedy="compute from logits and log-scales, bound log-scales smoothly (genmod.bounded_log_scale), never clamp",
)
def check_extremes(case: Case) -> None:
    """Extreme features, parameters and latents give finite log-densities with finite gradients."""
    for part, wiring in case.accepted():
        if case.kind != "decoder":
            needs_density(part)
        for size in (30.0, 1e4):
            match case.kind:
                case "posterior":
                    far = (size * torch.randn(BATCH, *wiring[0])).requires_grad_()
                    q = part(far)
                    density = q.log_prob(q.rsample())
                case "prior":
                    p = part()
                    far = (p.sample((BATCH,)) * (size if _is_real(part.support) else 1)).requires_grad_()
                    density = p.log_prob(far)
                case _:
                    far = (size * torch.randn(BATCH, *part.parameter_shape)).requires_grad_()
                    density = part(far).log_prob(part.observe(examples(wiring[0], BATCH)))
            expect(
                density.isfinite().all(),
                f"at {size:g} times the usual size a log-density is {_worst(density)}",
            )
            if case.kind == "prior" and not density.requires_grad:
                continue  # it is the same everywhere
            # Where all mass is on single points, its logarithm has no gradient, and the points do.
            moving = density if density.requires_grad or case.kind != "posterior" else q.rsample()
            expect(moving.requires_grad, "its log-density carries no gradient at all")
            moving.sum().backward()
            whole_numbers = case.kind == "prior" and part.support.is_discrete
            finite = whole_numbers if far.grad is None else bool(far.grad.isfinite().all())
            expect(finite, f"at {size:g} times the usual size a gradient is not finite")


def _is_real(support: object) -> bool:
    point = torch.full((2,) * int(getattr(support, "event_dim", 0)), -123.25, dtype=torch.float64)
    return bool(support.check(point)) if hasattr(support, "check") else False


def _worst(density: torch.Tensor) -> float:
    return next((x for x in density.detach().flatten().tolist() if not math.isfinite(x)), math.nan)


def _expect_distribution(made: object, batch: tuple[int, ...], event: tuple[int, ...], where: str) -> None:
    expect(isinstance(made, Distribution), f"{where}, it makes a {type(made).__name__}, not a Distribution")
    if isinstance(made, Distribution):
        given = f"batch {tuple(made.batch_shape)} and event {tuple(made.event_shape)}"
        right = (made.batch_shape, made.event_shape) == (batch, event)
        expect(right, f"{where}, it makes {given}, where batch {batch} and event {tuple(event)} are declared")
        for mean in mean_of(made):
            expect_shape(mean, (*batch, *event), f"{where}, its mean")
