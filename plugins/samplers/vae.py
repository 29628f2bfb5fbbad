"""Sampler that is a VAE over the codes: the second of two stages."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import Distribution, constraints

from genmod import (
    Batch,
    DataInfo,
    Dataset,
    Doc,
    Event,
    LatentVariableModel,
    Sampler,
    SplitName,
    TensorSplit,
    assemble,
    compose,
    train,
)
from genmod.distributions import Implicit
from genmod.plugins.samplers._standard import Standard
from genmod.registry import Registry
from genmod.system import seed_for, seeded

__all__ = ["VaeSampler"]

_PATIENCE = 40
"""Epochs without a lower validation loss after which the fit ends."""
_KEPT = 200
"""Steps between two writings of the state."""


class _Vectors(Dataset):
    """Codes as data, a tenth of them for validation."""

    def __init__(self, y: Tensor) -> None:
        super().__init__(Path())
        self._y = y

    @property
    def info(self) -> DataInfo:
        return DataInfo((self._y.shape[1],), low=-math.inf, high=math.inf)

    def split(self, name: SplitName) -> TensorSplit:
        held = len(self._y) // 10 if len(self._y) >= 20 else 0
        part = self._y[held:] if name == "train" or not held else self._y[:held]
        return TensorSplit(Batch(part))


@final
class VaeSampler(Sampler):
    """A second VAE over the codes of the first, with as many latents as a code has values.

    ``p(z) = ∫ N(z; f(u), γ² I) N(u; 0, I) du``, ``batch_shape ()``, ``event_shape latent_shape``

    The noise γ is the optimal one, the root mean squared error of ``f``. The codes of the first stage fill their space,
    whether or not its prior fits them, and a VAE can learn such a distribution exactly; they should be draws, as they are
    by default. There is no density; :meth:`bound` is a lower bound on it. The fit ends by the loss of a tenth of the
    codes.

    Reference:
        Diagnosing and Enhancing VAE Models (Dai and Wipf, 2019), arXiv:1903.05789

    Example:
        >>> sampler = VaeSampler((2,), hidden=[8], steps=10)
        >>> sampler.fit(torch.randn(100, 2))
        >>> sampler().sample((5,)).shape
        torch.Size([5, 2])
    """

    has_density = False

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        hidden: Annotated[
            Sequence[Annotated[int, Gt(0)]],
            Doc("width of each hidden layer of the encoder, and of the decoder"),
        ] = (256, 256),
        steps: Annotated[int, Gt(0), Doc("most optimizer steps of the fit")] = 3000,
        batch: Annotated[int, Gt(0), Doc("codes in each step of the fit")] = 128,
        lr: Annotated[float, Gt(0), Doc("learning rate of the fit")] = 3e-3,
    ) -> None:
        super().__init__(latent_shape)
        self.hidden, self.steps, self.batch, self.lr = tuple(hidden), steps, batch, lr
        self.standard = Standard(latent_shape)
        self.model = self._new_model(0)

    def _new_model(self, seed: int) -> LatentVariableModel:
        size = self.standard.loc.numel()
        registry = Registry(third_party=False)
        spec = compose(
            "vae",
            components={
                "encoder": {"name": "mlp", "hidden": list(self.hidden)},
                "decoder": {"name": "gaussian", "scale": "optimal"},
            },
            latent=size,
            registry=registry,
        )
        data = DataInfo((size,), low=-math.inf, high=math.inf)
        return assemble(spec, data, seed=seed, registry=registry).eval()

    def fit(
        self,
        codes: Tensor,
        *,
        seed: int = 0,
        folder: Path | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> None:
        def report(event: Event) -> None:
            if on_step is not None and event.kind != "warning":
                on_step(event.step, event.total_steps)

        directory = None if folder is None else folder / "vae"
        self.standard.fit(codes.detach())
        y = self.standard(codes.detach())
        with seeded(seed_for(seed, "vae")), torch.enable_grad():
            order = torch.randperm(len(y)).to(y.device)
            self.model = self._new_model(seed).to(codes)
            run = partial(
                train,
                self.model,
                _Vectors(y[order].cpu()),
                steps=self.steps,
                batch_size=min(self.batch, len(y)),
                lr=self.lr,
                schedule="cosine",
                patience=_PATIENCE,
                seed=seed,
                device=str(y.device),
                checkpoint_every=_KEPT,
                film_every=0,
                directory=directory,
                on_event=report,
            )
            if directory is not None and any((directory / "checkpoints").glob("step-*")):
                run(resume=True)
            else:
                run(overwrite=directory is not None)

    def forward(self) -> Distribution:
        real = constraints.independent(constraints.real, 1)
        return self.standard.back(
            Implicit(partial(self.model.sample, noise=True), self.model.data.shape, real)
        )

    @torch.no_grad()
    def bound(self, z: Tensor, samples: int = 100) -> Tensor:
        """A lower bound on ``log p(z)``, tight for many draws: ``z (B, *latent_shape) → (B,)``, nats."""
        weights = self.model.log_weights(self.standard(z), samples)
        return weights.logsumexp(0) - math.log(samples) - self.standard.scale.log().sum()
