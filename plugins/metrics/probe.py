"""Linear probes: what a linear map can predict from the codes."""

import math
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, final

import torch
from annotated_types import Gt
from torch import Tensor

from genmod import Doc, Metric, Row, Subject, Undefined, mean_row
from genmod.plugins.metrics._targets import fitted_and_measured, flat, targets

__all__ = ["Probe"]

_STEPS = 1000


@final
class Probe(Metric):
    """The accuracy of a linear classifier of the codes, trained on those of the training split.

    ``argmax_c w_cᵀ E_q(z|x)[z] + b_c``, the share of examples of which that is the class

    Multinomial logistic regression with a quadratic penalty, on standardised posterior means; for the labels, and for each
    ground-truth factor. For factors whose values are named by numbers there is also the share of variance that linear
    regression explains. The standard error is that of the examples, not of the training of the probe.

    Reference:
        Understanding intermediate layers using linear classifier probes (Alain and Bengio, 2016), arXiv:1610.01644

    Example:
        >>> from genmod import build, evaluate, open_dataset
        >>> model = build(encoder="mlp")
        >>> evaluate(model, open_dataset(model.spec), "probe")["probe[label]"].value > 0.5
        True
    """

    main = "penalty"

    def __init__(
        self,
        *,
        penalty: Annotated[
            float, Gt(0), Doc("λ of ½ λ |w|², added to the nats of all training examples")
        ] = 1.0,
    ) -> None:
        self.penalty = penalty

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        train, test = fitted_and_measured(subject)
        known = targets(train, subject)
        of_test = targets(test, subject)
        z, y = flat(train.means), flat(test.means)
        centre, scale = z.mean(0), z.std(0, correction=0)
        scale[scale == 0] = 1.0
        z, y = (z - centre) / scale, (y - centre) / scale
        numbers = {
            factor.name: values
            for factor in subject.data.factors
            if (values := _numbers(factor.values)) is not None
        }
        for name, target in known.items():
            if name not in of_test:
                continue
            subject.progress(f"probe of {name}", 0, 1)
            if len(target.unique()) < 2:
                yield Undefined(f"probe[{name}]", "all training examples have the same value")
                continue
            probe = self._fitted(subject, z, target, name)
            right = torch.from_numpy(probe.predict(y.numpy()) == of_test[name].numpy())
            yield mean_row(
                f"probe[{name}]",
                right.double(),
                "share",
                f"accuracy of logistic regression from codes to {name}",
                "higher",
                {
                    "chance": _commonest(target, of_test[name]),
                    "train": float(probe.score(z.numpy(), target.numpy())),
                    "train_examples": len(z),
                },
            )
            if name in numbers and len(of_test[name].unique()) > 1:
                yield _explained(
                    name, z, numbers[name][target], y, numbers[name][of_test[name]], self.penalty
                )

    def _fitted(self, subject: Subject, z: Tensor, target: Tensor, name: str) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            probe = LogisticRegression(C=1 / self.penalty, max_iter=_STEPS).fit(z.numpy(), target.numpy())
        if any(issubclass(each.category, ConvergenceWarning) for each in caught):
            subject.warn(f"the probe of {name} was still improving after {_STEPS:,} steps")
        return probe


def _commonest(train: Tensor, test: Tensor) -> float:
    """How often the commonest training value is right."""
    return float((test == train.bincount().argmax()).double().mean())


def _numbers(names: tuple[str, ...]) -> Tensor | None:
    try:
        found = torch.tensor([float(name) for name in names], dtype=torch.float64)
    except ValueError:
        return None
    return found if len(found) > 2 and bool(found.isfinite().all()) else None


def _explained(name: str, z: Tensor, target: Tensor, y: Tensor, truth: Tensor, penalty: float) -> Row:
    """The share of variance that ridge regression explains, and its error to first order."""
    centre = target.mean()
    square = z.T @ z + penalty * torch.eye(z.shape[1], dtype=z.dtype)
    error = (y @ torch.linalg.solve(square, z.T @ (target - centre)) + centre - truth).square()
    total = (truth - truth.mean()).square()
    unexplained = (error.mean() / total.mean()).item()
    parts = error - unexplained * total
    n = len(truth)
    standard_error = (parts.std() / total.mean()).item() / math.sqrt(n)
    return Row(
        f"probe_r2[{name}]",
        1 - unexplained,
        standard_error,
        n,
        "share",
        f"share of the variance of {name} that linear regression on codes explains",
        "higher",
    )
