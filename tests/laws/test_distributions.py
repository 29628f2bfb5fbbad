"""Laws of every distribution of ours: batch and event, what is broadcast over the batch, and what expanding it gives."""

import importlib
import pkgutil
import sys

import pytest
import torch
from torch.distributions import Bernoulli, Distribution, Normal, constraints

import genmod
from genmod import DataInfo, LogScaleNormal, diagonal_normal
from genmod.distributions import (
    Coded,
    CodedPrior,
    PreciseBeta,
    PreciseDirichlet,
    PreciseGamma,
    StandardNormal,
)
from genmod.distributions.marginal import Marginal
from genmod.distributions.reshaped import Reshaped
from genmod.model.latents_from import LatentsFrom
from genmod.plugins.decoders._coupled_logistics import CoupledLogisticMixture
from genmod.plugins.decoders.bernoulli import BinaryValues
from genmod.plugins.decoders.categorical import LevelCategorical
from genmod.plugins.decoders.columns import Columns
from genmod.plugins.decoders.continuous_bernoulli import ContinuousBernoulli
from genmod.plugins.decoders.discretized_logistic import DiscretizedLogistic
from genmod.plugins.decoders.discretized_logistic_mixture import DiscretizedLogisticMixture
from genmod.plugins.decoders.gaussian import GaussianDecoder
from genmod.plugins.decoders.log_cosh import LogCosh
from genmod.plugins.decoders.ms_ssim import MsSsim
from genmod.plugins.decoders.negative_binomial import MeanNegativeBinomial
from genmod.plugins.decoders.perceptual import Perceptual
from genmod.plugins.decoders.poisson import LogRatePoisson
from genmod.plugins.decoders.student_t import StudentT
from genmod.plugins.decoders.zero_inflated_negative_binomial import ZeroInflated
from genmod.plugins.posteriors._bits import Bit, RelaxedBit
from genmod.plugins.posteriors._hierarchy import Hierarchy
from genmod.plugins.posteriors._maps import Planar
from genmod.plugins.posteriors._metric import Metric
from genmod.plugins.posteriors._side_by_side import Product
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot
from genmod.plugins.posteriors._transported import Transported
from genmod.plugins.posteriors.delta import Delta
from genmod.plugins.posteriors.fsq import FSQPosterior
from genmod.plugins.posteriors.logistic_normal import LogisticNormal, contrasts
from genmod.plugins.posteriors.normal_full import CorrelatedNormal
from genmod.plugins.posteriors.normal_lowrank import LowRankNormal
from genmod.plugins.posteriors.power_spherical import PowerSpherical
from genmod.plugins.posteriors.vmf import VonMisesFisher
from genmod.plugins.posteriors.wrapped_normal import WrappedNormal
from genmod.plugins.priors._raster import RasterCodes
from genmod.plugins.priors.autoregressive import Chain
from genmod.plugins.priors.flow_matching import Matched
from genmod.plugins.priors.gamma import _Gamma
from genmod.plugins.priors.uniform_sphere import UniformSphere
from genmod.plugins.priors.vamp import DistributionMixture
from genmod.plugins.samplers._carried import Carried
from genmod.plugins.samplers._velocity import VectorNetwork
from genmod.plugins.samplers.kde import KernelDensity
from genmod.plugins.samplers.riemannian import Explored
from genmod.system.tensors import fingerprint

B = (2, 3)
LEVELS, IMAGE, GREY = DataInfo((1,), levels=8), DataInfo((3, 4, 4), levels=8), DataInfo((1, 8, 8))


def r(*shape):
    return torch.randn(*B, *shape)


def unit(*shape):
    return torch.nn.functional.normalize(r(*shape), dim=-1)


def calibrating():
    decoder = GaussianDecoder(DataInfo((4,)), scale="optimal").eval()
    made = decoder.train()(r(4)).base_dist
    made._decoder.calibrate = lambda mean_square: None
    return made


BOOK = FSQPosterior((5,), (3, 2), levels=(4, 3))


def coded():
    codes = torch.randint(12, (*B, 3))
    point = BOOK.embed(codes)
    return Coded(point + 0.1, codes, point, BOOK)


def below(above):
    return above.mean(-1, keepdim=True).expand(*above.shape[:-1], 3), torch.zeros(*above.shape[:-1], 3)


def from_codes():
    model = genmod.build(encoder="mlp", latent=2)
    info = genmod.DataInfo((2,), -1e9, 1e9, coded_by=fingerprint(model))
    spec = genmod.compose("vae", components={"encoder": "mlp", "decoder": "gaussian"})
    return LatentsFrom(genmod.assemble(spec, info), model)()


