"""A model on disk: a directory with ``model.json`` and ``model.safetensors``, without code."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genmod.bundle.directory import ModelDirectory
from genmod.errors import GivenWarning, UndefinedError
from genmod.system.files import remove_own, staged_directory, write_json
from genmod.system.tensors import check_header, checksum, precision_of, read_tensors, write_tensors

if TYPE_CHECKING:
    from genmod.interfaces.model import GenerativeModel
    from genmod.interfaces.sampler import Sampler
    from genmod.model.latent_variable import LatentVariableModel

__all__ = ["is_described", "load", "save", "start_over", "write_trained"]


def save(model: "GenerativeModel", directory: Path | str, *, overwrite: bool = False) -> Path:
    """Write a model directory.

    A new directory appears in one step. In an existing one, files are replaced one by one, and foreign files stay; a
    trained model is first moved, complete, to a folder ``before-DATE`` of the directory, where it is kept until the new
    model has been trained.

    Args:
        model: to write.
        directory: made if it is missing. An untrained model there is replaced.
        overwrite: replace a trained model too.

    Returns:
        The directory.

    Raises:
        UsageError: the model is not what its specification says, so that :func:`load` could not read it.
        FileError: there is a trained model, or a foreign file; another process uses the directory; or it cannot be
            written.

    Example:
        >>> import genmod, tempfile
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> directory = genmod.save(model, tempfile.mkdtemp() + "/model")
        >>> genmod.load(directory).latent_shape
        (2,)
    """
    from genmod.model.loadable import check_loadable

    place = ModelDirectory(Path(directory))
    place.check_free(overwrite=overwrite)
    check_loadable(model)
    _say_what_is_given(model, place)
    if place.is_model:
        with place.alone():
            place.check_free(overwrite=overwrite)
            start_over(model, place)
            remove_own(place.record)
    else:
        with staged_directory(place.path) as stage:
            _write(model, _sampler_of(model), ModelDirectory(stage))
    return place.path


def _say_what_is_given(model: "GenerativeModel", place: ModelDirectory) -> None:
    """Warn that classes of the user's program have to be given again when the model is loaded."""
    given = {kind: part for kind, part in model.spec.components.items() if part.of_class}
    if given:
        names = ", ".join(f"{kind} ({part.module})" for kind, part in given.items())
        typed = ", ".join(f"{kind}={part.name}" for kind, part in given.items())
        warnings.warn(
            f"{place.path} holds the weights of classes that were given in Python, not their code: {names}. No command can "
            f"load them by name; in Python: genmod.load({str(place.path)!r}, {typed})",
            GivenWarning,
            stacklevel=3,
        )


def start_over(model: "GenerativeModel", place: ModelDirectory) -> Path | None:
    """Replace the model in a directory; the old one is moved aside if it was trained.

    Meanwhile the record says that a run was interrupted, so that fresh weights never pass for trained ones.

    Args:
        model: the new one.
        place: of a model, locked by the caller.

    Returns:
        The folder of the old one, if it was trained.

    Raises:
        FileError: it cannot be written. The old model is unchanged, or complete in its folder.
    """
    # The sampler may not be read yet, and lie in this directory.
    trained, sampler, before = place.is_trained, _sampler_of(model), place.set_aside()
    try:
        if trained:
            write_json(place.record, {"status": "interrupted", "before": before.name, "settings": {}})
        place.clear()
        # Weights are removed first, so that old ones never stand beside the new description.
        remove_own(place.weights())
        _write(model, sampler, place)
    except BaseException:
        place.put_back(before)
        raise
    if not trained:
        remove_own(before)
    return before if trained else None


def _write(model: "GenerativeModel", sampler: "Sampler | None", place: ModelDirectory) -> None:
    from genmod.bundle.sampler import write_sampler

    place.write_spec(model.spec, model.data, seed=model.weights_seed)
    if not any(tensor.is_meta for tensor in model.state_dict().values()):
        # Those without values are drawn by the seed when the model is trained.
        write_tensors(place.weights(), model.state_dict())
    if sampler is not None:
        write_sampler(sampler, place.path)


def is_described(model: "GenerativeModel", place: ModelDirectory) -> bool:
    """Whether a directory describes a model as it is, versions of plugins included.

    Raises:
        FileError: its description is damaged.
    """
    spec, data = place.read_spec()
    there = (spec.to_json(), data.to_json(), place.read_seed())
    return there == (model.spec.to_json(), model.data.to_json(), model.weights_seed)


def write_trained(
    model: "GenerativeModel",
    place: ModelDirectory | None,
    best: Mapping[str, Any],
    last: Mapping[str, Any] | None = None,
    *,
    write: Callable[[Any, Mapping[str, Any]], None] = write_tensors,
) -> None:
    """Replace the weights in a directory, and the versions of plugins by those that these were trained with.

    Args:
        model: that was trained.
        place: of a model that differs in no more than these versions, locked by the caller; None in processes that only
            take part in gathering the weights.
        best: weights with the lowest validation loss.
        last: those of the last step.
        write: writes tensors to a path.

    Raises:
        FileError: it cannot be written.
    """
    if last is not None:
        write(place and place.weights("last"), last)
    write(place and place.weights(), best)
    if place is not None and not is_described(model, place):
        place.write_spec(model.spec, model.data, seed=place.read_seed())


def _sampler_of(model: "GenerativeModel") -> "Sampler | None":
    """The model's sampler, unless it was fitted to other weights."""
    try:
        return getattr(model, "sampler", None)
    except UndefinedError:
        return None


def load(
    directory: Path | str | ModelDirectory,
    *,
    weights: Literal["best", "last"] = "best",
    device: str = "cpu",
    modules: Mapping[str, Any] | None = None,
    **parts: Any,
) -> "LatentVariableModel":
    """The model in a directory, in evaluation mode; a :class:`genmod.GenerativeModel` where it names a ``model``.

    Nothing in the directory is executed: components come from installed plugins, by name. A sampler that was fitted
    is read when it is first used.

    Args:
        directory: what ``genmod build`` or :func:`save` wrote.
        weights: those with the best validation loss, or those of the last step.
        device: of the model.
        modules: the parts that were given in Python when the model was built, by kind. They become part of the model, and
            are given its weights; a class is made with the options that it was built with.
        **parts: the same, each by its kind: ``encoder=MyEncoder``.

    Raises:
        UsageError: such a part is missing; says which, and what to type.
        FileError: a file is missing or damaged; says what is wrong with which file.
        PluginError: a component's plugin is not installed; the hint is the line that installs it.
    """
    from genmod.bundle.sampler import has_sampler, read_sampler
    from genmod.model.assembly import assemble
    from genmod.model.foreign import check_modules
    from genmod.nn.weights import weights_follow
    from genmod.registry.lookup import current_registry

    modules = {**(modules or {}), **parts}
    place = ModelDirectory.of(directory)
    path = place.weights(weights)
    if weights == "last" and not path.exists():
        path = place.weights("best")
    with weights_follow():
        spec, data = place.read_spec()
        check_modules(spec, modules, str(place.path))
        model = assemble(
            spec, data, check=lambda planned: check_header(path, planned.state_dict()), modules=modules
        )
    model = model.to(precision_of(path))
    tensors = read_tensors(path, model.state_dict())
    model.load_state_dict(tensors)
    model.weights_seed = place.read_seed()
    if has_sampler(place.path):
        model.attach_sampler(
            partial(
                read_sampler,
                place.path.absolute(),
                weights=checksum(tensors),
                model=model,
                device=device,
                registry=current_registry(),
            )
        )
    return model.to(device).eval()
