"""Models that are built from those of other libraries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genmod.data.info import DataInfo
from genmod.errors import FileError, PluginError, UsageError, quoted
from genmod.interfaces.format import Format, Incoming
from genmod.model.assembly import assemble
from genmod.model.latent_variable import LatentVariableModel
from genmod.nn.weights import weights_follow
from genmod.options.schema import validate
from genmod.registry.lookup import current_registry
from genmod.spec import ModelSpec

__all__ = ["assemble_incoming", "check_incoming", "read_source", "with_parts"]


def read_source(source: str) -> Incoming:
    """The model of another library, by ``FORMAT:FOLDER``; its weights are not read yet.

    Raises:
        UsageError: there is no such format, or it reads nothing.
        FileError: there is no such model, or it is damaged.
    """
    name, colon, folder = source.partition(":")
    registry = current_registry()
    provided = registry.find("format", name)
    cls = provided.load()
    if not cls.reads:
        reading = [p.name for p in registry.components("format") if p.load().reads]
        raise UsageError(
            f"format {name!r} writes models and reads none",
            hint=f"these read: {', '.join(reading)}" if reading else "",
        )
    if not colon or not folder:
        raise UsageError(
            f"{source!r} names no folder",
            hint=f"write FORMAT:FOLDER, for example --from {name}:folder-of-the-model",
        )
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise FileError(
            f"{path} is not a folder" if path.exists() else f"there is no folder {path}",
            hint=f"give the folder of a model: --from {name}:FOLDER",
        )
    made: Format = cls(**validate(cls, {}, "format", label=f"format {name}"))
    return made.read(path)


def with_parts(incoming: Incoming, components: Mapping[str, Any], latent: Any, source: str) -> dict[str, Any]:
    """The components of a specification, those of the other library among them.

    Raises:
        UsageError: one that is there was named, or the shape of its latents.
    """
    both = sorted(set(components) & set(incoming.components)) + ["latent"] * (latent is not None)
    if both:
        raise UsageError(
            f"{' and '.join(both)} {'is' if len(both) == 1 else 'are'} that of {source}",
            hint=f"leave out {', '.join(f'--{each}' for each in both)}; options that leave the weights as they are can be set "
            "by -s KIND.OPTION=VALUE",
        )
    return {**incoming.others, **incoming.components, **components}


def check_incoming(planned: LatentVariableModel, incoming: Incoming, source: str) -> dict[str, Tensor]:
    """The weights for a model, read once it is known that they are its own.

    Args:
        planned: the model, without memory for its weights.
        incoming: from :func:`read_source`.
        source: for messages.

    Raises:
        UsageError: the data of the model are not of the kind that the other one takes.
        FileError: the weights are damaged, or those of another model.
    """
    _check_data(planned.data, incoming, source)
    wanted = {
        name: tensor
        for name, tensor in planned.state_dict().items()
        if name.partition(".")[0] in incoming.components
    }
    found = dict(incoming.weights(planned))
    lacking = sorted(
        name for name, _ in planned.named_parameters() if name in wanted and name not in found
    ) + sorted(set(found) - set(wanted))
    wrong = [name for name in found if name in wanted and found[name].shape != wanted[name].shape]
    if lacking or wrong:
        raise PluginError(f"the format of {source} gives no weights of {', '.join((lacking + wrong)[:3])}")
    return found


def assemble_incoming(
    spec: ModelSpec, data: DataInfo, incoming: Incoming, source: str, *, seed: int = 0
) -> LatentVariableModel:
    """The model of a specification with the weights of another library in it; all other parts are new.

    Raises:
        UsageError, FileError: as :func:`check_incoming`; no memory was taken for the model then.
    """
    found: dict[str, Tensor] = {}

    def check(planned: LatentVariableModel) -> None:
        found.update(check_incoming(planned, incoming, source))

    with weights_follow():
        model = assemble(spec, data, seed=seed, check=check)
    model.load_state_dict(found, strict=False)
    model.weights_seed = None
    return model


def _check_data(data: DataInfo, incoming: Incoming, source: str) -> None:
    fits = len(data.shape) == len(incoming.shape) and all(
        wanted in (None, given) for wanted, given in zip(incoming.shape, data.shape, strict=True)
    )
    if not fits:
        wanted = "×".join("any" if n is None else str(n) for n in incoming.shape)
        raise UsageError(
            f"{source} takes data of shape {wanted}; these have {'×'.join(map(str, data.shape))}",
            hint=f"name data of that shape: genmod build --from {quoted(source)} --data FOLDER",
        )