MADE = {
    "LogScaleNormal": lambda: LogScaleNormal(r(), r()),
    "LogScaleNormal of parts": lambda: LogScaleNormal(torch.randn(2, 1), torch.randn(3)),
    "StandardNormal": lambda: StandardNormal(torch.zeros(B)),
    "PreciseBeta": lambda: PreciseBeta(r().exp(), r().exp(), validate_args=False),
    "PreciseGamma": lambda: PreciseGamma(r().exp(), r().exp(), validate_args=False),
    "_Gamma": lambda: _Gamma(r().exp(), r().exp(), validate_args=False),
    "PreciseDirichlet": lambda: PreciseDirichlet(r(4).exp(), validate_args=False),
    "Marginal": lambda: Marginal(diagonal_normal(r(4), r(4), 1), 0.0),
    "BinaryValues": lambda: BinaryValues(r(4), 1),
    "Columns": lambda: Columns(
        [Normal(torch.randn(2, 1), 1.0), Bernoulli(logits=torch.randn(2, 2), validate_args=False)],
        [constraints.real, constraints.boolean],
    ),
    "LevelCategorical": lambda: LevelCategorical(r(8), LEVELS),
    "ContinuousBernoulli": lambda: ContinuousBernoulli(r()),
    "CoupledLogisticMixture": lambda: CoupledLogisticMixture(r(10, 5, 4, 4), IMAGE),
    "DiscretizedLogistic": lambda: DiscretizedLogistic(r(), torch.zeros(()), LEVELS),
    "DiscretizedLogisticMixture": lambda: DiscretizedLogisticMixture(
        r(5), DiscretizedLogistic(r(5), r(5), LEVELS)
    ),
    "LogCosh": lambda: LogCosh(r(), 10.0),
    "MsSsim": lambda: MsSsim(r(1, 8, 8).sigmoid(), 0.0, 1.0, 1.0),
    "Perceptual": lambda: Perceptual(r(1, 8, 8).sigmoid(), GREY, lambda x: {"maps": 2 * x}, 1.0, 1.0),
    "MeanNegativeBinomial": lambda: MeanNegativeBinomial(r(), torch.randn(3)),
    "LogRatePoisson": lambda: LogRatePoisson(r()),
    "StudentT": lambda: StudentT(torch.tensor(3.0), r(), torch.randn(3)),
    "ZeroInflated": lambda: ZeroInflated(r(), MeanNegativeBinomial(torch.randn(3), torch.zeros(()))),
    "_Calibrating": calibrating,
    "RelaxedBit": lambda: RelaxedBit(r(), 0.5),
    "Bit": lambda: Bit(r(), 0.5),
    "OneHot": lambda: OneHot(r(5, 4), 0.5, 2),
    "RelaxedOneHot": lambda: RelaxedOneHot(r(5, 4), 0.5, 2),
    "Delta": lambda: Delta(r(4), 1),
    "LogisticNormal": lambda: LogisticNormal(r(5, 3), r(5, 3), contrasts(4), 2),
    "CorrelatedNormal": lambda: CorrelatedNormal(r(2, 2), r(2, 2), r(4, 4), 2),
    "LowRankNormal": lambda: LowRankNormal(r(2, 2), r(2, 2), r(4, 2), 2),
    "PowerSpherical": lambda: PowerSpherical(unit(4), r().exp()),
    "VonMisesFisher": lambda: VonMisesFisher(unit(4), r().exp()),
    "WrappedNormal": lambda: WrappedNormal(0.5 * unit(4), r(4) - 1, 1.0),
    "Product": lambda: Product([diagonal_normal(r(4), r(4), 1), OneHot(r(3), 0.5, 1)]),
    "Transported": lambda: Transported(diagonal_normal(r(4), r(4), 1), [Planar(r(4), r(4), r())], (2, 2)),
    "UniformSphere": lambda: UniformSphere(torch.zeros(*B, 4)),
    "DistributionMixture": lambda: DistributionMixture(
        torch.randn(3), diagonal_normal(torch.randn(3, 4), torch.randn(3, 4), 1)
    ),
    "Reshaped": lambda: Reshaped(
        diagonal_normal(torch.randn(6, 4), torch.randn(6, 4), 1), torch.Size((2, 3))
    ),
    "Chain": lambda: Chain(torch.zeros_like, (4, 3), torch.zeros(1)),
    "RasterCodes": lambda: RasterCodes(lambda k, given: given[:, None, :] + torch.zeros(4, 3), (4,), 3, r(3)),
    "Coded": coded,
    "CodedPrior": lambda: CodedPrior(OneHot(torch.zeros(3, 12), 1.0, 2), BOOK, (3, 2)),
    "Hierarchy": lambda: Hierarchy(diagonal_normal(r(2), r(2), 1), [(3, below)]),
    "Carried": lambda: Carried(lambda y, t: 0.3 * y, torch.zeros(2), 4),
    "Matched": lambda: Matched(VectorNetwork(2, (8,)), torch.zeros(2), 4),
    "TopDown": lambda: genmod.build("vdvae-small", latent=2, settings={"posterior.groups": 1}).prior(),
    "Explored": lambda: Explored(Metric(torch.zeros(1, 2), torch.eye(2)[None], 1.0, 0.01), 2, 0.1),
    "KernelDensity": lambda: KernelDensity(torch.randn(20, 3), torch.eye(3)),
    "Implicit": from_codes,
}
WITHOUT_DENSITY = {"Delta", "Explored", "Implicit"}
WITHOUT_NOISE = {"Coded", "Delta", "LogCosh", "MsSsim", "Perceptual"}
OF_THE_WHOLE_BATCH = {"_Calibrating"}
"""Its scale is that of all the values it is asked about."""


