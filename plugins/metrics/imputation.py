"""How well the model fills in values that are hidden from it."""

import math
from collections.abc import Iterator
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from genmod import Doc, GivenModel, Metric, Row, Subject, Undefined, UndefinedError
from genmod.evaluation import Part

__all__ = ["Imputation"]


@final
class Imputation(Metric):
    """The error of values that are hidden at random and filled in from the others.

    ``sqrt(mean (x - x̂)²)`` over the hidden values; of tables each column is divided by its standard deviation

    Whole pixels are hidden. Models of data with missing values are given the others alone, and fill in
    ``E[x_hidden|x_seen]`` by importance sampling from the posterior. Others alternate between draws of the latents and draws
    of the hidden values, beginning with the means of the training data, and fill in the mean of ``E[x_hidden|z]`` over the
    second half; without densities the mean takes the place of the draw. ``floor`` is the error of the means of the training
    data, which need no model. Values are those that the model observes: binary ones where it makes them binary.

    Reference:
        Stochastic Backpropagation and Approximate Inference in Deep Generative Models (Rezende et al., 2014),
        arXiv:1401.4082, appendix F, for the chain; MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets
        (Mattei and Frellsen, 2019), arXiv:1812.02633, for importance sampling

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(8, 1, 8, 8)))
        >>> sorted(evaluate(build(encoder="mlp"), split, "imputation[0.3]")["imputation_rmse[0.3]"].details)
        ['draws', 'floor', 'hidden', 'method']
    """

    main = "share"

    def __init__(
        self,
        *,
        share: Annotated[float, Gt(0), Lt(1), Doc("of the values that are hidden")] = 0.5,
        draws: Annotated[
            int, Ge(2), Doc("of the latents for each example, by importance or one after the other")
        ] = 40,
    ) -> None:
        self.share = share
        self.draws = draws

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        mean, deviation = _moments(subject)
        scale = torch.ones_like(mean) if model.data.is_image else torch.where(deviation > 0, deviation, 1.0)
        errors: list[Tensor] = []
        floors: list[Tensor] = []
        counts: list[Tensor] = []
        done = 0
        for given, x, _ in subject.batches("imputation"):
            subject.progress("imputation", done, len(subject.split))
            done += len(x)
            with torch.no_grad():
                hidden = self._hidden(x, is_image=model.data.is_image)
                fill = self._weighed if model.data.missing else self._alternated
                found = fill(given, x, hidden, mean.to(x))
                for into, guess in ((errors, found), (floors, mean.to(x).expand_as(x))):
                    gap = torch.where(hidden, (guess - x) / scale.to(x), 0.0)
                    into.append(gap.double().square().flatten(1).sum(1).cpu())
                counts.append(hidden.flatten(1).sum(1).double().cpu())
        error, floor, count = torch.cat(errors), torch.cat(floors), torch.cat(counts)
        if not count.sum():
            raise UndefinedError("no values were hidden: the examples are too few for that share")
        n, square = len(error), (error.sum() / count.sum()).item()
        value, lowest = math.sqrt(square), math.sqrt((floor.sum() / count.sum()).item())
        spread = ((error - square * count).std() / count.mean()).item() if n > 1 else math.nan
        if value >= lowest:
            subject.warn(
                f"values are filled in no better than by their means: {value:.3g} against {lowest:.3g}"
            )
        unit = "" if model.data.is_image else "standard deviations"
        yield Row(
            f"imputation_rmse[{self.share:g}]",
            value,
            spread / math.sqrt(n) / (2 * value) if value > 0 else 0.0,
            n,
            unit,
            f"root mean squared error of values of which {self.share:g} were hidden at random",
            "lower",
            {
                "floor": lowest,
                "hidden": int(count.sum()),
                "draws": self.draws,
                "method": "importance sampling" if model.data.missing else "pseudo-Gibbs",
            },
        )

    def _hidden(self, x: Tensor, *, is_image: bool) -> Tensor:
        """Which values are hidden: of those that are there, whole pixels of images."""
        shape = (len(x), 1, *x.shape[2:]) if is_image else x.shape
        return (torch.rand(shape, device=x.device) < self.share).expand_as(x) & ~x.isnan()

    def _weighed(self, model: GivenModel, x: Tensor, hidden: Tensor, start: Tensor) -> Tensor:
        """``Σ_k w_k E[x|z_k]``, ``w ∝ p(x_seen|z_k) p(z_k) / q(z_k|x_seen)``; all weights alike without densities."""
        seen = torch.where(hidden, math.nan, x)
        q = model.encode(seen)
        p = None if model.missing_densities() else model.prior()
        total = torch.full((len(x),), -math.inf, dtype=torch.float64, device=x.device)
        mean = torch.zeros_like(x)
        for _ in range(self.draws):
            z = q.sample()
            likelihood = model.decode(z)
            log_weight = torch.zeros_like(total)
            if p is not None:
                log_weight = (likelihood.log_prob(seen) + p.log_prob(z) - q.log_prob(z)).double()
            total = torch.logaddexp(total, log_weight)
            share = (log_weight - total).exp().to(x).reshape(-1, *[1] * (x.dim() - 1))
            mean = mean + share * (likelihood.mean - mean)
        return mean

    def _alternated(self, model: GivenModel, x: Tensor, hidden: Tensor, start: Tensor) -> Tensor:
        """The mean of ``E[x|z]`` over the second half of a chain of latents and hidden values."""
        noisy = not model.missing_densities()
        filled, total = torch.where(hidden, start, x), torch.zeros_like(x)
        first = self.draws // 2
        for step in range(self.draws):
            likelihood = model.decode(model.encode(filled).sample())
            mean = likelihood.mean
            if not mean.isfinite().all():
                raise UndefinedError("values that are filled in and encoded again diverge to infinity")
            filled = torch.where(hidden, likelihood.sample() if noisy else mean, x)
            if step >= first:
                total = total + mean
        return total / (self.draws - first)


def _moments(subject: Subject) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each value, of training examples where there are some, ``(*data.shape)`` float64."""
    part: Part = "train"
    try:
        subject.of(part)
    except UndefinedError:
        part = "split"
    count = total = square = torch.zeros(())
    for _, x, _ in subject.batches("imputation/means", part):
        seen = ~x.isnan()
        values = torch.where(seen, x, 0.0).double().cpu()
        count = count + seen.sum(0).cpu()
        total, square = total + values.sum(0), square + values.square().sum(0)
    count = count.clamp(min=1)
    mean = total / count
    return mean, (square / count - mean.square()).clamp(min=0).sqrt()
