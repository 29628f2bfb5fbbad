"""Faults: features."""

import torch

from genmod.scaffold.templates.features import TemplateFeatures
from planted import caught_by


@caught_by("check_features_shape")
class OneMapOfFeatures(TemplateFeatures):
    def forward(self, x):
        return super().forward(x)[:, None]


@caught_by("check_features_shape", "check_features_rows")
class AsManyFeaturesAsExamples(TemplateFeatures):
    def forward(self, x):
        return super().forward(x)[:, : len(x)]


@caught_by("check_features_rows")
class FeaturesLessTheirMean(TemplateFeatures):
    def forward(self, x):
        found = super().forward(x)
        return found - found.mean(0)


@caught_by("check_features_fit", "check_features_state")
class FeaturesAtRandom(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        super().fit(x, labels)
        self.spread.mul_(1 + torch.rand(()))


@caught_by("check_features_fit")
class GoesOnFromTheLastFeatures(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        before = self.mean.clone()
        super().fit(x, labels)
        self.mean.add_(before, alpha=0.1)


@caught_by("check_features_fit")
class CentresTheTrainingData(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        super().fit(x, labels)
        x -= x.mean(0)


@caught_by("check_features_state")
class KeepsItsSpreadToItself(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        super().fit(x, labels)
        self.width = 1 / x.std()

    def forward(self, x):
        return super().forward(x) * getattr(self, "width", 1.0)
