"""Fitting a sampler to the codes of a trained model."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from genmod.defaults import CONDITIONAL_SAMPLER, REAL_LATENTS, SAMPLER
from genmod.distributions.probing import lies_within
from genmod.errors import FileError, GenmodError, UsageError
from genmod.interfaces.sampler import Codes, Origin, Sampler
from genmod.model.codes_to_fit import CodesToFit
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import MOST
from genmod.model.resolve import recorded
from genmod.options.schema import to_json, validate
from genmod.registry.lookup import current_registry
from genmod.spec import ComponentSpec
from genmod.system.environment import versions
from genmod.system.files import own_path, parse_json, read_text, remove_own, write_json
from genmod.system.random import seed_for, seeded
from genmod.system.tensors import checksum, fingerprint

__all__ = ["fit_sampler"]

Progress = Callable[[str, int, int], None]


def fit_sampler(
    model: LatentVariableModel,
    data: Any = None,
    sampler: str | Mapping[str, Any] | ComponentSpec = SAMPLER,
    *,
    codes: Codes = "draws",
    seed: int = 0,
    root: Path | str | None = None,
    folder: Path | None = None,
    on_progress: Progress | None = None,
) -> Sampler:
    """Fit a distribution to the codes of the training split; from then on the model draws its latents from it.

    The codes are draws of ``q(z|x)`` by default, one for each example: together they have the distribution
    ``1/N Σ_i q(z|x_i)``, which is what the decoder was trained on. Means of a variational posterior lie closer
    together than that; of a plain autoencoder both are the same.

    Args:
        model: a trained model; put in evaluation mode meanwhile. The sampler is attached to it, and
            :func:`genmod.save` writes both.
        data: where the splits come from, a dataset or what :func:`genmod.as_dataset` takes, or a path, also of a folder in
            which ``genmod encode`` has written its codes; by default the dataset that the model was built for.
        sampler: name of a sampler, or a table ``{"name": …, option: value}``.
        codes: ``draws`` of ``q(z|x)``, or its ``means``.
        seed: of everything that is drawn; the caller's random state is left as it was.
        root: folder with data files.
        folder: where a fit by steps keeps its state until it has ended: the same call after it was killed goes on from
            there, bit for bit. It is made, and removed when the fit has ended.
        on_progress: called with what is being done, how much of it is done, and of how much.

    Returns:
        The sampler, in evaluation mode, on the model's device.

    Raises:
        UsageError: an unknown name, wrong options, or a model whose latents no sampler of this kind can draw.
        DataError: data that do not suit the model.
        FileError: the folder has files that are not of a fit.
        PluginError: a plugin is missing or broken.

    Example:
        >>> from genmod import build
        >>> model = build("autoencoder", encoder="mlp", latent=2)
        >>> sampler = fit_sampler(model, sampler={"name": "gmm", "components": 3})
        >>> model.sample(5, seed=0).shape
        torch.Size([5, 1, 8, 8])
    """
    if codes not in get_args(Codes):
        raise UsageError(f"codes is {codes!r}", hint=f"one of: {', '.join(get_args(Codes))}")
    part = ComponentSpec.from_plain("sampler", sampler)
    provided = current_registry().find("sampler", part.name)
    cls = provided.load()
    values = validate(cls, part.options, "sampler", label=f"sampler {part.name}")
    with seeded(seed_for(seed, "sampler")):
        size = model.conditions.size if model.conditions is not None and cls.wants_context else 0
        made: Sampler = cls(model.latent_shape, *([size] if cls.wants_context else []), **values)
    made.to(model.device, model.dtype)
    made.bind(model)
    _check_support(made, model, part.name)
    tell = on_progress or (lambda what, done, of: None)
    coded = CodesToFit(model, data, codes, seed, root)
    place = None if folder is None else next(each for each in folder.absolute().parents if each.is_dir())
    train, context = coded.train(place, lambda n, of: tell("codes", n, of))
    known = inspect.signature(made.fit).parameters
    given: dict[str, Any] = {"context": context.to(model.device)} if size and context is not None else {}
    what = {"sampler": part.name, "options": to_json(cls, values), "version": provided.version, "seed": seed}
    with _kept(
        folder if "folder" in known else None, {**what, "device": str(model.device)}, train, *given.values()
    ) as kept:
        given |= {"folder": kept} if kept is not None else {}
        made.fit(train.to(model.device), seed=seed, on_step=lambda n, of: tell("fit", n, of), **given)
    made.eval().requires_grad_(False)
    density = _held_out_density(made, coded, conditional=size > 0) if made.has_density else None
    made.origin = Origin(
        recorded(provided, cls, values),
        model.latent_shape,
        codes,
        "train",
        len(train),
        seed,
        fingerprint(model),
        density,
        size,
    )
    model.attach_sampler(made)
    return made


def _held_out_density(sampler: Sampler, coded: CodesToFit, *, conditional: bool) -> float:
    """Mean log-density of codes of the validation split, nats."""
    held, context = coded.held(sampler.most_scored)
    parts, device = held.split(MOST), coded.model.device
    contexts = context.split(MOST) if conditional and context is not None else [None] * len(parts)
    with torch.no_grad():
        scores = [
            sampler.given(None if c is None else c.to(device)).log_prob(each.to(device)).cpu()
            for each, c in zip(parts, contexts, strict=True)
        ]
    return float(torch.cat(scores).double().mean())


@contextmanager
def _kept(folder: Path | None, what: Mapping[str, Any], *tensors: Tensor) -> Iterator[Path | None]:
    """A folder for the state of a fit, with what an earlier call of the same one left there; removed after the fit.

    Args:
        folder: where it is to be; None for none.
        what: is fitted, and how.
        tensors: to which it is fitted.
    """
    if folder is None:
        yield None
        return
    path = own_path(folder, "fit.json")
    digest = checksum({str(i): tensor for i, tensor in enumerate(tensors)})
    # The same sums of floating-point numbers need the same number of threads, too.
    now = {**what, "codes": digest, "versions": versions(), "threads": torch.get_num_threads()}
    before, ours = None, path.is_file()
    with suppress(GenmodError):
        before = parse_json(read_text(path, "description of a fit", links=False), str(path))
        ours = isinstance(before, dict) and "codes" in before
    # What is not of a fit would be removed with its state.
    if not ours and folder.is_dir() and any(each.name[0] != "." for each in folder.iterdir()):
        raise FileError(
            f"{folder} has files, but none that says what fit they are of",
            hint="move them away, or name a folder that is empty",
        )
    if before != json.loads(json.dumps(now)):
        remove_own(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, now)
    yield folder
    remove_own(folder)


def _check_support(sampler: Sampler, model: LatentVariableModel, name: str) -> None:
    """Refuse a sampler that draws what are no latents of this model.

    Raises:
        UsageError: the latents lie elsewhere, or depend on the conditions of a conditional model.
    """
    if model.latents_need_context and not sampler.wants_context:
        raise UsageError(
            f"latents depend on the conditions in this model (prior {model.spec.components['prior'].name!r}), "
            f"and sampler {name!r} knows none",
            hint=f"sample from the prior, which does, or fit one that does too: {CONDITIONAL_SAMPLER}",
        )
    support = model.posterior.support
    if support is not None and not lies_within(sampler.support, support, model.latent_shape):
        raise UsageError(
            f"the latents of this model lie in {support}, and sampler {name!r} draws from {sampler.support}",
            hint=f"sample from the prior, which draws such latents; or build a model with {REAL_LATENTS}",
        )
