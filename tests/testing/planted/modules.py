"""Faults: modules."""

import threading

import numpy as np
import torch
from torch import nn
from torch.distributions import (
    Independent,
    Laplace,
)

from genmod import (
    diagonal_normal,
)
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.network import TemplateNetwork
from genmod.scaffold.templates.prior import TemplatePrior
from planted import caught_by


@caught_by("check_dtype", "check_own_device")
class DoubleConstant(TemplateEncoder):
    def forward(self, x):
        return super().forward(x) * torch.tensor([0.5], dtype=torch.float64)


@caught_by("check_device", "check_own_device")
class HardCodedDevice(TemplateNetwork):
    def forward(self, z):
        return super().forward(z) + torch.ones(1, dtype=z.dtype, device="cpu").expand(1)


@caught_by("check_gradient", "check_input_gradient")
class Detached(TemplateNetwork):
    def forward(self, z):
        return self.layers[2](self.layers[:2](z.flatten(1)).detach()).unflatten(1, self.out_shape)


@caught_by("check_gradient")
class DeadParameter(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.unused = nn.Parameter(torch.zeros(3))


@caught_by("check_gradient", "check_density_gradient")
class DetachedPrior(TemplatePrior):
    def forward(self):
        return diagonal_normal(self.loc.detach(), self.log_scale, len(self.latent_shape))


@caught_by("check_input", "check_dtype", "check_input_gradient", "check_every_parameter", "check_extremes")
class IgnoresTheNetwork(TemplateDecoder):
    def forward(self, parameters):
        return super().forward(0 * parameters)


@caught_by("check_batch_independence", "check_batch_size")
class CentresTheBatch(TemplateEncoder):
    def forward(self, x):
        return super().forward(x - x.mean(0))


@caught_by("check_batch_independence", "check_batch_size", "check_shapes", "check_same_seed")
class BatchNormOfEveryBatch(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.norm = nn.BatchNorm1d(self.feature_shape[0], track_running_stats=False)

    def forward(self, x):
        return self.norm(super().forward(x))


@caught_by("check_batch_size")
class DividesByTheBatch(TemplateNetwork):
    def forward(self, z):
        return super().forward(z) / len(z)


@caught_by("check_evaluation")
class CountsItsCalls(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.register_buffer("calls", torch.tensor(0.0))

    def forward(self, x):
        self.calls = self.calls + 1
        return super().forward(x)


@caught_by(
    *(
        "check_evaluation",
        "check_batch_independence",
        "check_batch_size",
        "check_deepcopy",
        "check_state_dict",
    ),
    *("check_same_seed", "check_input", "check_randomness"),
)
class ChangesItsInput(TemplateEncoder):
    def forward(self, x):
        x.data.mul_(1.5)
        return super().forward(x)


@caught_by("check_same_seed")
class DrawsFromNumpy(TemplateEncoder):
    numbers = np.random.default_rng(0)

    def __init__(self, data_shape):
        super().__init__(data_shape)
        with torch.no_grad():
            self.layer.bias += float(self.numbers.normal())


@caught_by("check_random_state")
class SeedsTorch(TemplateEncoder):
    def __init__(self, data_shape):
        torch.manual_seed(0)
        super().__init__(data_shape)


@caught_by("check_random_state")
class SeedsNumpy(TemplateEncoder):
    def __init__(self, data_shape):
        np.random.seed(0)
        super().__init__(data_shape)


@caught_by("check_random_state", "check_batch_independence", "check_batch_size")
class DropsOutInEvaluation(TemplateEncoder):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), training=True)


@caught_by("check_state_dict")
class HidesState(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.secret = torch.randn(())

    def forward(self, x):
        return super().forward(x) * self.secret


@caught_by("check_deepcopy")
class SharesItsScale(TemplateDecoder):
    """A decoder whose copies have one parameter; UsageError."""

    def __init__(self, data):
        super().__init__(data)
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, parameters):
        return super().forward(parameters + self.shift)

    def __deepcopy__(self, memo):
        other = type(self)(self.data)
        other.shift = self.shift
        return other


@caught_by("check_deepcopy", "check_input", "check_every_value", "check_gradient", "check_dtype")
class SharesWhatItReturns(TemplateEncoder):
    """Features that are a view of a parameter, which copies share; UsageError."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.start = nn.Parameter(torch.zeros(self.feature_shape))

    def forward(self, x):
        return self.start.expand(len(x), *self.feature_shape)

    def __deepcopy__(self, memo):
        other = type(self)(self.data_shape)
        other.start = self.start
        return other


@caught_by("check_deepcopy", "check_dtype", "check_own_device")
class HoldsALock(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.lock = threading.Lock()


@caught_by("check_export", "check_device")
class DependsOnValues(TemplateEncoder):
    def forward(self, x):
        features = super().forward(x)
        return features if bool(features.sum() > -1e9) else -features


@caught_by("check_device")
class Validates(TemplateDecoder):
    def forward(self, parameters):
        return Independent(Laplace(parameters, self.scale, validate_args=True), len(self.data.shape))


@caught_by("check_dtype", "check_batch_size")
class ThinksInSinglePrecision(TemplateEncoder):
    def forward(self, x):
        return nn.functional.linear(
            x.flatten(1).float(), self.layer.weight.float(), self.layer.bias.float()
        ).to(x.dtype)


@caught_by("check_dtype")
class StoresHalfPrecision(TemplateNetwork):
    def forward(self, z):
        return super().forward(z + (z.half().to(z.dtype) - z).detach())


@caught_by("check_state_dict", "check_device", "check_randomness")
class CountsInAPlainAttribute(TemplateEncoder):
    """It centres by what it saw in training, and saves none of it."""

    mean = 0.0

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * float(x.detach().double().mean()) + 0.01
        return super().forward(x - self.mean)


@caught_by("check_state_dict", "check_own_device")
class NormalisesByWhatItForgets(TemplateNetwork):
    """Running statistics that are no buffer."""

    spread = None

    def forward(self, z):
        if self.training:
            self.spread = z.detach().std()
        return super().forward(z if self.spread is None else z / self.spread)


@caught_by("check_evaluation", "check_same_seed", "check_randomness")
class AddsNoiseInPlace(TemplateEncoder):
    def forward(self, x):
        if self.training:
            x.data.add_(0.1)
        return super().forward(x)


@caught_by("check_evaluation")
class DiffersWithoutGradients(TemplateEncoder):
    def forward(self, x):
        features = super().forward(x)
        return features if torch.is_grad_enabled() else features.round()


@caught_by("check_deepcopy")
class RemembersItsFeatures(TemplateEncoder):
    def forward(self, x):
        self.last = super().forward(x)
        return self.last


@caught_by("check_evaluation")
class FollowsARunningMeanInEvaluation(TemplateEncoder):
    """Batch norm whose statistics move in evaluation too."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen.lerp_(x.detach().mean(), 0.1)
        return super().forward(x)


@caught_by("check_random_state", "check_same_seed", "check_batch_independence", "check_batch_size")
class SmoothsByChance(TemplateNetwork):
    def forward(self, z):
        return super().forward(z + 0.01 * torch.randn_like(z))


@caught_by("check_random_state")
class InitialisesFromASeed(TemplateNetwork):
    """Its first layer is the same for every seed of a run."""

    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        torch.manual_seed(17)
        nn.init.orthogonal_(self.layers[0].weight)


@caught_by("check_batch_independence", "check_batch_size")
class AttendsToTheBatch(TemplateEncoder):
    """Attention between the examples, where it was meant between places."""

    def forward(self, x):
        features = super().forward(x)
        return features + (features @ features.T / features.shape[1] ** 0.5).softmax(1) @ features


@caught_by("check_batch_size", "check_shapes")
class SqueezesTheBatch(TemplateEncoder):
    def forward(self, x):
        return super().forward(x).squeeze(0)
