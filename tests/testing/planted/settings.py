"""Faults: global settings that are changed."""

import os
import warnings

import numpy as np
import torch
from torch.distributions import Distribution

from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.metric import TemplateMetric
from genmod.scaffold.templates.network import TemplateNetwork
from genmod.scaffold.templates.sampler import TemplateSampler
from planted import caught_by


@caught_by("check_settings")
class ValidatesNowhere(TemplateDecoder):
    """It turns the validation of all distributions off; UsageError."""

    def __init__(self, data):
        super().__init__(data)
        Distribution.set_default_validate_args(False)


@caught_by("check_settings")
class HurriesMatrixProducts(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        torch.set_float32_matmul_precision("medium")


@caught_by("check_settings", "check_gradient", "check_input_gradient", "check_every_latent")
class StopsGradientsForGood(TemplateNetwork):
    def forward(self, z):
        made = super().forward(z)
        torch.set_grad_enabled(False)
        return made


@caught_by("check_settings")
class FitsOnOneThread(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        torch.set_num_threads(3)
        super().fit(codes, seed=seed)


@caught_by("check_settings")
class SilencesWarnings(TemplateMetric):
    """It measures, and nobody is warned any more."""

    def __init__(self):
        super().__init__()
        warnings.simplefilter("ignore")
        np.seterr(all="ignore")
        os.environ["GENMOD_IS_SILENT"] = "1"