def test_every_distribution_of_ours_is_here():
    for package in (genmod, genmod.plugins):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)

    def subclasses(cls):
        for each in cls.__subclasses__():
            yield each
            yield from subclasses(each)

    ours = {
        cls.__name__
        for cls in subclasses(Distribution)
        if cls.__module__.startswith("genmod.")
        and not cls.__module__.startswith("genmod.testing")
        # Not those that an example in a docstring made, in this process, a while ago.
        and vars(sys.modules[cls.__module__]).get(cls.__name__) is cls
    }
    # Bases of several are none themselves.
    bases = {
        "LevelDistribution",
        "Levels",
        "Directions",
        "_Classes",
        "Correlated",
        "IntegerCodes",
        "PointMass",
    }
    assert ours - bases == set(MADE) - {"LogScaleNormal of parts"}


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MADE)
def test_a_value_is_scored_under_every_distribution_of_the_batch(name):
    p = MADE[name]()
    batch, event = tuple(p.batch_shape), tuple(p.event_shape)
    x = p.sample((5,))
    assert x.shape == (5, *batch, *event)
    if name in WITHOUT_DENSITY:
        return
    whole = p.log_prob(x)
    assert whole.shape == (5, *batch)
    for at in [(0,) * (i + 1) for i in range(1 + len(batch))]:
        value, rest = x[at], batch[len(at) - 1 :]
        assert value.shape == (*rest, *event)
        # Alone, and with a dimension of draws before it.
        for given in (value, value[(None,) * (1 + len(batch) - len(rest))]):
            found = p.log_prob(given)
            assert found.shape[-len(batch) or len(found.shape) :] == batch
            assert found.numel() == torch.Size(batch).numel()
            if name not in OF_THE_WHOLE_BATCH:
                everywhere = given.expand(torch.broadcast_shapes(given.shape, (*batch, *event)))
                close(found, p.log_prob(everywhere.contiguous()))
    if len(batch) == 2 and name not in OF_THE_WHOLE_BATCH:
        assert p.log_prob(x[:, :1, :1]).shape == (5, *batch)


@pytest.mark.parametrize("name", MADE)
def test_expanded_it_is_itself_in_every_place(name):
    p = MADE[name]()
    batch, event = tuple(p.batch_shape), tuple(p.event_shape)
    wide = p.expand(torch.Size((7, *batch)))
    assert type(wide) is type(p)
    assert (wide.batch_shape, wide.event_shape) == ((7, *batch), event)
    x = p.sample()
    draws = wide.sample((2,))
    assert draws.shape == (2, 7, *batch, *event)
    if name not in WITHOUT_NOISE:
        assert not torch.equal(draws[:, 0], draws[:, 1])
    if p.has_rsample:
        assert wide.rsample((2,)).shape == draws.shape
    if name not in WITHOUT_DENSITY:
        found = wide.log_prob(x)
        assert found.shape == (7, *batch)
        if name not in OF_THE_WHOLE_BATCH:
            close(found[3], p.log_prob(x))
            assert wide.log_prob(draws).shape == (2, 7, *batch)
    for moment in ("mean", "variance"):
        try:
            stated = getattr(p, moment)
        except (AttributeError, NotImplementedError):
            continue
        assert stated.shape == (*batch, *event)
        close(getattr(wide, moment), stated.expand(7, *batch, *event))
    try:
        entropy = p.entropy()
    except NotImplementedError:
        return
    assert entropy.shape == batch
    close(wide.entropy(), entropy.expand(7, *batch))
