"""Generative models: models that are trained on data and generate new examples."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, overload

import torch
from torch import Tensor, nn

from genmod.data.dataset import Batch, DataInfo, Dataset
from genmod.data.sources import as_dataset, as_examples, is_splits
from genmod.data.suited import Data, suited
from genmod.interfaces.objective import Terms
from genmod.interfaces.part import MAIN, ParameterGroup
from genmod.options.schedule import Schedule
from genmod.spec import ModelSpec

__all__ = ["GenerativeModel"]


class GenerativeModel(nn.Module, ABC):
    """A model that can be trained on data and generates new examples.

    Args:
        spec: specification that it was assembled from.
        data: shape and range of the data.
    """

    def __init__(self, spec: ModelSpec, data: DataInfo) -> None:
        super().__init__()
        self.spec = spec
        self.data = data
        self.autocast_dtype: torch.dtype | None = None

    @abstractmethod
    def terms(self, x: Tensor, context: Tensor | None = None) -> Terms:
        """Loss and named terms of stored examples ``x (B, *data.shape)``, given the result of :meth:`context`."""

    def context(self, batch: Batch) -> Tensor | None:
        """The conditions of examples, ``(B, size)``; None if the model is not conditional."""
        return None

    @abstractmethod
    def sample(
        self, n: int, *, seed: int | None = None, noise: bool = False, condition: str | None = None
    ) -> Tensor:
        """``n`` new examples, ``(n, *data.shape)`` float.

        Args:
            n: how many.
            seed: of the random numbers; None draws from the global random state.
            noise: draw from the likelihood in place of returning its mean.
            condition: condition of a conditional model, ``7`` or ``shape=square,scale=2``; by default all values in
                turn.
        """

    def groups(self) -> Mapping[str, ParameterGroup]:
        """Parameter groups by name; each parameter is in one group, and each group has its own optimizer."""
        return {MAIN: ParameterGroup(tuple(self.parameters()))}

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """Every schedule among the options of its parts, by dotted path such as ``objective.beta``."""
        for path, part in self.named_modules():
            for name, value in vars(part).items():
                if isinstance(value, Schedule):
                    yield f"{path}.{name}", value

    @overload
    def suited(self, data: Data) -> Data: ...
    @overload
    def suited(self, data: Any) -> Any: ...
    def suited(self, data: Any) -> Any:
        """Data of any kind in terms of this model, by :func:`genmod.data.suited.suited`.

        Args:
            data: a dataset or a split; or what :func:`genmod.as_dataset` takes: several splits become a dataset, an array and
                the like become a split of all of their examples.

        Raises:
            DataError: they do not suit the data that the model was built for.
        """
        if is_splits(data):
            data = as_dataset(data, known=self.data)
        elif not isinstance(data, Dataset):
            data = as_examples(data, self.data)
        return suited(data, self.data, self.spec.condition)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the parameters; data are converted to it."""
        floats = (p.dtype for p in self.parameters() if p.is_floating_point())
        return next(floats, torch.get_default_dtype())
