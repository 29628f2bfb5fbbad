"""Right objectives."""

from typing import Annotated

from annotated_types import Ge

from correct import right
from genmod import Doc, Terms
from genmod.scaffold.templates.objective import TemplateObjective


@right(always=True)
class AtLeastTwoDraws(TemplateObjective):
    """The mean over two draws or more, as an estimate of a variance needs them."""

    def __init__(self, *, samples: Annotated[int, Ge(2), Doc("draws of the latents for each example")] = 2):
        super().__init__()
        self.samples = samples

    def forward(self, model, x):
        q, p = model.encode(x), model.prior()
        z = q.rsample((self.samples,))
        distortion, rate = -model.decode(z).log_prob(x).mean(0), model.divergence(q, p, z)
        return Terms(
            (distortion + rate).mean(), {"elbo": -(distortion + rate), "distortion": distortion, "rate": rate}
        )
