"""Nearest-neighbour classification of codes."""

from collections.abc import Iterator
from typing import Annotated, final

from annotated_types import Ge
from torch.nn.functional import one_hot

from genmod import Doc, Metric, Row, Subject, Undefined, UndefinedError, mean_row
from genmod.evaluation import nearest
from genmod.plugins.metrics._targets import fitted_and_measured, flat, targets

__all__ = ["Knn"]


@final
class Knn(Metric):
    """How well the nearest training codes predict the class of an example.

    The majority of the k posterior means of the training split that are nearest to that of the example, by Euclidean
    distance; the smallest class of those that are equally frequent. For the labels, and for each ground-truth factor.

    Reference:
        Hyperspherical Variational Auto-Encoders (Davidson et al., 2018), arXiv:1804.00891, section 5.3

    Example:
        >>> from genmod import build, evaluate, open_dataset
        >>> model = build(encoder="mlp")
        >>> evaluate(model, open_dataset(model.spec), "knn[3]")["knn[label]"].value > 0.5
        True
    """

    main = "k"

    def __init__(self, *, k: Annotated[int, Ge(1), Doc("neighbours that vote")] = 5) -> None:
        self.k = k

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        train, test = fitted_and_measured(subject)
        known, of_test = targets(train, subject), targets(test, subject)
        if self.k > len(train.means):
            raise UndefinedError(f"there are {len(train.means)} training examples, fewer than k = {self.k}")
        device = subject.model.device
        subject.progress("nearest neighbours", 0, 1)
        _, places = nearest(flat(test.means).to(device), flat(train.means).to(device), self.k)
        places = places.cpu()
        for name in (name for name in known if name in of_test):
            found = known[name][places]
            votes = sum(one_hot(column, int(known[name].max()) + 1) for column in found.unbind(1))
            right = votes.argmax(1) == of_test[name]  # type: ignore[union-attr]
            yield mean_row(
                f"knn[{name}]",
                right.double(),
                "share",
                f"accuracy of the majority of the {self.k} nearest training codes for {name}",
                "higher",
                {"k": self.k, "train_examples": len(known[name])},
            )
