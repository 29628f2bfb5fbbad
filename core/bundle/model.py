"""A model on disk: a directory with ``model.json`` and ``model.safetensors``, and nothing that is code."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genmod.bundle.directory import check_destination, read_spec
from genmod.errors import UndefinedError
from genmod.system.files import staged_directory, write_json
from genmod.system.tensors import FORMAT, checksum, is_double, read_tensors, write_tensors

if TYPE_CHECKING:
    from genmod.model.latent_variable import LatentVariableModel

__all__ = ["load", "save"]

_FILES = {"best": "model.safetensors", "last": "last.safetensors"}


def save(model: "LatentVariableModel", directory: Path | str, *, overwrite: bool = False) -> Path:
    """Write a model directory in one step.

    Args:
        model: what to write.
        directory: where; made if need be. An untrained model there is replaced.
        overwrite: replace a trained model too.

    Returns:
        The directory.

    Raises:
        FileError: there is a trained model, or something that is not genmod's; or it cannot be written.

    Example:
        >>> import genmod, tempfile
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> directory = genmod.save(model, tempfile.mkdtemp() + "/model")
        >>> genmod.load(directory).latent_shape
        (2,)
    """
    directory = Path(directory)
    check_destination(directory, overwrite=overwrite)
    with staged_directory(directory) as stage:
        write_json(
            stage / "model.json", {"format": FORMAT, **model.spec.to_json(), "data": model.data.to_json()}
        )
        write_tensors(stage / _FILES["best"], model.state_dict())
        _save_sampler(model, stage)
    return directory


def _save_sampler(model: "LatentVariableModel", directory: Path) -> None:
    """The model's sampler too; not one of other weights, which nobody could use."""
    from genmod.bundle.sampler import write_sampler

    try:
        sampler = model.sampler
    except UndefinedError:
        return
    if sampler is not None:
        write_sampler(sampler, directory)


def load(
    directory: Path | str, *, weights: Literal["best", "last"] = "best", device: str = "cpu"
) -> "LatentVariableModel":
    """The model in a directory, in evaluation mode.

    Nothing in the directory is executed: components come from installed plugins, by name. A sampler that was fitted
    is read when it is first used.

    Args:
        directory: what ``genmod build`` or :func:`save` wrote.
        weights: those with the best validation loss, or those of the last step.
        device: where to put them.

    Raises:
        FileError: a file is missing or damaged; says what is wrong with which file.
        PluginError: a component's plugin is not installed; the hint is the line that installs it.
    """
    from genmod.bundle.sampler import has_sampler, read_sampler
    from genmod.model.assembly import assemble
    from genmod.nn.weights import weights_follow
    from genmod.registry.lookup import current_registry

    directory = Path(directory)
    spec, data = read_spec(directory)
    with weights_follow():
        model = assemble(spec, data)
    path = directory / _FILES[weights]
    if weights == "last" and not path.exists():
        path = directory / _FILES["best"]
    if is_double(path):
        model = model.double()
    tensors = read_tensors(path, model.state_dict())
    model.load_state_dict(tensors)
    if has_sampler(directory):
        model.attach_sampler(
            partial(
                read_sampler,
                directory.absolute(),
                weights=checksum(tensors),
                latent_shape=model.latent_shape,
                device=device,
                registry=current_registry(),
            )
        )
    return model.to(device).eval()
