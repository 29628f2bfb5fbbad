"""genmod: latent-variable generative models assembled from named components.

Importing this package is fast: each name below is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

from genmod.registry.component import Component, hookimpl
from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.bundle.export import export
    from genmod.bundle.model import load, save
    from genmod.data.column import Column
    from genmod.data.dataset import Batch, DataInfo, Dataset, Factor, Split, SplitName, TensorSplit
    from genmod.data.sources import as_dataset
    from genmod.distributions.normal import LogScaleNormal, bounded_log_scale, diagonal_normal
    from genmod.errors import (
        DataError,
        DataWarning,
        FileError,
        GenmodError,
        PluginError,
        UndefinedError,
        UsageError,
    )
    from genmod.evaluation import (
        Evaluation,
        Metric,
        Row,
        Subject,
        Undefined,
        bits_per_dim,
        evaluate,
        mean_row,
    )
    from genmod.figures.showing import (
        show_interpolations,
        show_latents,
        show_reconstructions,
        show_samples,
        show_traversals,
    )
    from genmod.hub.methods import from_pretrained, push_to_hub, save_pretrained
    from genmod.interfaces.critic import Critic
    from genmod.interfaces.decoder import Decoder
    from genmod.interfaces.divergence import Divergence
    from genmod.interfaces.encoder import Encoder
    from genmod.interfaces.features import Features
    from genmod.interfaces.format import Format, Incoming
    from genmod.interfaces.given import GivenModel
    from genmod.interfaces.model import GenerativeModel
    from genmod.interfaces.network import Network
    from genmod.interfaces.objective import Objective, Terms
    from genmod.interfaces.observations import Observations
    from genmod.interfaces.part import Draw, Loss, ParameterGroup, Part
    from genmod.interfaces.posterior import Joint, Posterior
    from genmod.interfaces.prior import Prior
    from genmod.interfaces.sampler import Sampler
    from genmod.interfaces.tracker import Tracker
    from genmod.model.assembly import assemble, open_dataset
    from genmod.model.build import build, compose
    from genmod.model.fit_sampler import fit_sampler
    from genmod.model.latent_variable import LatentVariableModel
    from genmod.model.resized import resized
    from genmod.model.tiled import decode_tiled, encode_tiled, reconstruct_tiled
    from genmod.options.schedule import Schedule
    from genmod.options.schema import Activation, Doc
    from genmod.spec import ComponentSpec, ModelSpec
    from genmod.training.events import Event
    from genmod.training.settings import TrainSettings
    from genmod.training.train import train

__all__ = [
    "Activation",
    "Batch",
    "Column",
    "Component",
    "ComponentSpec",
    "Critic",
    "DataError",
    "DataInfo",
    "DataWarning",
    "Dataset",
    "Decoder",
    "Divergence",
    "Doc",
    "Draw",
    "Encoder",
    "Evaluation",
    "Event",
    "Factor",
    "Features",
    "FileError",
    "Format",
    "GenerativeModel",
    "GenmodError",
    "GivenModel",
    "Incoming",
    "Joint",
    "LatentVariableModel",
    "LogScaleNormal",
    "Loss",
    "Metric",
    "ModelSpec",
    "Network",
    "Objective",
    "Observations",
    "ParameterGroup",
    "Part",
    "PluginError",
    "Posterior",
    "Prior",
    "Row",
    "Sampler",
    "Schedule",
    "Split",
    "SplitName",
    "Subject",
    "TensorSplit",
    "Terms",
    "Tracker",
    "TrainSettings",
    "Undefined",
    "UndefinedError",
    "UsageError",
    "as_dataset",
    "assemble",
    "bits_per_dim",
    "bounded_log_scale",
    "build",
    "compose",
    "decode_tiled",
    "diagonal_normal",
    "encode_tiled",
    "evaluate",
    "export",
    "fit_sampler",
    "from_pretrained",
    "hookimpl",
    "load",
    "mean_row",
    "open_dataset",
    "push_to_hub",
    "reconstruct_tiled",
    "resized",
    "save",
    "save_pretrained",
    "show_interpolations",
    "show_latents",
    "show_reconstructions",
    "show_samples",
    "show_traversals",
    "train",
]

_public_name, __dir__ = names_on_demand(
    __name__,
    {
        "bundle.export": "export",
        "bundle.model": "load save",
        "data.column": "Column",
        "data.dataset": "Batch DataInfo Dataset Factor Split SplitName TensorSplit",
        "data.sources": "as_dataset",
        "distributions.normal": "LogScaleNormal bounded_log_scale diagonal_normal",
        "errors": "DataError DataWarning FileError GenmodError PluginError UndefinedError UsageError",
        "evaluation": "Evaluation Metric Row Subject Undefined bits_per_dim evaluate mean_row",
        "figures.showing": "batch_png show_interpolations show_latents show_reconstructions show_samples show_traversals",
        "hub.methods": "from_pretrained push_to_hub save_pretrained",
        "interfaces.critic": "Critic",
        "interfaces.decoder": "Decoder",
        "interfaces.divergence": "Divergence",
        "interfaces.encoder": "Encoder",
        "interfaces.features": "Features",
        "interfaces.format": "Format Incoming",
        "interfaces.given": "GivenModel",
        "interfaces.model": "GenerativeModel",
        "interfaces.network": "Network",
        "interfaces.objective": "Objective Terms",
        "interfaces.observations": "Observations",
        "interfaces.part": "Draw Loss ParameterGroup Part",
        "interfaces.posterior": "Joint Posterior",
        "interfaces.prior": "Prior",
        "interfaces.sampler": "Sampler",
        "interfaces.tracker": "Tracker",
        "model.assembly": "assemble open_dataset",
        "model.build": "build compose",
        "model.fit_sampler": "fit_sampler",
        "model.latent_variable": "LatentVariableModel",
        "model.resized": "resized",
        "model.tiled": "decode_tiled encode_tiled reconstruct_tiled",
        "options.schedule": "Schedule",
        "options.schema": "Activation Doc",
        "spec": "ComponentSpec ModelSpec",
        "training.events": "Event",
        "training.settings": "TrainSettings",
        "training.train": "train",
    },
    rooms="data distributions evaluation figures nn options registry system testing",
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from genmod.system.installed import OWN_DISTRIBUTION, installed, version_of

        return version_of(installed(OWN_DISTRIBUTION))
    return _public_name(name)
