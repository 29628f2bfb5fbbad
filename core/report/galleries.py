"""The pictures of one model: samples, reconstructions, walks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

import torch
from torch import Tensor

from genmod.data.conditions import Conditions
from genmod.data.dataset import Batch, DataInfo, Split
from genmod.errors import GenmodError, UndefinedError
from genmod.evaluation.neighbours import nearest_example
from genmod.evaluation.row import Evaluation
from genmod.figures import (
    activity,
    codes,
    interpolation,
    reconstruction_grid,
    sample_grid,
)
from genmod.figures.bars import Variables, variables_of
from genmod.figures.spectra import Spectra, spectra
from genmod.figures.traversals import active_traversal
from genmod.figures.views import decode_means, observed
from genmod.figures.walks import paired
from genmod.figures.worst import difference
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import held
from genmod.report.images import Shown, of_pixels, pixels_of
from genmod.system.random import seed_for

__all__ = ["Card", "Gallery", "Painter", "class_of", "indices_of"]

SAMPLES = 48
OF_A_CLASS = 8
MOST_CLASSES = 12
CARDS = 10
WALKS = 5
DIMENSIONS = 8
STEPS = 9
TILES = 2 * SAMPLES + 3 * CARDS + 4 * CARDS + 2 * CARDS + WALKS * (STEPS + 2) + DIMENSIONS * STEPS
"""Images in the pictures of one model."""

_HIGH = 4
"""Samples in a column."""

_COMPARED = 200
"""Samples and test examples whose distances to training examples are compared."""
_LOOKED_AT = 60_000
_READ = 10_000
"""Training examples to compare with: of those in memory, and of those that have to be read."""
_FOR_ACTIVITY = 1000


@dataclass(frozen=True)
class Card:
    """A picture with lines of text below it, or beside it where it is a row of pictures."""

    picture: Shown
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Pictures of one kind.

    Args:
        cards: the pictures.
        note: description of the pictures, and how they were made.
        missing: why there are none.
        rows: whether each picture is a row with its text at the left.
        wall: whether they stand close together, without texts.
    """

    cards: tuple[Card, ...] = ()
    note: str = ""
    missing: str = ""
    rows: bool = False
    wall: bool = False


def indices_of(split: Split, n: int, seed: int) -> list[int]:
    """Indices of the examples that :func:`genmod.figures.choose_examples` chooses."""
    generator = torch.Generator().manual_seed(seed_for(seed, "examples"))
    found: list[int] = torch.randperm(len(split), generator=generator)[:n].tolist()
    return found


def class_of(data: DataInfo, batch: Batch, place: int) -> str:
    """The name of the class of an example, or nothing."""
    if batch.labels is None or not data.classes:
        return ""
    number = int(batch.labels[place])
    return data.classes[number] if 0 <= number < len(data.classes) else str(number)


def _or_reason(method: Callable[..., Gallery]) -> Callable[..., Gallery]:
    """Give the reason in place of pictures that cannot be made."""

    @wraps(method)
    def gallery(*arguments: Any) -> Gallery:
        try:
            return method(*arguments)
        except GenmodError as error:
            return Gallery(missing=str(error))

    return gallery


