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


@caught_by("check_dtype")
class DoubleConstant(TemplateEncoder):
    def forward(self, x):
        return super().forward(x) * torch.tensor([0.5], dtype=torch.float64)


@caught_by("check_device")
class HardCodedDevice(TemplateNetwork):
    def forward(self, z):
        return super().forward(z) + torch.ones(1, dtype=z.dtype, device="cpu").expand(1)


@caught_by("check_gradient")
class Detached(TemplateNetwork):
    def forward(self, z):
        return self.layers[2](self.layers[:2](z.flatten(1)).detach()).unflatten(1, self.out_shape)


@caught_by("check_gradient")
class DeadParameter(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.unused = nn.Parameter(torch.zeros(3))


@caught_by("check_gradient")
class DetachedPrior(TemplatePrior):
    def forward(self):
        return diagonal_normal(self.loc.detach(), self.log_scale, len(self.latent_shape))


@caught_by("check_input")
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
    *("check_same_seed", "check_input"),
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


@caught_by("check_deepcopy", "check_dtype")
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
