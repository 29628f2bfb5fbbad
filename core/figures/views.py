"""Samples, reconstructions and decodings of random points."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from genmod.data.dataset import Batch, Split
from genmod.data.suited import check_values
from genmod.errors import UndefinedError, UsageError
from genmod.figures.picture import Picture
from genmod.figures.temperature import origin_of_latents, shown, tempered
from genmod.interfaces.given import GivenModel
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.sampler import Source
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import examples_at_once
from genmod.model.tiled import code_of
from genmod.system.random import seed_for, seeded

__all__ = [
    "choose_examples",
    "codes",
    "cycled",
    "decode_means",
    "encode_centres",
    "evaluating",
    "observed",
    "prior_draws",
    "random_decodings",
    "random_latents",
    "reconstruction_grid",
    "rows_of",
    "sample_grid",
]

_MOST_ROWS = 20
"""Classes that have a row each."""


@contextmanager
def evaluating(model: LatentVariableModel, seed: int) -> Iterator[None]:
    """Evaluation mode, no gradients, random numbers from ``seed``; everything as before afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), seeded(seed):
            yield
    finally:
        model.train(was_training)


def rows_of(context: Tensor | None, index: slice | Tensor) -> Tensor | None:
    """Some rows of a context, where there is one."""
    return None if context is None else context[index]


def cycled(context: Tensor | None, n: int) -> Tensor | None:
    """The rows of a context, where there is one, over and over until they are ``n``."""
    return None if context is None else context[torch.arange(n) % len(context)]


def choose_examples(split: Split, n: int, *, seed: int = 0) -> Batch:
    """``n`` different examples of a split, drawn at random; all of them where there are fewer.

    Files are often sorted by class, so the first ones would show one class only.

    Example:
        >>> from genmod import TensorSplit
        >>> split = TensorSplit(Batch(torch.arange(100.0)[:, None]))
        >>> choose_examples(split, 3, seed=1).x.shape
        torch.Size([3, 1])
    """
    if n < 1:
        raise UsageError(f"{n} examples were asked for; give a whole number from 1")
    generator = torch.Generator().manual_seed(seed_for(seed, "examples"))
    return split.__getitems__(torch.randperm(len(split), generator=generator)[:n].tolist())


def observed(model: LatentVariableModel, x: Tensor, *, seed: int = 0) -> Tensor:
    """Stored examples as the model is given them, on its device: binary images where its decoder makes them.

    ``x (N, *data.shape)`` → ``(N, *data.shape)`` float.

    Raises:
        DataError: examples of another kind than the model was built for.
    """
    check_values(x, model.data)
    with evaluating(model, seed):
        return model.observe(x.to(model.device))


def codes(model: LatentVariableModel, x: Tensor, *, context: Tensor | None = None, seed: int = 0) -> Tensor:
    """One latent for each example: the mean of ``q(z|x)``, or a draw where it has no known mean.

    Where latents are directions, classes or bits, it is the one nearest to the mean.

    Args:
        model: any model.
        x: examples as they are stored, ``(N, *data.shape)``.
        context: what a conditional model is given of them, ``(N, size)``.
        seed: of the binarisation where the decoder draws one, and of draws.

    Returns:
        ``(N, *latent_shape)``.

    Example:
        >>> import genmod
        >>> codes(genmod.build(encoder="mlp", latent=2), torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 2])
    """
    return encode_centres(model, observed(model, x, seed=seed), context=context, seed=seed)


def encode_centres(
    model: LatentVariableModel, x: Tensor, *, context: Tensor | None = None, seed: int = 0
) -> Tensor:
    """:func:`codes` of observations ``x (N, *data.shape)``, which are not binarised again."""
    with evaluating(model, seed):
        return torch.cat([code_of(given, part) for given, part in _pieces(model, x, context)])


def _pieces(
    model: LatentVariableModel, x: Tensor, context: Tensor | None
) -> Iterator[tuple[GivenModel, Tensor]]:
    """Examples or latents in chunks that fit in memory, each with the model given its context."""
    size = examples_at_once(model)
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        yield model.given(rows_of(context, part)), x[part]