class Painter:
    """Makes the pictures of a model.

    Args:
        model: in evaluation mode.
        split: examples to show, and what they are called: ``test``.
        train: gives the training split.
        seed: of everything that is drawn.
        most: longest side of an image, in its own pixels.
        alone: whether the model has the page to itself.
    """

    def __init__(
        self,
        model: LatentVariableModel,
        split: Split,
        name: str,
        train: Callable[[], Split],
        *,
        seed: int,
        most: int,
        alone: bool,
    ) -> None:
        self.model, self.split, self.name, self.train = model, split, name, train
        self.seed, self.most, self.alone = seed, most, alone

    @_or_reason
    def reconstructions(self, evaluation: Evaluation) -> Gallery:
        """Examples drawn at random, and their reconstructions."""
        chosen = indices_of(self.split, CARDS, self.seed)
        note = f"Examples of the {self.name} split, drawn with seed {self.seed}"
        return self._pairs(chosen, evaluation, note)

    @_or_reason
    def worst(self, evaluation: Evaluation) -> Gallery:
        """The examples with the largest distortion."""
        errors = _errors(evaluation)
        if errors is None:
            return Gallery(missing="There is no distortion of each example.")
        chosen = errors.argsort(descending=True)[:CARDS].tolist()
        note = f"The {len(chosen)} of {len(errors):,} {self.name} examples with the largest distortion"
        return self._pairs(chosen, evaluation, note, differences=True)

    def spectra(self) -> tuple[Spectra, int]:
        """The spectra of pictures and of the errors of their reconstructions, and the number of pictures.

        Raises:
            UndefinedError: the data are no pictures.
        """
        batch, context = self._many
        if not self.model.data.is_image:
            raise UndefinedError("there is no spectrum: the data are no pictures")
        x = observed(self.model, batch.x, seed=self.seed)
        made = decode_means(self.model, self._codes, context=context)
        return spectra(x, made), len(x)

    def activity(self) -> tuple[Tensor, str]:
        """The activity of each dimension of the latents, and the name of the measure."""
        amounts, measure = self._amounts
        return amounts.float().cpu(), measure

    def codes(self) -> tuple[Tensor, Batch]:
        """Codes of examples, ``(N, *latent_shape)``, and the examples."""
        return self._codes.cpu(), self._many[0]

    @cached_property
    def variables(self) -> Variables:
        """Names and groups of the latents."""
        return variables_of(self.model)

    @cached_property
    def _many(self) -> tuple[Batch, Tensor | None]:
        batch = self.split.__getitems__(
            indices_of(self.split, held(_FOR_ACTIVITY, self.model.data), self.seed)
        )
        return batch, self.model.context(batch)

    @cached_property
    def _codes(self) -> Tensor:
        return codes(self.model, self._many[0].x, context=self._many[1], seed=self.seed)

    @cached_property
    def _amounts(self) -> tuple[Tensor, str]:
        return activity(self.model, self._many[0].x, context=self._many[1], seed=self.seed)

    @_or_reason
    def samples(self) -> Gallery:
        """New examples."""
        given = self.model.conditions
        classes = _single(given)
        count = OF_A_CLASS * len(classes) if classes else SAMPLES
        images = sample_grid(self.model, count, seed=self.seed).images.flatten(
            0, -1 - len(self.model.data.shape)
        )
        source = "the sampler that was fitted" if self.model.sampler_for(None) is not None else "the prior"
        what = f"Means of p(x|z) at latents from {source}" if self.model.has_latents else "Draws of the model"
        in_turn = f" of every {' and '.join(given.values)} in turn" if given else ""
        note = f"{what}{in_turn}, seed {self.seed}."
        if classes:
            # They come in turn: the first of each class, the second of each, and so on.
            of_each = images.unflatten(0, (OF_A_CLASS, len(classes))).transpose(0, 1)
            return self._rows(of_each, classes, note, "samples of")
        if len(self.model.data.shape) == 1:
            strips = of_pixels(self._pixels(images), f"{SAMPLES} samples", columns=24 if self.alone else 8)
            return Gallery((Card(strips),), note)
        # In columns, of which a page has as many side by side as there is room for.
        columns = self._pixels(images).unflatten(0, (_HIGH, SAMPLES // _HIGH)).transpose(0, 1)
        cards = (Card(of_pixels(column, f"{_HIGH} samples{in_turn}", columns=1)) for column in columns)
        return Gallery(tuple(cards), note, wall=True)

    @_or_reason
    def neighbours(self) -> Gallery:
        """The new examples that are nearest to training examples."""
        data, train = self.model.data, self.train()
        compared = held(_COMPARED, data)
        made = sample_grid(self.model, compared, seed=self.seed).images.cpu()
        real = data.values(self.split.__getitems__(indices_of(self.split, compared, self.seed)).x)
        limit = _LOOKED_AT if train.in_memory() is not None else _READ
        far, places = nearest_example(torch.cat([made.float(), real.float()]), train, data, limit=limit)
        distances, usual = far[: len(made)], far[len(made) :].median().item()
        order = distances.argsort()[:CARDS]
        stored = train.__getitems__(places[order].tolist())
        pixels = self._pixels(torch.stack([made[order].float(), data.values(stored.x).float()]).flatten(0, 1))
        half = len(order)
        cards = []
        for place in range(half):
            index, distance = int(places[order[place]]), distances[order[place]].item()
            alt = f"a sample, and training example {index}"
            picture = of_pixels(pixels[[place, half + place]], alt, columns=_columns(data, 1, 2))
            cards.append(Card(picture, (f"distance {distance:.3g}", f"train {index}")))
        looked = min(limit, len(train))
        nearer = (distances < 0.5 * usual).sum().item()
        unit = "values" if data.is_image else "columns, in standard deviations"
        usually, median = f"{usual:.3g}", f"{distances.median().item():.3g}"
        note = (
            f"Samples, each with the nearest of {looked:,} training examples, by the root mean square difference of "
            f"their {unit}; the {half} nearest pairs of {len(made)}. The median distance is {median} for samples and "
            f"{usually} for {self.name} examples; {nearer} of {len(made)} samples are nearer than half of the latter. "
            "Copies of training examples would have distances near 0."
        )
        return Gallery(tuple(cards), note)

    def _pairs(
        self, chosen: Sequence[int], evaluation: Evaluation, note: str, *, differences: bool = False
    ) -> Gallery:
        model, errors = self.model, _errors(evaluation)
        batch = self.split.__getitems__(chosen)
        picture = reconstruction_grid(model, batch.x, context=model.context(batch), seed=self.seed)
        images, labels = picture.images, picture.row_labels
        if differences and model.data.is_image:
            between = difference(images[-2], images[-1], model.data)
            images, labels = torch.cat([images, between[None]]), (*labels, "difference")
        rows, count = images.shape[:2]
        pixels = self._pixels(images.flatten(0, 1))
        cards = []
        for place, index in enumerate(chosen):
            name = class_of(self.split.info or model.data, batch, place)
            alt = f"{self.name} example {index}{f' of class {name}' if name else ''}: {', '.join(labels)}"
            shown = of_pixels(
                pixels[[row * count + place for row in range(rows)]],
                alt,
                columns=_columns(model.data, 1, rows),
            )
            lines = [] if errors is None else [f"{errors[index]:.1f} nats"]
            cards.append(Card(shown, (*lines, f"{self.name} {index}", *([f"class {name}"] if name else []))))
        order = "From left to right" if len(model.data.shape) == 1 else "From top to bottom"
        of = "" if errors is None else "; below, the distortion"
        if of and "observed" in labels:
            of += ", of the draw of binary values that was measured"
        return Gallery(tuple(cards), f"{note}. {order}: {', '.join(labels)}{of}.")

    @_or_reason
    def interpolations(self) -> Gallery:
        """Walks from one example to another."""
        model = self.model
        chosen = indices_of(self.split, 2 * WALKS, self.seed)
        batch = self.split.__getitems__(chosen)
        context = model.context(batch)
        ends = codes(model, batch.x, context=context, seed=self.seed)
        given = None if context is None else paired(context)
        walk = interpolation(model, *paired(ends), steps=STEPS, context=given)
        labels = [f"{self.name} {a} to {b}" for a, b in zip(*paired(torch.tensor(chosen)), strict=True)]
        note = (
            "Decodings at equal steps on the straight line between the codes of two examples, "
            "which stand at its ends themselves."
        )
        first, second = (part[:, None] for part in paired(model.data.values(batch.x).cpu()))
        whole = torch.cat([first, walk.images.cpu().to(first.dtype), second], 1)
        return self._rows(whole, labels, note, "decodings on the way from", ends=True)

    @_or_reason
    def traversals(self) -> Gallery:
        """Decodings along single dimensions of the latents."""
        amounts, measure = self._amounts
        picture = active_traversal(self.model, self._codes, amounts, DIMENSIONS, STEPS, context=self._many[1])
        names, groups = self.variables.names, self.variables.group_of
        several = len(self.variables.groups) > 1
        labels = [
            f"{names[d]}{f' of group {groups[d]}' if several else ''}: {amounts[d]:.2f}"
            for d in picture.extra["dimensions"].tolist()
        ]
        start = indices_of(self.split, 1, self.seed)[0]
        note = (
            f"Each row changes one dimension of the code of {self.name} example {start} from -3 to 3 standard deviations; "
            f"the dimensions with the largest {measure}, which is shown."
        )
        return self._rows(picture.images, labels, note, "decodings along")

    def _rows(
        self, images: Tensor, labels: Sequence[str], note: str, what: str, *, ends: bool = False
    ) -> Gallery:
        rows, columns = images.shape[:2]
        pixels = self._pixels(images.flatten(0, 1)).unflatten(0, (rows, columns))
        cards = (
            Card(of_pixels(row, f"{what} {name}", ends=ends), (name,))
            for row, name in zip(pixels, labels, strict=True)
        )
        return Gallery(tuple(cards), note, rows=True)

    def _pixels(self, images: Tensor) -> Tensor:
        return pixels_of(images.cpu(), self.model.data, self.most)


def _single(conditions: Conditions | None) -> list[str]:
    """The values of the only condition of a model; none where there are several, or too many values to show each."""
    values = [] if conditions is None else list(conditions.values.values())
    return list(values[0]) if len(values) == 1 and len(values[0]) <= MOST_CLASSES else []


def _columns(data: DataInfo, images: int, strips: int | None = None) -> int | None:
    """The columns of a picture of images, or of strips of tables."""
    return strips if len(data.shape) == 1 else images


def _errors(evaluation: Evaluation) -> Tensor | None:
    """The distortion of each example of the split, ``(N,)``, nats."""
    found = [row.examples for row in evaluation.rows if row.name == "distortion"]
    return found[0] if found else None
