"""The command lines that make a model again."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from genmod.data.dataset import DataInfo
from genmod.defaults import RECIPE
from genmod.errors import GenmodError
from genmod.model.assembly import blueprint
from genmod.model.build import compose
from genmod.model.resolve import resolve
from genmod.options.schema import differences
from genmod.options.text import option_text
from genmod.spec import ModelSpec
from genmod.training.settings import TrainSettings, same_setting, usual_settings

__all__ = ["build_command", "train_command"]

_FLAGS = {"augment": "--augment", "freeze": "--freeze", "trackers": "--tracker"}
_TABLES = {"optimizer_options": "optimizer", "schedule_options": "schedule"}


def build_command(spec: ModelSpec, data: DataInfo, directory: Path, *, seed: int | None = 0) -> str:
    """The ``genmod build …`` that gives a resolved specification, with the changes of its recipe alone.

    Args:
        spec: resolved.
        data: shape and range of the data.
        directory: of the model.
        seed: of its initial weights; None where it is unknown.

    Example:
        >>> import genmod
        >>> model = genmod.build("beta-vae", encoder="mlp", latent=8, settings={"objective.beta": 2.0})
        >>> build_command(model.spec, model.data, Path("model"))
        'genmod build beta-vae --encoder mlp --latent 8 -s objective.beta=2.0'
    """
    words = ["genmod", "build"]
    try:
        words += _shortest(spec, data)
    except GenmodError:
        # Its recipe has changed or is not installed: everything is named.
        words += _words(
            spec,
            {k: p.name for k, p in spec.components.items()},
            _options(spec),
            shaped="model" in spec.components,
        )
    words += ["--seed", str(seed)] if seed else []
    return _line([*words, *([] if directory == Path("model") else ["-o", str(directory)])])


def train_command(settings: Mapping[str, Any], directory: Path) -> str:
    """``genmod train …`` with the settings that are not the default.

    Example:
        >>> train_command({"epochs": 3, "lr": 0.001, "optimizer_options": {"eps": 1e-6}}, Path("model"))
        'genmod train --epochs 3 -s optimizer.eps=1e-06'
    """
    words = ["genmod", "train", *([] if directory == Path("model") else [str(directory)])]
    default = usual_settings()
    # Files beside the model do not change it.
    aside = ("keep_checkpoints", "trackers", "film_every")
    names = [each.name for each in fields(TrainSettings) if each.name not in aside]
    for name in names:
        value = settings.get(name, default[name])
        table = isinstance(value, dict | list) and type(value) is not type(default[name])
        if same_setting(name, value, default[name]) or table:
            continue
        if name in _TABLES:
            words += [
                word for k, v in value.items() for word in ("-s", f"{_TABLES[name]}.{k}={option_text(v)}")
            ]
        elif isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        elif isinstance(value, list):
            words += [word for each in value for word in (_FLAGS[name], str(each))]
        else:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return _line(words)


def _shortest(spec: ModelSpec, data: DataInfo) -> list[str]:
    """Raises GenmodError where the recipe cannot be looked up or what was found gives another model."""
    recipe = spec.recipe or RECIPE
    bare = compose(recipe)
    start = resolve(bare)
    parts = {kind: part for kind, part in spec.components.items() if kind != "network"}
    same = [
        kind
        for kind, part in parts.items()
        if kind in start.components and start.components[kind].name == part.name
    ]
    named = {kind: part.name for kind, part in parts.items() if kind not in same}
    settings: dict[str, Any] = {}
    for kind, part in parts.items():
        usual = _defaults(spec, kind) if kind in named else start.components[kind].options
        settings |= {f"{kind}.{k}": v for k, v in part.options.items() if k not in usual or usual[k] != v}
    network = spec.components.get("network")
    if network is not None and not _same(_again(spec, data, named, settings), spec, ("network",)):
        # Unless it is named, it is the encoder's mirror.
        named["network"] = network.name
        usual = _again(spec, data, named, settings).components["network"].options
        settings |= {f"network.{k}": v for k, v in network.options.items() if usual.get(k) != v}
    if not _same(_again(spec, data, named, settings), spec, tuple(spec.components)):
        raise GenmodError("the recipe gives another model")
    return [
        *([recipe] if recipe != RECIPE else []),
        *_words(spec, named, settings, shaped="model" in spec.components or bare.latent == spec.latent),
    ]


def _defaults(spec: ModelSpec, kind: str) -> Mapping[str, Any]:
    """The options of a component that are at their defaults."""
    found = resolve(spec).resolved[kind]
    changed = differences(found.cls, found.options)
    return {name: value for name, value in spec.components[kind].options.items() if name not in changed}


def _again(
    spec: ModelSpec, data: DataInfo, named: Mapping[str, str], settings: Mapping[str, Any]
) -> ModelSpec:
    composed = compose(
        spec.recipe or RECIPE,
        components=named,
        latent=None if "model" in spec.components else spec.latent,
        condition=spec.condition,
        settings=settings,
    )
    return blueprint(composed, data).spec


def _same(a: ModelSpec, b: ModelSpec, kinds: Sequence[str]) -> bool:
    pairs = ((a.components[kind], b.components[kind]) for kind in kinds)
    return all((x.name, dict(x.options)) == (y.name, dict(y.options)) for x, y in pairs)


def _words(
    spec: ModelSpec, named: Mapping[str, str], settings: Mapping[str, Any], *, shaped: bool
) -> list[str]:
    """``shaped``: whether the recipe has the shape of the latents already."""
    words = [
        w for kind, name in named.items() for w in ("--data" if kind == "dataset" else f"--{kind}", name)
    ]
    if not shaped:
        words += ["--latent", "x".join(map(str, spec.latent))]
    if spec.condition:
        words += ["--condition", ",".join(spec.condition)]
    return words + [w for path, value in settings.items() for w in ("-s", f"{path}={option_text(value)}")]


def _options(spec: ModelSpec) -> dict[str, Any]:
    return {f"{kind}.{k}": v for kind, part in spec.components.items() for k, v in part.options.items()}


def _line(words: list[str]) -> str:
    return " ".join(map(shlex.quote, words))
