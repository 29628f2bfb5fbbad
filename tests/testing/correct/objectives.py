"""Right objectives."""

import math
from typing import Annotated

import torch
from annotated_types import Ge

from correct import right
from genmod import Doc, Objective, Terms, UsageError
from genmod.scaffold.templates.objective import TemplateObjective
from genmod.system import batch_mean


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


@right(always=True, weight="0->1 over 50%")
class Warmed(TemplateObjective):
    """The rate is weighted by a schedule."""


@right(weight=4.0)
class Weighted(TemplateObjective):
    """The rate counts four times in the loss, and once in what is reported."""


@right(always=True)
class Capacity(TemplateObjective):
    """The rate is held to three nats."""

    def forward(self, model, x):
        values = super().forward(model, x).values
        return Terms(values["distortion"].mean() + 10 * (batch_mean(values["rate"]) - 3).abs(), values)


@right()
class FreeBits(TemplateObjective):
    """Half a nat of each latent costs nothing."""

    def check(self, model):
        if not model.divergence.needs_prior:
            raise UsageError("it needs a divergence", hint="choose --divergence kl")

    def forward(self, model, x):
        q, p = model.encode(x), model.prior()
        z = q.rsample((1,))
        rates = model.divergence.by_dimension(q, p, z)
        distortion = -model.decode(z).log_prob(x)[0]
        values = {"distortion": distortion, "rate": rates.sum(1), "elbo": -(distortion + rates.sum(1))}
        return Terms(distortion.mean() + rates.clamp(min=0.5).sum(1).mean(), values)


@right(always=True)
class Denoising(TemplateObjective):
    """The encoder sees the example with noise."""

    def forward(self, model, x):
        q, p = model.encode(x + 0.3 * torch.randn_like(x)), model.prior()
        z = q.rsample((1,))
        distortion, rate = -model.decode(z).log_prob(x)[0], model.divergence(q, p, z)
        return Terms((distortion + rate).mean(), {"distortion": distortion, "rate": rate})


@right()
class Reinforce(Objective):
    """The gradient of the codes by the score function, with the mean of the other draws as a baseline."""

    uses_divergence, needs_densities = False, True

    def forward(self, model, x):
        q = model.encode(x)
        z = q.sample((8,))
        log_q = q.log_prob(z)
        reward = model.decode(z).log_prob(x) + model.prior().log_prob(z) - log_q
        others = (reward.sum(0) - reward) / 7
        score = ((reward - others).detach() * log_q).mean(0)
        bound = reward.mean(0)
        return Terms(-(score + bound).mean(), {"elbo": bound.detach()}, watch=-bound.mean())


@right(always=True)
class WakeSleep(Objective):
    """The network learns from codes of the data, the codes from dreams of the network: two losses, each of its own group."""

    uses_divergence, needs_densities = False, True

    def groups(self, model):
        inference = [*model.encoder.parameters(), *model.posterior.parameters()]
        theirs = {id(parameter) for parameter in inference}
        return {"wake": [p for p in model.parameters() if id(p) not in theirs], "sleep": inference}

    def forward(self, model, x):
        q, p = model.encode(x), model.prior()
        z = q.sample((1,))
        distortion, rate = -model.decode(z).log_prob(x)[0], (q.log_prob(z) - p.log_prob(z))[0]
        with torch.no_grad():
            dreamt = p.sample((len(x),))
            dream = model.decode(dreamt).sample()
        sleep = -model.encode(dream).log_prob(dreamt)
        wake = distortion - p.log_prob(z)[0]
        return Terms(
            {"wake": wake.mean(), "sleep": sleep.mean()},
            {"elbo": -(distortion + rate), "distortion": distortion},
            watch=(distortion + rate).mean(),
        )


@right()
class Renyi(Objective):
    """A bound between the importance-weighted one and the ELBO."""

    uses_divergence, needs_densities = False, True

    def forward(self, model, x):
        weights = 0.5 * model.log_weights(x, 6)
        bound = (weights.logsumexp(0) - math.log(6)) / 0.5
        return Terms(-bound.mean(), {"vr": bound})


@right()
class InBits(TemplateObjective):
    """Its loss is in bits for each value, and its values are in nats."""

    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(terms.loss / (math.log(2) * x[0].numel()), terms.values)


@right()
class RegularisedAutoencoder(Objective):
    """Distortion, and the squared norm of the code, which is reported under a name of its own."""

    uses_divergence = False

    def forward(self, model, x):
        z = model.encode(x).rsample((1,))
        distortion, norm = -model.decode(z).log_prob(x)[0], z[0].flatten(1).square().sum(1)
        return Terms((distortion + 0.1 * norm).mean(), {"distortion": distortion, "squared_norm": norm})


@right()
class HingedRate(TemplateObjective):
    """The distortion counts as far as it is above two nats, and the rate is low of itself: a Lagrangian of fixed weights."""

    def forward(self, model, x):
        values = super().forward(model, x).values
        return Terms(5 * (values["distortion"] - 2).clamp(min=0).mean() + values["rate"].mean(), values)
