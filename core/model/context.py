"""The context of a model: the conditions of each example, and the exposure that its likelihood is given."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from genmod.data.conditions import Conditions
from genmod.data.dataset import Batch, DataInfo
from genmod.errors import UsageError
from genmod.interfaces.decoder import Decoder

__all__ = ["WithContext"]

_GIVE = "model.given(model.context(batch)) has been given it, model.asked(CONDITION, n) makes one"


class WithContext(nn.Module):
    """A module whose parts are given more of an example than its values.

    ``context (B, size of the conditions + 1 where the decoder has an exposure)``: the conditions, then the logarithm of the
    exposure. Encoder, network, prior and sampler are given the conditions, the decoder what it wants.
    """

    data: DataInfo
    decoder: Decoder
    conditions: Conditions | None
    device: torch.device
    dtype: torch.dtype

    @property
    def wants_context(self) -> bool:
        """Whether anything but the values of an example is given to a part of the model."""
        return self.conditions is not None or bool(self.decoder.exposure)

    def context(self, batch: Batch) -> Tensor | None:
        """The context of examples as they are stored, ``(B, size)``; None if the model has none."""
        parts = []
        if self.conditions is not None:
            parts.append(self.conditions.of(batch).to(self.device, self.dtype))
        if self.decoder.exposure:
            x = self.data.values(batch.x.to(self.device), self.dtype)
            parts.append(self.decoder.log_exposure(x)[:, None])
        return torch.cat(parts, 1) if parts else None

    def asked(self, condition: str | None, n: int, *, draw: bool = False) -> Tensor | None:
        """The context of ``n`` examples that are asked for, ``(n, size)``; nothing of a model without.

        Args:
            condition: such as ``7``, ``batch=a`` or ``batch=a,depth=5000``. Conditions that it does not name take all
                values in turn, an exposure is that of a typical example.
            n: number of examples.
            draw: exposures that it does not name are drawn from those of the training data.

        Raises:
            UsageError: the model is not conditional, or not on that.
        """
        text, exposure = self._exposure_of(condition)
        conditions = None
        if self.conditions is not None:
            conditions = self.conditions.chosen(text, n).to(self.device, self.dtype)
        elif text:
            raise UsageError(
                "the model is not conditional", hint="build one that is: genmod build --condition label"
            )
        return self.with_exposure(conditions, n, exposure=exposure, draw=draw)

    def with_exposure(
        self, conditions: Tensor | None, n: int, *, exposure: float | None = None, draw: bool = False
    ) -> Tensor | None:
        """The context of ``n`` examples with these conditions ``(n, size)``, see :meth:`asked`."""
        if not self.decoder.exposure:
            return conditions
        logs = (
            self.decoder.log_exposures(n, draw=draw)
            if exposure is None
            else torch.full((n,), math.log(exposure))
        )
        column = logs.to(self.device, self.dtype)[:, None]
        return column if conditions is None else torch.cat([conditions, column], 1)

    def conditions_in(self, context: Tensor | None) -> Tensor | None:
        """The conditions in a context, ``(*batch, size of the conditions)``; None for a model that is not conditional."""
        if self.conditions is None or context is None:
            return None
        # The same tensor where it is all of it: by that, distributions are known to be of the same conditions.
        size = self.conditions.size
        return context if context.shape[-1] == size else context[..., :size]

    def _exposure_of(self, condition: str | None) -> tuple[str | None, float | None]:
        """What is asked for: conditions, and the exposure."""
        name = self.decoder.exposure
        if not condition or not name or (self.conditions is not None and name in self.conditions.values):
            return condition, None
        parts = condition.split(",")
        mine = [part for part in parts if part.partition("=")[0].strip() == name]
        if not mine:
            return condition, None
        try:
            value = float(mine[-1].partition("=")[2])
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise UsageError(f"{mine[-1]!r} asks for no number above 0", hint=f"write {name}=1000")
        return ",".join(part for part in parts if part not in mine) or None, value

    def _conditions_of(self, context: Tensor | None, batch: torch.Size) -> Tensor:
        """Conditions of every element of a batch, ``(prod(batch), size)``."""
        conditions = self.conditions_in(context)
        if conditions is None:
            names = ", ".join(self.conditions.values) if self.conditions else ""
            raise UsageError(
                f"the model is conditioned on {names}, and was given no conditions",
                hint="model.given(model.context(batch)) has been given them, model.sample(n, condition=...) asks for some",
            )
        if len(batch) == 1 and conditions.shape[:-1] == batch:
            return conditions
        return conditions.expand(*(batch or (1,)), -1).reshape(-1, conditions.shape[-1])

    def given_to_decoder(self, context: Tensor | None, batch: torch.Size) -> Mapping[str, Tensor]:
        """What the decoder is given beside parameters ``(*batch, *parameter_shape)``."""
        given: dict[str, Tensor] = {}
        decoder = self.decoder
        size = 0 if self.conditions is None else self.conditions.size
        if decoder.exposure:
            if context is None or context.shape[-1] != size + 1:
                raise UsageError(
                    f"the likelihood is given the {decoder.exposure} of each example, and was given none",
                    hint=_GIVE,
                )
            given["exposure"] = context[..., -1].expand(batch or (1,)).reshape(batch)
        if decoder.wants_conditions:
            given["conditions"] = self._conditions_of(context, batch).reshape(*batch, size)
        return given
