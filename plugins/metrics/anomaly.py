"""Whether the model recognises examples that are not of its data."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, MinLen
from torch import Tensor

from genmod import (
    Batch,
    DataError,
    DataInfo,
    Doc,
    GivenModel,
    Metric,
    Row,
    Subject,
    Undefined,
    UndefinedError,
    UsageError,
    compose,
    open_dataset,
)
from genmod.plugins.metrics._auroc import auroc
from genmod.plugins.metrics.elbo import distortion_of, rate_of
from genmod.registry import current_registry

__all__ = ["Anomaly"]

_Score = Literal["elbo", "distortion"]


@final
class Anomaly(Metric):
    """How well the model's score separates examples of the split from others.

    ``P(s(other) > s(example))``, ``s`` the negative ELBO, or the distortion of models without densities

    It is 1 where all others have a higher score, ½ where the score holds no information, and below where others look more
    like the data than the data do, which is known to happen. Others are

    - ``shuffled``: the pixels of each image in a random order; of tables, the values of each column in a random order of the
      examples, which keeps the distribution of each column and no dependence between them;
    - ``noise``: uniform values, within the range of the data, or of the examples where it is infinite;
    - ``NAME``: the test examples of another dataset of that shape, such as ``fashion-mnist`` for a model of ``mnist``;
    - ``label=VALUE``, or a factor in its place: examples of the split with that value against those with another, for models
      that were trained without them.

    The standard error is DeLong's, which allows for examples and their shuffled selves not being independent.

    Raises:
        UsageError: there is no dataset of a name.

    Reference:
        Do Deep Generative Models Know What They Don't Know? (Nalisnick et al., 2018), arXiv:1810.09136

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(8, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "anomaly").rows]
        ['anomaly[shuffled]', 'anomaly[noise]']
    """

    main = "against"

    def __init__(
        self,
        *,
        against: Annotated[
            Sequence[str],
            MinLen(1),
            Doc("shuffled, noise, the name of a dataset, or label=VALUE"),
        ] = ("shuffled", "noise"),
        score: Annotated[
            _Score | None, Doc("elbo or distortion; elbo where the model has one unless given")
        ] = None,
        samples: Annotated[int, Ge(1), Doc("draws of the latents for each example")] = 10,
    ) -> None:
        for name in against:
            if name not in _ARTICLE and "=" not in name:
                _require_dataset(name)
        self.against = tuple(against)
        self.score = score
        self.samples = samples

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        missing = model.missing_densities()
        if self.score == "elbo" and missing:
            raise UndefinedError(f"it has no ELBO: {missing}")
        kind: _Score = self.score or ("distortion" if missing else "elbo")
        split = subject.split

        def own(indices: Sequence[int]) -> Batch:
            return split.__getitems__(indices)

        scores = self._scores(subject, "anomaly", len(split), own, kind)
        for against in self.against:
            try:
                others, mine, paired = self._others(subject, against, scores, kind)
            except (DataError, UndefinedError) as error:
                yield Undefined(f"anomaly[{against}]", error.message)
                continue
            bad = int((~others.isfinite()).sum() + (~mine.isfinite()).sum())
            if bad:
                subject.warn(f"{bad} scores of anomaly[{against}] are not finite; they count as the highest")
                others, mine = (each.nan_to_num(math.inf, math.inf, -math.inf) for each in (others, mine))
            area, error_ = auroc(others, mine, paired=paired)
            yield Row(
                f"anomaly[{against}]",
                area,
                error_,
                len(mine),
                "",
                f"area under the ROC curve: how often {_ARTICLE.get(against, against)} has a higher {_SAID[kind]}",
                "higher",
                {"score": kind, "others": len(others), "samples": self.samples},
            )

    def _others(
        self, subject: Subject, against: str, scores: Tensor, kind: _Score
    ) -> tuple[Tensor, Tensor, bool]:
        """Scores of the others, of the examples they are compared with, and whether these are pairs."""
        name, equals, value = against.partition("=")
        if equals:
            chosen = _with_value(subject, name.strip(), value.strip())
            return scores[chosen], scores[~chosen], False
        stream, split, info = f"anomaly/{against}", subject.split, subject.model.data
        if against in ("shuffled", "noise"):
            alter = _shuffling(subject) if against == "shuffled" else _noise(subject)

            def altered(indices: Sequence[int]) -> Batch:
                batch = split.__getitems__(indices)
                return Batch(alter(batch.x, indices), batch.labels, batch.factors)

            return self._scores(subject, stream, len(split), altered, kind), scores, against == "shuffled"
        if subject.model.conditions is not None:
            raise UndefinedError("the model is conditional, and other data have no such conditions")
        data = open_dataset(compose(components={"dataset": against}))
        if data.info.shape != info.shape:
            raise UndefinedError(
                f"examples of {against} have the shape {data.info.shape}, those of the model {info.shape}"
            )
        other = data.split("test")

        def foreign(indices: Sequence[int]) -> Batch:
            return Batch(_on_levels(data.info.values(other.__getitems__(indices).x), info))

        return self._scores(subject, stream, len(other), foreign, kind), scores, False

    def _scores(
        self, subject: Subject, stream: str, n: int, fetch: Callable[[Sequence[int]], Batch], kind: _Score
    ) -> Tensor:
        """Nats of each of n examples, ``(n,)`` float64, high where they are unlikely."""
        found = []
        for start in range(0, n, subject.size):
            subject.progress(stream, start, n)
            with torch.no_grad(), subject.drawing(stream, start):
                batch = fetch(range(start, min(start + subject.size, n)))
                x = subject.model.observe(batch.x.to(subject.model.device))
                given = subject.model.given(subject.model.context(batch))
                found.append(self._score(given, x, kind).cpu().double())
        return torch.cat(found)

    def _score(self, model: GivenModel, x: Tensor, kind: _Score) -> Tensor:
        q = model.encode(x)
        draws = [q.sample() for _ in range(self.samples)]
        distortion = distortion_of(model, x, draws)
        return distortion + rate_of(model, q, draws) if kind == "elbo" else distortion


_SAID = {"elbo": "negative ELBO", "distortion": "distortion"}
_ARTICLE = {"shuffled": "a shuffled example", "noise": "noise"}


def _require_dataset(name: str) -> None:
    try:
        current_registry().find("dataset", name)
    except UsageError:
        raise UsageError(
            f"metric 'anomaly' cannot compare with {name!r}: neither shuffled nor noise, nor the name of a dataset",
            hint="for datasets: genmod list dataset; for examples with a label: label=VALUE",
        ) from None


def _with_value(subject: Subject, name: str, value: str) -> Tensor:
    """Which examples have a value of the labels or of a factor, ``(N,)``.

    Raises:
        UndefinedError: there is no such property or value, or all examples have it, or none.
    """
    coded, info = subject.codes(), subject.data
    names = {factor.name: factor.values or tuple(map(str, range(factor.size))) for factor in info.factors}
    columns = {} if coded.factors is None else dict(zip(names, coded.factors.unbind(1), strict=True))
    if coded.labels is not None and "label" not in columns:
        names["label"] = info.classes or tuple(map(str, range(int(coded.labels.max()) + 1)))
        columns["label"] = coded.labels
    if name not in columns:
        raise UndefinedError(
            f"the data have no {name!r}; they have: {', '.join(columns) or 'no labels or factors'}"
        )
    if value not in names[name]:
        raise UndefinedError(f"{value!r} is no value of {name}; these are: {', '.join(names[name][:20])}")
    chosen = columns[name] == names[name].index(value)
    if chosen.all() or not chosen.any():
        raise UndefinedError(f"{'all' if chosen.all() else 'none'} of the examples have {name}={value}")
    return chosen


def _shuffling(subject: Subject) -> Callable[[Tensor, Sequence[int]], Tensor]:
    """Puts the pixels of images, or the values of columns, in a random order."""
    if subject.model.data.is_image:

        def pixels(x: Tensor, indices: Sequence[int]) -> Tensor:
            flat = x.flatten(2)
            order = torch.rand(len(x), 1, flat.shape[2]).argsort(-1)
            return flat.gather(2, order.expand_as(flat)).reshape(x.shape)

        return pixels
    split = subject.split
    everything = split.__getitems__(range(len(split))).x
    flat = everything.flatten(1)
    with subject.drawing("anomaly/columns"):
        shuffled = flat.gather(0, torch.rand(flat.shape).argsort(0)).reshape(everything.shape)
    return lambda x, indices: shuffled[torch.as_tensor(indices)]


def _noise(subject: Subject) -> Callable[[Tensor, Sequence[int]], Tensor]:
    """Uniform values of the range of the data; what is missing stays so."""
    info = subject.model.data
    if info.levels is not None and not info.missing:
        levels = info.levels
        return lambda x, indices: (
            torch.randint(levels, x.shape).to(x.dtype)
            if not x.is_floating_point()
            else (info.values(torch.randint(levels, x.shape), x.dtype))
        )
    if math.isfinite(info.low) and math.isfinite(info.high):
        low, high = torch.tensor(info.low), torch.tensor(info.high)
    else:
        seen = subject.examples()
        low = seen.nan_to_num(nan=math.inf).amin(0)
        high = seen.nan_to_num(nan=-math.inf).amax(0)

    def uniform(x: Tensor, indices: Sequence[int]) -> Tensor:
        values = low + (high - low) * torch.rand(x.shape)
        values = values.round() if info.counts else _on_levels(values, info)
        if not x.is_floating_point():
            return values.to(x.dtype)
        return torch.where(x.isnan(), math.nan, values.to(x.dtype))

    return uniform


def _on_levels(values: Tensor, info: DataInfo) -> Tensor:
    """Values, in the range of the data, and each the nearest of its levels where it has levels."""
    values = values.clamp(info.low, info.high)
    if info.levels is None:
        return values
    step = (info.high - info.low) / (info.levels - 1)
    return info.low + ((values - info.low) / step).round() * step