def prior_draws(
    model: LatentVariableModel, n: int, *, context: Tensor | None = None, seed: int = 0
) -> Tensor:
    """``z ~ p(z)``, ``(n, *latent_shape)``; the latents of :func:`sample_grid` with the same seed.

    Raises:
        UndefinedError: the model has no prior.

    Example:
        >>> import genmod
        >>> prior_draws(genmod.build(encoder="mlp", latent=2), 5).shape
        torch.Size([5, 2])
    """
    with evaluating(model, seed):
        z: Tensor = model.latents(n, context, "prior")
        return z


def decode_means(model: LatentVariableModel, z: Tensor, *, context: Tensor | None = None) -> Tensor:
    """The mean of ``p(x|z)``: ``z (*batch, *latent_shape), context (*batch, size) → (*batch, *data.shape)``.

    A context ``(1, size)`` is that of all latents.
    """
    batch = z.shape[: z.dim() - len(model.latent_shape)]
    with evaluating(model, 0):
        flat = z.to(model.device).reshape(-1, *model.latent_shape)
        given = None if context is None else context.expand(*(batch or (1,)), -1).reshape(len(flat), -1)
        means = [conditioned.decode(part).mean for conditioned, part in _pieces(model, flat, given)]
        return torch.cat(means).reshape(*batch, *model.data.shape)


def sample_grid(
    model: GenerativeModel,
    n: int,
    *,
    seed: int = 0,
    noise: bool = False,
    condition: str | None = None,
    source: Source | None = None,
    temperature: float | Sequence[float] = 1.0,
) -> Picture:
    """New examples: ``z ~ p(z)``, or from a sampler, then the mean of ``p(x|z)``, or a draw from it.

    The title says where latents came from, at what temperature, and the seed.

    Args:
        model: a model with a prior, or with a sampler.
        n: how many.
        seed: the same one gives the same ones again.
        noise: draw from the likelihood too, instead of its mean.
        condition: what a conditional model is given, such as ``7``; all values in turn by default.
        source: ``prior`` or ``sampler``; by default the sampler where one was fitted.
        temperature: what standard deviations of latents are multiplied by, see :func:`tempered`.

    Returns:
        Images ``(n, *data.shape)`` and latents ``(n, *latent_shape)``.

    Raises:
        UndefinedError: the model has neither prior nor sampler, or its latents have no temperature.
        UsageError: the model is not conditioned on that, or a temperature is not allowed.

    Example:
        >>> import genmod
        >>> sample_grid(genmod.build(encoder="mlp"), 6).images.shape
        torch.Size([6, 1, 8, 8])
    """
    if n < 1:
        raise UsageError(f"{n} samples were asked for; give a whole number from 1")
    if not isinstance(model, LatentVariableModel):
        return _whole_samples(model, n, seed, noise, condition, source, temperature)
    with evaluating(model, seed):
        context = model.asked(condition, n, draw=True)
        z = tempered(model, model.latents(n, context, source), temperature, context=context, source=source)
        likelihoods = (given.decode(part) for given, part in _pieces(model, z, context))
        images = torch.cat([p.sample() if noise else p.mean for p in likelihoods])
    title = (
        f"{n} samples"
        + (f" of {condition}" if condition else "")
        + (", with noise" if noise else "")
        + f", latents from the {origin_of_latents(model, source)}"
        + (f", temperature {shown(temperature)}" if temperature != 1 else "")
        + f", seed {seed}"
    )
    return Picture(images, model.data, latents=z, title=title, **_by_class(model, n, condition))


def _by_class(model: GenerativeModel, n: int, condition: str | None) -> dict[str, Any]:
    """A row for each class that a conditional model draws in turn, with its name; nothing of other models."""
    given = model.conditions
    if condition is not None or given is None or len(given.values) != 1:
        return {}
    ((_, values),) = given.values.items()
    if not 2 <= len(values) <= min(_MOST_ROWS, n):
        return {}
    return {"row_of": torch.arange(n) % len(values), "row_labels": tuple(values)}


