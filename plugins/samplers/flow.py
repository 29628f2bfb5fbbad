"""Sampler that is a normalising flow."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import Distribution

from genmod import Doc, Sampler
from genmod.plugins.posteriors._neural_maps import zuko_flows
from genmod.plugins.samplers._standard import Standard
from genmod.plugins.samplers._steps import fit_network, rows_of, split_held
from genmod.system import seed_for, seeded

__all__ = ["FlowSampler"]


@final
class FlowSampler(Sampler):
    """An autoregressive normalising flow from a standard normal, trained by maximum likelihood (zuko).

    ``p(z) = N(f(z); 0, I) |det ∂f/∂z|``, ``batch_shape ()``, of a conditional model ``(B,)``, ``event_shape
    latent_shape``

    A tenth of the codes is held out: the weights kept are those under which these are most likely, and the fit ends
    when their likelihood has not risen for a while.

    Reference:
        Neural Spline Flows (Durkan et al., 2019), arXiv:1906.04032;
        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017), arXiv:1705.07057

    Example:
        >>> sampler = FlowSampler((2,), kind="maf", transforms=1, hidden=[8], steps=25)
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
        kind: Annotated[
            Literal["nsf", "maf"], Doc("what each step does to a value: a spline, or a scale and a shift")
        ] = "nsf",
        transforms: Annotated[int, Gt(0), Doc("number of autoregressive steps")] = 3,
        hidden: Annotated[Sequence[Annotated[int, Gt(0)]], Doc("width of each hidden layer of each step")] = (
            64,
            64,
        ),
        steps: Annotated[int, Gt(0), Doc("most optimizer steps of the fit")] = 3000,
        batch: Annotated[int, Gt(0), Doc("codes in each step of the fit")] = 256,
        lr: Annotated[float, Gt(0), Doc("learning rate of the fit")] = 2e-3,
    ) -> None:
        super().__init__(latent_shape)
        self.kind, self.transforms, self.hidden = kind, transforms, tuple(hidden)
        self.steps, self.batch, self.lr, self.context_size = steps, batch, lr, context_size
        self.standard = Standard(latent_shape)
        self.flow = self._new_flow()

    def _new_flow(self) -> Any:
        make = zuko_flows().NSF if self.kind == "nsf" else zuko_flows().MAF
        size = self.standard.loc.numel()
        # Its masks are computed from values, which other devices may not have.
        with torch.device("cpu"):
            return make(size, self.context_size, transforms=self.transforms, hidden_features=self.hidden)

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

        def loss(flow: Any, some: Tensor) -> Tensor:
            given = None if context is None else some[:, size:]
            return -flow(given).log_prob(some[:, :size]).mean()  # type: ignore[no-any-return]

        with seeded(seed_for(seed, "flow")), torch.enable_grad():
            self.flow = self._new_flow().to(codes)
            rest, places = split_held(codes)
            held = rows(places)
            fit_network(
                self.flow,
                rest,
                lambda some: loss(self.flow, rows(some)),
                lambda flow: loss(flow, held),
                steps=self.steps,
                batch=self.batch,
                lr=self.lr,
                folder=folder,
                on_step=on_step,
            )

    def forward(self, context: Tensor | None = None) -> Distribution:
        return self.standard.back(self.flow(context if self.context_size else None))
