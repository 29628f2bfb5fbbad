"""Prior that carries noise to latents along a velocity, matched to the posterior's draws as these change."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import constraints

from genmod import Doc, Draw, Loss, ParameterGroup, Prior, UndefinedError
from genmod.plugins.samplers._carried import Carried
from genmod.plugins.samplers._velocity import Hidden, log_density_bound, mismatch, network_for, velocity

__all__ = ["FlowMatchingPrior", "Matched"]


@final
class Matched(Carried):
    """A standard normal carried by a velocity that is matched to straight lines, whose density has a cheap bound.

    Args:
        network: of the velocity.
        zeros: ``event_shape``.
        steps: of the Runge-Kutta method.
        context: ``(*batch_shape, size)``, or None.
    """

    def __init__(
        self, network: torch.nn.Module, zeros: Tensor, steps: int, context: Tensor | None = None
    ) -> None:
        super().__init__(partial(velocity, network), zeros, steps, context)
        self.network = network

    def expand(self, batch_shape: Any, _instance: object = None) -> "Matched":
        context = None if self.context is None else self.context.expand(*batch_shape, -1)
        other = Matched(self.network, self.zeros, self.steps, context)
        other._batch_shape = torch.Size(batch_shape)
        return other

    def _along(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Rows of values, noise and a number between 0 and 1 for each, and its context."""
        batch = value.shape[: value.dim() - self.zeros.dim()]
        # Drawn in the shape of the values, by whose dimensions processes share out what is drawn.
        noise, u = torch.randn_like(value), torch.rand(batch, dtype=value.dtype, device=value.device)
        rows, given = self.rows(value)
        return rows, noise.reshape(rows.shape), u.reshape(-1), *(given or (None,))

    def mismatch(self, value: Tensor) -> Tensor:
        """The mean square by which the velocity misses a line to each value, ``(*samples, *batch_shape)``."""
        rows, noise, u, context = self._along(value)
        found = mismatch(self.network, rows, noise, u, context).mean(1)
        return found.reshape(value.shape[: value.dim() - self.zeros.dim()])

    def log_prob_estimate(self, value: Tensor) -> Tensor:
        """An estimate of a lower bound of a log-density, ``(*samples, *batch_shape)``, nats."""
        rows, noise, u, context = self._along(value)
        found = log_density_bound(self.network, rows, noise, u, context)
        return found.reshape(value.shape[: value.dim() - self.zeros.dim()])


@final
class FlowMatchingPrior(Prior):
    """A standard normal carried along a velocity that is matched to the posterior's draws while the model is trained.

    ``dz/dt = v(z, t, c)``, ``z(0) ~ N(0, I)``, ``log p(z) = log N(z(0); 0, I) - ∫ ∇·v dt``;
    ``matching_loss = 1/d ‖v(a ε + t z, t, c) - (z - (1 - σ) ε)‖²``, ``z ~ q(z|x)``, ``a = 1 - (1 - σ) t``, ``σ = 0.01``

    ``batch_shape ()``, of a conditional model ``(B,)``, ``event_shape latent_shape``. The velocity minimises its own loss
    alone, with parameters in a group of their own; all else is trained by the objective, as in LSGM: in training, ``kl-mc``
    takes for ``log p(z)`` an estimate of its lower bound, that of the diffusion with the velocity's marginals. Validation,
    evaluation and every other use have the density of the change of variables, which is that of draws. It takes
    ``4 solver_steps`` evaluations of each of d derivatives for one latent, and is estimated by 16 fixed vectors of signs
    of more than 64 numbers. Objectives that hand out no draws, as ``iwae``, are refused: they would not train the velocity.
    Sampler ``flow-matching`` is fitted afterwards, to a model that was trained with another prior.

    Reference:
        Score-based Generative Modeling in Latent Space (Vahdat et al., 2021), arXiv:2106.05931;
        Flow Matching in Latent Space (Dao et al., 2023), arXiv:2307.08698

    Example:
        >>> FlowMatchingPrior((2,))().log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    wants_context = True
    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context_size: int = 0,
        *,
        hidden: Hidden = None,
        lr: Annotated[float, Gt(0), Doc("factor of the learning rate, for the velocity alone")] = 1.0,
        solver_steps: Annotated[int, Gt(0), Doc("Runge-Kutta steps from noise to a latent")] = 10,
    ) -> None:
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.lr, self.solver_steps, self.context_size = lr, solver_steps, context_size
        self.network = network_for(latent_shape, hidden, context_size)
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def parameter_groups(self) -> Mapping[str, ParameterGroup]:
        return {"prior": ParameterGroup(self.parameters(), self.lr)}

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        p = draw.prior()
        assert isinstance(p, Matched)
        return {"matching_loss": Loss(p.mismatch(draw.z).mean(0), "prior")}

    def forward(self, context: Tensor | None = None) -> Matched:
        if context is None and self.context_size:
            raise UndefinedError("prior 'flow-matching' has no distribution until it is given the condition")
        return Matched(self.network, self.zeros, self.solver_steps, context if self.context_size else None)
