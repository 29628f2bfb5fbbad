"""genmod: latent-variable generative models assembled from named components.

Importing this package imports nothing heavy; each name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genmod.component import Component, hookimpl

if TYPE_CHECKING:
    from genmod.assembly import open_dataset
    from genmod.bundle import load, save
    from genmod.composition import build, compose
    from genmod.dataset import Batch, DataInfo, Dataset, Factor, Split, TensorSplit
    from genmod.decoder import Decoder
    from genmod.distributions import LogScaleNormal, bounded_log_scale, diagonal_normal
    from genmod.divergence import Divergence
    from genmod.encoder import Encoder
    from genmod.errors import DataError, FileError, GenmodError, PluginError, UndefinedError, UsageError
    from genmod.evaluation import Evaluation, Row, Subject, Undefined, bits_per_dim, evaluate, mean_row
    from genmod.features import Features
    from genmod.fitting import fit_sampler
    from genmod.metric import Metric
    from genmod.model import GenerativeModel, LatentVariableModel
    from genmod.network import Network
    from genmod.objective import Objective, Terms
    from genmod.options import Activation, Doc
    from genmod.posterior import Posterior
    from genmod.prior import Prior
    from genmod.sampler import Sampler
    from genmod.spec import ComponentSpec, ModelSpec
    from genmod.tracker import Tracker
    from genmod.training.loop import train
    from genmod.training.schedule import Schedule
    from genmod.training.settings import TrainSettings

__all__ = [
    "Activation",
    "Batch",
    "Component",
    "ComponentSpec",
    "DataError",
    "DataInfo",
    "Dataset",
    "Decoder",
    "Divergence",
    "Doc",
    "Encoder",
    "Evaluation",
    "Factor",
    "Features",
    "FileError",
    "GenerativeModel",
    "GenmodError",
    "LatentVariableModel",
    "LogScaleNormal",
    "Metric",
    "ModelSpec",
    "Network",
    "Objective",
    "PluginError",
    "Posterior",
    "Prior",
    "Row",
    "Sampler",
    "Schedule",
    "Split",
    "Subject",
    "TensorSplit",
    "Terms",
    "Tracker",
    "TrainSettings",
    "Undefined",
    "UndefinedError",
    "UsageError",
    "bits_per_dim",
    "bounded_log_scale",
    "build",
    "compose",
    "diagonal_normal",
    "evaluate",
    "fit_sampler",
    "hookimpl",
    "load",
    "mean_row",
    "open_dataset",
    "save",
    "train",
]

_WHERE = {
    "bundle": "load save",
    "assembly": "open_dataset",
    "composition": "build compose",
    "dataset": "Batch DataInfo Dataset Factor Split TensorSplit",
    "decoder": "Decoder",
    "distributions": "LogScaleNormal bounded_log_scale diagonal_normal",
    "divergence": "Divergence",
    "encoder": "Encoder",
    "errors": "DataError FileError GenmodError PluginError UndefinedError UsageError",
    "evaluation": "Evaluation Row Subject Undefined bits_per_dim evaluate mean_row",
    "features": "Features",
    "fitting": "fit_sampler",
    "metric": "Metric",
    "model": "GenerativeModel LatentVariableModel",
    "network": "Network",
    "objective": "Objective Terms",
    "options": "Activation Doc",
    "posterior": "Posterior",
    "prior": "Prior",
    "sampler": "Sampler",
    "spec": "ComponentSpec ModelSpec",
    "tracker": "Tracker",
    "training.loop": "train",
    "training.schedule": "Schedule",
    "training.settings": "TrainSettings",
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("genmod-torch")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'genmod' has no attribute {name!r}")
    value = getattr(import_module(f"genmod.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
