"""How many bits a code takes."""

import math
from collections.abc import Iterator
from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import kl_divergence

from genmod import (
    Doc,
    GivenModel,
    LatentVariableModel,
    Metric,
    Row,
    Sampler,
    Subject,
    Undefined,
    mean_row,
)
from genmod.distributions import Codebook

__all__ = ["CodeBits"]


@final
class CodeBits(Metric):
    """Bits that the code of an example takes, for each of its pixels: under a uniform distribution, the prior, the sampler.

    ``KL(q(z|x) ‖ p(z)) / (pixels · ln 2)``, of codes from a codebook ``-log2 p(codes) / pixels``

    For integers from a codebook it is the length of a file that an arithmetic coder writes with ``p``; uniform, ``log2`` of the
    number of their values. For other latents it is what relative entropy coding, as by bits back, takes on average. A
    pixel has all channels of a picture; of other data the bits are those of a whole example.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), arXiv:1711.00937;
        Practical Lossless Compression with Latent Variables using Bits Back Coding (Townsend et al., 2019), arXiv:1901.04866

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> model = build("vq-vae", settings={"posterior.codes": 16})
        >>> found = evaluate(model, TensorSplit(Batch(torch.zeros(8, 1, 8, 8))), "code-bits")
        >>> found["code_bits[uniform]"].value  # four codes of 4 bits, 64 pixels
        0.25
    """

    main = "samples"

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(1), Doc("draws for each example, where no closed form is known")] = 10,
    ) -> None:
        self.samples = samples

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        image = model.data.is_image
        pixels, unit = (math.prod(model.data.shape[1:]), "bits/pixel") if image else (1, "bits")
        book = model.posterior
        if isinstance(book, Codebook):
            bits = torch.full((len(subject.split),), math.prod(book.shape) * math.log2(book.classes)).double()
            details = {"codes": math.prod(book.shape), "classes": book.classes}
            definition = "log2 of the number of codes that an example may have"
            yield mean_row("code_bits[uniform]", bits / pixels, unit, definition, "lower", details)
        else:
            yield Undefined("code_bits[uniform]", "its latents are not codes from a codebook")
        for source in ("prior", "sampler"):
            label = f"code_bits[{source}]"
            sampler = model.sampler if source == "sampler" else None
            reason = _without(model, source, sampler)
            if reason:
                yield Undefined(label, reason)
                continue
            nats = torch.cat(
                [
                    self._nats(sampler, given, x, model.context(batch))
                    for given, x, batch in subject.batches("code bits")
                ]
            )
            definition = (
                f"KL of q(z|x) from the {source} in bits, of integer codes -log2 of their probability"
            )
            yield mean_row(label, nats / math.log(2) / pixels, unit, definition, "lower")

    def _nats(self, sampler: Sampler | None, model: GivenModel, x: Tensor, context: Tensor | None) -> Tensor:
        """``KL(q(z|x) ‖ p(z))``, ``(B,)`` float64 on the CPU."""
        q = model.encode(x)
        p = model.prior() if sampler is None else sampler.given(model.conditions_in(context))
        try:
            found = kl_divergence(q, p)
        except NotImplementedError:
            draws = [q.sample() for _ in range(self.samples)]
            found = torch.stack([q.log_prob(z) - p.log_prob(z) for z in draws]).mean(0)
        return found.cpu().double()


def _without(model: LatentVariableModel, source: str, sampler: Sampler | None) -> str:
    """Why there are no bits under a source of latents; empty where there are."""
    if not model.posterior.has_density:
        return "its posterior has no density"
    if source == "sampler" and sampler is None:
        return "no sampler was fitted to its codes"
    has = model.prior.has_density if sampler is None else sampler.has_density
    return "" if has else f"its {source} has no density"
