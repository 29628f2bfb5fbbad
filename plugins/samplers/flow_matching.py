"""Sampler that carries noise to codes along a velocity: flow matching."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod import Doc, Sampler
from genmod.plugins.samplers._carried import EXACT, Carried
from genmod.plugins.samplers._standard import Standard
from genmod.plugins.samplers._steps import fit_network, rows_of, split_held
from genmod.plugins.samplers._velocity import Hidden, mismatch, network_for, velocity
from genmod.system import seed_for, seeded

__all__ = ["FlowMatchingSampler"]

_HELD = 2000
"""Draws for the codes held out, at least."""


@final
class FlowMatchingSampler(Sampler):
    """A velocity that carries a standard normal to the codes, learned by matching those of straight lines.

    ``dy/dt = v(y, t)``, ``y(0) ~ N(0, I)``; ``v`` minimises ``E‖v(a ε + t y, t) - (y - (1 - σ) ε)‖²``, ``a = 1 - (1 - σ) t``,
    ``σ = 0.01``, over codes y in standard units, noise ε and times t; ``batch_shape ()``, ``event_shape latent_shape``

    Of a conditional model the velocity depends on the condition, ``batch_shape (B,)``. Maps ``(C, H, W)`` have a network of
    convolutions, all else one of linear layers. It learns what has to be added to the velocity that would be right for
    codes of a standard normal. Draws and densities are found in ``solver_steps`` steps of a Runge-Kutta method, whose
    error falls with their fourth power. ``log p`` is that of the change of variables, its divergence exact up to 64 latents
    and estimated with 16 fixed vectors of signs of more; it costs as many times a draw. A tenth of the codes is held out:
    the weights are those under which its loss is least.

    Reference:
        Flow Matching for Generative Modeling (Lipman et al., 2022), arXiv:2210.02747;
        Flow Matching in Latent Space (Dao et al., 2023), arXiv:2307.08698

    Example:
        >>> sampler = FlowMatchingSampler((2,), hidden=[8], steps=25)
        >>> sampler.fit(torch.randn(100, 2))
        >>> sampler().log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    wants_context = True

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context_size: int = 0,
        *,
        hidden: Hidden = None,
        steps: Annotated[int, Gt(0), Doc("most optimizer steps of the fit")] = 3000,
        batch: Annotated[int, Gt(0), Doc("codes in each step of the fit")] = 256,
        lr: Annotated[float, Gt(0), Doc("learning rate of the fit")] = 5e-3,
        solver_steps: Annotated[int, Gt(0), Doc("Runge-Kutta steps from noise to a code")] = 20,
    ) -> None:
        super().__init__(latent_shape)
        self.hidden, self.steps, self.batch, self.lr = hidden, steps, batch, lr
        self.solver_steps, self.context_size = solver_steps, context_size
        if math.prod(latent_shape) > EXACT:
            self.most_scored = 100
        self.standard = Standard(latent_shape)
        self.network = network_for(latent_shape, hidden, context_size)

    def fit(
        self,
        codes: Tensor,
        *,
        context: Tensor | None = None,
        seed: int = 0,
        folder: Path | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> None:
        self.standard.fit(codes.detach())
        rows, size = partial(rows_of, self.standard, codes.detach(), context), self.standard.loc.numel()

        def loss(network: nn.Module, some: Tensor, noise: Tensor, t: Tensor) -> Tensor:
            given = None if context is None else some[:, size:]
            return mismatch(network, some[:, :size], noise, t, given).mean()

        def of_some(some: Tensor) -> Tensor:
            return loss(self.network, some, *_drawn(some[:, :size]))

        with seeded(seed_for(seed, "flow-matching")), torch.enable_grad():
            self.network = network_for(self.latent_shape, self.hidden, self.context_size).to(codes)
            rest, places = split_held(codes)
            held = rows(places)
            held = held.repeat(-(-_HELD // len(held)), 1)
            noise, times = _drawn(held[:, :size])
            fit_network(
                self.network,
                rest,
                lambda some: of_some(rows(some)),
                lambda network: loss(network, held, noise, times),
                steps=self.steps,
                batch=self.batch,
                lr=self.lr,
                average=True,
                folder=folder,
                on_step=on_step,
            )

    def forward(self, context: Tensor | None = None) -> Distribution:
        zeros, moved = torch.zeros_like(self.standard.loc), partial(velocity, self.network)
        return self.standard.back(
            Carried(moved, zeros, self.solver_steps, context if self.context_size else None)
        )


def _drawn(y: Tensor) -> tuple[Tensor, Tensor]:
    """Noise for each code, ``(N, d)``, and times that are spread evenly, ``(N,)``; drawn on the processor."""
    noise = torch.randn(y.shape, dtype=y.dtype, device="cpu")
    times = (torch.arange(len(y)) + torch.rand(len(y), dtype=y.dtype, device="cpu")) / len(y)
    return noise.to(y.device), times.to(y)