def _whole_samples(
    model: GenerativeModel,
    n: int,
    seed: int,
    noise: bool,
    condition: str | None,
    source: Source | None,
    temperature: float | Sequence[float],
) -> Picture:
    """New examples of a model without latents."""
    if temperature != 1:
        raise UndefinedError(
            f"samples of the {origin_of_latents(model)}, have no temperature: it has no latents",  # type: ignore[arg-type]
            hint="leave --temperature out",
        )
    model.sampler_for(source)
    with evaluating(model, seed):  # type: ignore[arg-type]
        images = model.sample(n, noise=noise, condition=condition)
    of = f" of {condition}" if condition else ""
    title = f"{n} samples{of}{', with noise' * noise}, seed {seed}"
    return Picture(images, model.data, title=title, **_by_class(model, n, condition))


def reconstruction_grid(
    model: LatentVariableModel,
    x: Tensor,
    *,
    labels: Tensor | None = None,
    context: Tensor | None = None,
    seed: int = 0,
) -> Picture:
    """Examples above their reconstructions.

    Args:
        model: any model.
        x: examples as they are stored, ``(N, *data.shape)``.
        labels: their classes, ``(N,)``, saved with the arrays.
        context: what a conditional model is given of them, ``(N, size)``.
        seed: of the binarisation where the decoder draws one.

    Returns:
        Images ``(rows, N, *data.shape)``: the data, the observations where the decoder changes the data
        (binarised images), and the mean of ``p(x|z)`` at the code; latents ``(N, *latent_shape)`` are the
        codes.

    Example:
        >>> import genmod
        >>> picture = reconstruction_grid(genmod.build(encoder="mlp"), torch.rand(4, 1, 8, 8))
        >>> picture.row_labels, picture.images.shape
        (('data', 'observed', 'reconstruction'), torch.Size([3, 4, 1, 8, 8]))
    """
    data = model.data.values(x.to(model.device))
    seen = observed(model, x, seed=seed)
    z = encode_centres(model, seen, context=context, seed=seed)
    made = decode_means(model, z, context=context)
    rows = {"data": data, "observed": seen, "reconstruction": made}
    if torch.equal(data.nan_to_num(), seen.nan_to_num()):
        del rows["observed"]
    return Picture(
        torch.stack(list(rows.values())),
        model.data,
        latents=z,
        extra={} if labels is None else {"labels": labels},
        title=f"Reconstructions, seed {seed}",
        row_labels=tuple(rows),
    )


def random_decodings(
    model: LatentVariableModel,
    latents: Tensor,
    n: int,
    *,
    context: Tensor | None = None,
    seed: int = 0,
    box: bool = False,
) -> Picture:
    """Decodings of random points in the region of the codes, gaps between codes included.

    The points are normal with the mean and the standard deviation that the codes have in each dimension, or
    uniform in the box around all codes. For a plain autoencoder this shows the gaps: it never learnt to decode
    points between its codes.

    Args:
        model: any model; it needs no prior.
        latents: codes of examples, ``(N, *latent_shape)``, as :func:`codes` gives them.
        n: how many.
        context: what a conditional model is given, ``(n, size)``.
        seed: the same one gives the same ones again.
        box: uniform in the box; of use in few dimensions, since most of a box of many lies in its corners.

    Returns:
        Images ``(n, *data.shape)`` and latents ``(n, *latent_shape)``.

    Example:
        >>> import genmod
        >>> model = genmod.build("autoencoder", encoder="mlp", latent=2)
        >>> random_decodings(model, torch.randn(100, 2), 6).images.shape
        torch.Size([6, 1, 8, 8])
    """
    if n < 1:
        raise UsageError(f"{n} decodings were asked for; give a whole number from 1")
    z = random_latents(model, latents, n, seed=seed, box=box)
    title = f"Decodings of {n} random points, seed {seed}"
    return Picture(decode_means(model, z, context=context), model.data, latents=z, title=title)


def random_latents(
    model: LatentVariableModel, latents: Tensor, n: int, *, seed: int = 0, box: bool = False
) -> Tensor:
    """The points of :func:`random_decodings`, ``(n, *latent_shape)``."""
    latents = latents.detach().float().cpu()
    with seeded(seed):
        if box:
            z = torch.lerp(latents.amin(0), latents.amax(0), torch.rand(n, *model.latent_shape))
        else:
            spread, centre = torch.std_mean(latents, 0, correction=0)
            z = centre + spread * torch.randn(n, *model.latent_shape)
    return model.space.settled(z.flatten(1)).reshape(z.shape).to(model.device)
