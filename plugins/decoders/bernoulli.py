"""Bernoulli likelihood for binary data."""

import math
from typing import Annotated, Any, Literal, final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, constraints
from torch.nn import functional

from genmod import DataInfo, Decoder, Doc, UsageError
from genmod.plugins.decoders._ranges import require_unit_interval

__all__ = ["BernoulliDecoder", "BinaryValues"]


@final
class BinaryValues(Independent):
    """Zeros and ones by their logits.

    ``log p(x) = Σ_i log σ(s_i)``, ``s_i = (2 x_i - 1) l_i``

    Without gradients, as in evaluation, ``Σ_i log σ(s_i) = -Σ_g log Π_{i in g} (1 + exp(-s_i))``: one logarithm for each
    group of factors. Where a product is beyond the largest number, ``Σ_i min(s_i, 0) + Σ_g log Π_{i in g} σ(|s_i|)``, whose
    factors are not below a half. Nothing cancels, and it takes less than half the time.

    Args:
        logits: ``(*batch, *event_shape)``.
        event_dims: how many of the last dimensions are one event, one or more.

    Example:
        >>> BinaryValues(torch.zeros(3, 2, 2), 2).log_prob(torch.ones(2, 2))
        tensor([-2.7726, -2.7726, -2.7726])
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        super().__init__(Bernoulli(logits=logits, validate_args=False), event_dims, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "BinaryValues":
        logits: Tensor = self.base_dist.logits
        return BinaryValues(logits.expand(*batch_shape, *self.event_shape), self.reinterpreted_batch_ndims)

    def log_prob(self, value: Tensor) -> Tensor:
        """``value (*batch, *event_shape)`` of zeros and ones → ``(*batch)``, nats."""
        logits: Tensor = self.base_dist.logits
        dims = self.reinterpreted_batch_ndims
        if torch.is_grad_enabled() and (logits.requires_grad or value.requires_grad):
            if value.shape != logits.shape:
                logits, value = torch.broadcast_tensors(logits, value)
            wrong = functional.binary_cross_entropy_with_logits(logits, value, reduction="none")
            return -wrong.flatten(-dims).sum(-1)
        if _reads_numbers(logits) and _reads_numbers(value):
            # In most pictures hardly a value is so improbable, and each pass over memory that is saved counts.
            products = _products(logits, 1 - 2 * value, dims)
            if products.numel() == 0 or float(products.amax()) < math.inf:
                return products.log_().sum(-1).neg_()
        s = (logits * (2 * value - 1)).flatten(-dims)
        wrong = s.clamp(max=0).sum(-1)
        # So many numbers from ½ to 1 do not underflow.
        most = -round(math.log2(torch.finfo(s.dtype).tiny)) - 1
        right = s.abs_().sigmoid_().unflatten(-1, (-1, _divisor(s.shape[-1], most))).prod(-1)
        return wrong + right.log_().sum(-1)


_PIECE = 2**17
"""Factors that a thread works out at a time: half a megabyte, which its cache still holds when they are multiplied."""
_FEW = 16
"""Factors of a product, at most: far apart in a picture, so that few of them are small together."""


def _products(logits: Tensor, signs: Tensor, dims: int) -> Tensor:
    """``Π_{i in g} (1 + exp(-s_i))``, ``(*batch, groups)``, of ``-s = logits * signs``."""
    if signs.shape != logits.shape:
        logits, signs = torch.broadcast_tensors(logits, signs)
    logits, signs = logits.flatten(-dims), signs.flatten(-dims)
    *batch, event = logits.shape
    few = _divisor(event, _FEW)
    longest = max(range(len(batch)), key=batch.__getitem__, default=0)
    pieces = max(1, logits.numel() // (_PIECE * torch.get_num_threads())) if batch else 1
    found = []
    for some, theirs in zip(logits.chunk(pieces, longest), signs.chunk(pieces, longest), strict=True):
        factors = (some * theirs).exp_().add_(1)
        found.append(factors.reshape(*factors.shape[:-1], few, event // few).prod(-2))
    return found[0] if len(found) == 1 else torch.cat(found, longest)


def _reads_numbers(x: Tensor) -> bool:
    """Whether what is computed next may depend on the numbers of a tensor, at no cost; not where a program is made of it."""
    return type(x) is Tensor and x.device.type == "cpu" and not torch.compiler.is_compiling()


def _divisor(n: int, most: int) -> int:
    """The largest divisor of ``n`` that is at most so large."""
    return next(size for size in range(min(n, most), 0, -1) if n % size == 0)


_EXAMPLES = 60_000
"""Number of training examples that are averaged, at most."""
_RAREST = 1e-3
"""Means are kept this far from 0 and 1."""


@final
class BernoulliDecoder(Decoder):
    """Independent binary values with logits from the network.

    ``log p(x|z) = Σ_i x_i l_i - log(1 + exp(l_i))``, nats

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``.

    Grey values have no Bernoulli probability. ``binarize`` chooses how they are treated: ``refuse`` accepts binary data
    only; ``dynamic`` draws a new binary image each time, with the grey value as probability; ``threshold`` cuts at the
    middle of the range; ``none`` uses them as soft targets, which is a cross-entropy but not a density, so that the model
    has no ELBO, NLL or bits/dim.

    With ``centred`` the logits of the mean training example are added to the output of the network, so that training
    begins there: on MNIST that is worth about a nat.

    Reference:
        On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov and Murray, 2008),
        doi:10.1145/1390156.1390266, for dynamic binarisation

    Raises:
        UsageError: the data are not between 0 and 1, or are grey and ``binarize`` is not given.

    Example:
        >>> decoder = BernoulliDecoder(DataInfo((1, 2, 2)), binarize="dynamic")
        >>> decoder(torch.zeros(3, 1, 2, 2)).log_prob(torch.ones(3, 1, 2, 2))
        tensor([-2.7726, -2.7726, -2.7726])
    """

    offset: Tensor

    def __init__(
        self,
        data: DataInfo,
        *,
        binarize: Annotated[
            Literal["refuse", "dynamic", "threshold", "none"],
            Doc(
                "how grey values are treated: an error, a new draw each time, a cut in the middle, or soft targets"
            ),
        ] = "refuse",
        centred: Annotated[bool, Doc("begin at the mean of the training data")] = False,
    ) -> None:
        super().__init__(data)
        binary = data.levels == 2
        require_unit_interval("bernoulli", data)
        if binarize == "refuse" and not binary:
            raise UsageError(
                "decoder 'bernoulli' is for binary data, and these have values between 0 and 1",
                hint="choose how to treat them: -s decoder.binarize=dynamic (a new draw each time), threshold, or none "
                "(soft targets, no density); or take --decoder gaussian",
            )
        self.binarize = "refuse" if binary else binarize
        self.is_density = self.binarize != "none"
        self.support = constraints.independent(
            constraints.boolean if self.is_density else constraints.unit_interval, len(data.shape)
        )
        self.parameter_shape = data.shape
        self.examples_wanted = _EXAMPLES if centred else 0
        if centred:
            self.register_buffer("offset", torch.zeros(data.shape))

    def prepare(self, examples: Tensor) -> None:
        mean = self.data.values(examples, self.offset.dtype).mean(0)
        # A pixel that is never on here may be on in other examples.
        self.offset.copy_(mean.clamp(_RAREST, 1 - _RAREST).logit())

    @property
    def observed(self) -> DataInfo:
        if self.binarize in ("refuse", "none"):
            return self.data
        return DataInfo(self.data.shape, levels=2, classes=self.data.classes, factors=self.data.factors)

    def observe(self, x: Tensor) -> Tensor:
        if self.binarize == "dynamic":
            # For the same distribution, a comparison is several times as fast as torch.bernoulli, and one in place, which makes
            # numbers and no truth values, takes a tenth of the time of two operations.
            return torch.rand_like(x).lt_(x)
        if self.binarize == "threshold":
            return (x >= 0.5).to(x.dtype)
        return x

    def forward(self, parameters: Tensor) -> Independent:
        if self.examples_wanted:
            parameters = parameters + self.offset
        dims = len(self.data.shape)
        if self.is_density:
            return BinaryValues(parameters, dims)
        return Independent(Bernoulli(logits=parameters, validate_args=False), dims, validate_args=False)
