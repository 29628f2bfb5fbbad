"""Faults: features."""

import torch

from genmod.scaffold.templates.features import TemplateFeatures
from planted import caught_by


@caught_by("check_features_shape")
class OneMapOfFeatures(TemplateFeatures):
    def forward(self, x):
        return super().forward(x)[:, None]


@caught_by("check_features_shape", "check_features_rows", "check_features_values", "check_features_layers")
class AsManyFeaturesAsExamples(TemplateFeatures):
    def forward(self, x):
        return super().forward(x)[:, : len(x)]


@caught_by("check_features_rows", "check_features_layers")
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


@caught_by(
    "check_features_asking",
    "check_features_rows",
    "check_features_fit",
    "check_features_state",
    "check_features_values",
    "check_features_layers",
)
class CentresExamplesInPlace(TemplateFeatures):
    def forward(self, x):
        return super().forward(x.sub_(0.5))


@caught_by("check_features_asking", "check_features_rows", "check_features_layers")
class FollowsItsExamples(TemplateFeatures):
    """Its mean moves with whatever it is asked about."""

    def forward(self, x):
        found = super().forward(x)
        self.mean.lerp_(x.flatten(1).mean(0), 0.01)
        return found


@caught_by(
    "check_features_asking",
    "check_features_rows",
    "check_features_layers",
    "check_features_fit",
    "check_features_state",
)
class FeaturesWithNoise(TemplateFeatures):
    def forward(self, x):
        found = super().forward(x)
        return found + 0.01 * torch.randn_like(found)


@caught_by("check_features_asking")
class DiffersWhereGradientsAreOff(TemplateFeatures):
    def forward(self, x):
        found = super().forward(x)
        return found if torch.is_grad_enabled() else found.half().to(found.dtype)


@caught_by("check_features_layers")
class LayersOfTheWholeBatch(TemplateFeatures):
    def layers(self, x):
        return {"means": self(x).mean(0, keepdim=True)}


@caught_by("check_features_layers")
class LayersByTheBatch(TemplateFeatures):
    def layers(self, x):
        found = self(x)
        return {"features": found / found.abs().amax()}


@caught_by("check_features_values")
class FeaturesWithoutTheLastColumn(TemplateFeatures):
    def forward(self, x):
        return super().forward(torch.cat([x[..., :-1], torch.zeros_like(x[..., :1])], -1))


@caught_by("check_features_fit")
class SeedsForItsProjection(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        torch.manual_seed(seed)
        super().fit(x, labels)
