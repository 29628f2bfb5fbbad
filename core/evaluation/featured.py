"""Features of the data and of generated examples, shared by all metrics that compare these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from weakref import WeakKeyDictionary, proxy

import torch
from annotated_types import Ge
from torch import Tensor

from genmod.data.dataset import Split
from genmod.defaults import FEATURES
from genmod.errors import UndefinedError, UsageError
from genmod.evaluation.shared import gathered, turn_of
from genmod.evaluation.subject import Subject
from genmod.interfaces.features import Features
from genmod.interfaces.sampler import Source
from genmod.options.schema import Doc, Text, validate
from genmod.options.text import parse_call
from genmod.registry.lookup import current_registry
from genmod.registry.provided import Provided
from genmod.system.memory import in_pieces
from genmod.system.random import seed_for, seeded
from genmod.system.tensors import fingerprint

__all__ = [
    "Compared",
    "Featured",
    "FeaturesName",
    "FromSource",
    "SampleCount",
    "WithNoise",
    "checked_features",
    "compared",
    "featured",
    "is_training_split",
    "named_features",
    "usual_features",
]

FeaturesName = Annotated[
    str | None,
    Doc("what examples are compared by, NAME or NAME:OPTION=VALUE,…; chosen by the data unless given"),
]
SampleCount = Annotated[
    int | None,
    Ge(2),
    Doc("generated examples, and at most as many of the split; by default its number, at most 10,000"),
]
FromSource = Annotated[
    Source | None, Doc("where latents come from; the sampler where one was fitted, unless given")
]
WithNoise = Annotated[bool, Doc("draw from p(x|z) too, rather than take its mean")]

_MOST = 10_000
_FITTED = 20_000
"""Training examples that features are fitted to, at most."""

_KNOWN: "WeakKeyDictionary[Subject, dict[str, Featured]]" = WeakKeyDictionary()


class Featured:
    """Fitted features, and their values for the data and the generated examples of a subject.

    The values are on the CPU, in the precision of the features, and computed once.

    Args:
        subject: the model and its data.
        features: fitted to its training data where they want that.
        name: of the features, with their version.
    """

    def __init__(self, subject: Subject, features: Features, name: str) -> None:
        self._subject: Subject = proxy(subject)  # which lives longer, and is not to be kept alive by this
        self.features = features.to(subject.model.device).eval().requires_grad_(False)
        self.name = name
        self.sha256 = fingerprint(features)
        self._chunks: list[Tensor] = []
        self._generated: dict[tuple[bool, Source | None], list[Tensor]] = {}

    def of_split(self, n: int) -> Tensor:
        """Features of the first ``n`` examples of the split, ``(n, D)``."""
        count = min(n, len(self._subject.split))
        starts = range(0, count, self._subject.size)
        self._chunks += self._shared(starts[len(self._chunks) :], self._chunk)
        return torch.cat(self._chunks)[:n]

    def of_training(self, n: int | None = None) -> tuple[Tensor, Tensor]:
        """Features of ``n`` training examples chosen by the seed, or of all, ``(n, D)``, and their indices.

        Raises:
            UndefinedError: there is no training split, or it is the measured one.
        """
        if is_training_split(self._subject):
            raise UndefinedError(
                "it compares with training data, and the split that is measured is the training split"
            )
        split = self._subject.of("train")
        places = _chosen(self._subject, len(split), n)
        size = self._subject.size

        def of_some(start: int) -> Tensor:
            self._subject.progress("features of training data", start, len(places))
            return self.of(self._values(split, places[start : start + size].tolist()))

        return torch.cat(self._shared(range(0, len(places), size), of_some)), places

    def of_generated(self, n: int, *, noise: bool, source: Source | None) -> Tensor:
        """Features of the first ``n`` generated examples, ``(n, D)``.

        Raises:
            UndefinedError: the model generates none.
        """
        size, known = self._subject.size, self._generated.setdefault((noise, source), [])
        missing = range(len(known), -(-n // size))
        if missing:
            made = self._subject.generated(missing.stop * size, noise=noise, source=source)
            known += self._shared(missing, lambda i: self.of(made[i * size : (i + 1) * size].float()))
        return torch.cat(known)[:n]

    def _values(self, split: Split, places: list[int]) -> Tensor:
        return self._subject.model.data.values(split.__getitems__(places).x, torch.float32)

    def _chunk(self, start: int) -> Tensor:
        split = self._subject.split
        return self.of(self._values(split, list(range(start, min(start + self._subject.size, len(split))))))

    def _shared(self, pieces: Sequence[int], work: Callable[[int], Tensor]) -> list[Tensor]:
        """What is made of each piece, where several processes share them."""
        return gathered(self._subject.processes, lambda: map(work, pieces[turn_of(self._subject.processes)]))

    def of(self, x: Tensor) -> Tensor:
        """Features of examples ``(N, *data.shape)``, float, ``(N, D)``.

        Raises:
            UndefinedError: some are not finite.
        """
        with torch.no_grad():
            found = in_pieces(self.features, x.to(self._subject.model.device)).cpu()
        if not found.isfinite().all():
            raise UndefinedError(f"features {self.name} of some examples are not finite")
        return found


def featured(subject: Subject, text: str | None = None) -> Featured:
    """Features by their name, fitted to the training data of a subject where they want that; cached.

    Args:
        subject: the model and its data.
        text: ``NAME`` or ``NAME:OPTION=VALUE,…``; chosen by the data unless given.

    Raises:
        UndefinedError: these data have no such features, or there is nothing to fit them to.
        UsageError: an unknown name, wrong options, or a file that they need is not given.
        PluginError: a plugin is missing or broken.
    """
    if subject.model.data.missing:
        raise UndefinedError("values of the data are missing, and features are of whole examples")
    text = text or usual_features(subject)
    known = _KNOWN.setdefault(subject, {})
    if text not in known:
        known[text] = _ready(subject, text)
    return known[text]


def checked_features(text: str | None) -> str | None:
    """The same text, if it names features and options that exist.

    Raises:
        UsageError: an unknown name, or wrong options.
        PluginError: a plugin is missing or broken.

    Example:
        >>> checked_features("pca:components=8")
        'pca:components=8'
    """
    if text is not None:
        _named(text)
    return text


def named_features(text: str) -> tuple[type[Features], dict[str, Any]]:
    """The class of features and the options that a text names, ``NAME`` or ``NAME:OPTION=VALUE,…``.

    Raises:
        UsageError: an unknown name, or wrong options.
        PluginError: a plugin is missing or broken.

    Example:
        >>> cls, options = named_features("pca:components=8")
        >>> cls.__name__, options
        ('PcaFeatures', {'components': 8})
    """
    provided, options = _named(text)
    return provided.load(), options


def usual_features(subject: Subject) -> str:
    """The default features for data: those of a classifier where there are classes, else linear ones.

    A small stored classifier for digits of 8×8 pixels, one trained on these data where they are images with
    classes, the principal components of other data, and the values themselves where there are no training data.
    """
    data = subject.model.data
    if data.shape == (1, 8, 8) and data.high < float("inf") and data.low > -float("inf"):
        return FEATURES["8×8"]
    try:
        train = subject.of("train")
    except UndefinedError:
        return FEATURES["unfitted"]
    if (
        data.is_image
        and data.shape[1] >= 8
        and data.shape[2] >= 8
        and train.__getitems__([0]).labels is not None
    ):
        return FEATURES["classes"]
    return FEATURES["any"]


def is_training_split(subject: Subject) -> bool:
    """Whether the measured split is the training split.

    Raises:
        UndefinedError: there is no training split.
    """
    train, split = subject.of("train"), subject.split
    if train is split:
        return True
    if len(train) != len(split):
        return False
    some = list(range(0, len(split), max(1, len(split) // 50)))
    return torch.equal(train.__getitems__(some).x, split.__getitems__(some).x)


@dataclass(frozen=True)
class Compared:
    """Features of the data and of generated examples, and of training examples in place of generated ones.

    Args:
        label: text in the brackets of the name of a score.
        real: of examples of the split, ``(N, D)``.
        made: of generated examples, ``(M, D)``.
        floor: of training examples, ``(M, D)`` or fewer; None where there are none.
        no_floor: why there are none.
        details: of the features, for the row.
    """

    label: str
    real: Tensor
    made: Tensor
    floor: Tensor | None
    no_floor: str
    details: dict[str, Any] = field(default_factory=dict)


def compared(
    subject: Subject,
    features: str | None,
    *,
    samples: int | None = None,
    source: Source | None = None,
    noise: bool = False,
    floor: bool = True,
) -> Compared:
    """The features that a metric of generated examples compares, on the device of the model.

    Args:
        subject: the model and its data.
        features: see :func:`featured`.
        samples: number of generated examples; by default that of the split, at most 10,000.
        source: of latents, ``prior`` or ``sampler``.
        noise: draw from ``p(x|z)`` too.
        floor: use training examples too.

    Raises:
        UndefinedError: the model generates nothing, or these data have no such features; too few examples.
    """
    # A model that generates nothing is refused before features are fitted.
    n = samples or min(len(subject.split), _MOST)
    if min(n, len(subject.split)) < 2:
        raise UndefinedError(
            f"{len(subject.split)} examples and {n} generated ones; two of each are the least"
        )
    subject.generated(1, noise=noise, source=source)
    made_of = featured(subject, features)
    device = subject.model.device
    real = made_of.of_split(n).to(device)
    made = made_of.of_generated(n, noise=noise, source=source).to(device)
    training, reason = None, ""
    if floor:
        try:
            training = made_of.of_training(n)[0].to(device)
        except UndefinedError as error:
            reason = error.message
    fitted = subject.model.sampler_for(source) is not None
    used = "model" if not subject.model.has_latents else "sampler" if fitted else "prior"
    label = ",".join([made_of.name, *([source] if source else []), *["noise"] * noise])
    details = {
        "features": made_of.name,
        "dimensions": real.shape[1],
        "source": used,
        "generated": len(made),
        "sha256": made_of.sha256,
    }
    return Compared(label, real, made, training, reason, details)


def _ready(subject: Subject, text: str) -> Featured:
    provided, known = _named(text)
    name, cls = provided.component.name, provided.load()
    seed = seed_for(subject.seed, f"features/{text}")
    with seeded(seed):
        features: Features = cls(subject.model.data, **known)
        if cls.wants_fit:
            subject.progress(f"fitting features {name}", 0, 1)
            split = subject.of("train")
            places = _chosen(subject, len(split), _FITTED)
            batch = split.__getitems__(places.tolist())
            if cls.wants_labels and batch.labels is None:
                raise UndefinedError(
                    f"features {name!r} are those of a classifier, and the data have no classes"
                )
            x = subject.model.data.values(batch.x, torch.float32)
            with torch.enable_grad():
                features.to(subject.model.device).fit(x, batch.labels, seed=seed)
    name = name if provided.builtin else provided.qualified
    return Featured(subject, features, f"{name}-{features.version}" if features.version else name)


def _named(text: str) -> tuple[Provided, dict[str, Any]]:
    """The component that a text names, and its options."""
    name, values, options = parse_call(text)
    if values:
        raise UsageError(
            f"features {text!r} have values without a name",
            hint=f"genmod show features {name} lists their options",
        )
    provided = current_registry().find("features", name)
    given = {key: Text(value) for key, value in options.items()}
    return provided, validate(provided.load(), given, name, label=f"features {name}")


def _chosen(subject: Subject, total: int, n: int | None) -> Tensor:
    """Places of ``n`` examples, in order; all where there are no more."""
    if n is None or n >= total:
        return torch.arange(total)
    generator = torch.Generator().manual_seed(seed_for(subject.seed, "evaluation/chosen"))
    return torch.randperm(total, generator=generator)[:n].sort().values
