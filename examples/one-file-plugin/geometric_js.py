"""A paper in one file: genmod build --plugin geometric_js.py --divergence geometric-js"""

from typing import Annotated

from annotated_types import Ge, Lt
from torch import Tensor, exp
from torch.distributions import Distribution, kl_divergence

from genmod import Component, Divergence, Doc, LogScaleNormal, UndefinedError, diagonal_normal, hookimpl


class GeometricJS(Divergence):
    """``(1-α) KL(q ‖ m) + α KL(p ‖ m)``, ``m ∝ q^(1-α) p^α``, of independent normals, ``(B,)`` in nats.

    Constraining Variational Inference with Geometric Jensen-Shannon Divergence (Deasy et al., 2020), arXiv:2006.10599
    """

    def __init__(self, *, alpha: Annotated[float, Ge(0), Lt(1), Doc("weight of the prior")] = 0.5) -> None:
        super().__init__()
        self.alpha = alpha

    def check(self, q: Distribution, p: Distribution) -> None:
        if not all(isinstance(getattr(each, "base_dist", None), LogScaleNormal) for each in (q, p)):
            raise UndefinedError("it is known for normals alone", hint="--posterior normal --prior normal")

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        a, b = q.base_dist, p.base_dist
        tau_a, tau_b = (1 - self.alpha) * exp(-2 * a.log_scale), self.alpha * exp(-2 * b.log_scale)
        mean = (tau_a * a.loc + tau_b * b.loc) / (tau_a + tau_b)
        m = diagonal_normal(mean, -0.5 * (tau_a + tau_b).log(), len(q.event_shape))
        return (1 - self.alpha) * kl_divergence(q, m) + self.alpha * kl_divergence(p.expand(q.batch_shape), m)


@hookimpl
def genmod_components():
    yield Component("divergence", "geometric-js", "geometric_js:GeometricJS", "geometric Jensen-Shannon")
