"""Specifications of models: component names and options, as TOML, JSON or Python values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from genmod.errors import FileError, UsageError
from genmod.options.kinds import kinds_hint
from genmod.options.text import option_text
from genmod.system.html import html_table
from genmod.system.toml import parse_toml

__all__ = [
    "MODEL_KINDS",
    "PART_KINDS",
    "SPEC_KINDS",
    "ComponentSpec",
    "ModelSpec",
    "Resolved",
    "parse_setting",
]

MODEL_KINDS = ("encoder", "posterior", "prior", "decoder", "network", "divergence", "objective")
"""The kinds of which every composed model has one component."""

PART_KINDS = (*MODEL_KINDS, "critic")
"""The kinds of the parts of a composed model; a specification that names a ``model`` has none of them."""

SPEC_KINDS = ("model", *PART_KINDS, "dataset")

_PROVENANCE = ("provider", "version", "revision")
_MAX_MODULE = 200


@dataclass(frozen=True)
class ComponentSpec:
    """A component by name, with its options and, once resolved, its provider: ``ComponentSpec("conv", {"channels": [16]})``."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    provider: str = ""
    version: str = ""
    revision: int = 0
    module: str = ""
    """The type of what was given in Python in place of a name: a description, which is never imported."""
    of_class: bool = field(default=False, repr=False)
    """Whether a class was given in Python, which is made with these options; not an instance, which has none."""
    declared: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """How the options were declared by then, see :mod:`genmod.options.declared`; of components of other packages alone."""

    @classmethod
    def given(cls, thing: object) -> Self:
        """The description of a part that is given in Python.

        Example:
            >>> ComponentSpec.given(1.0).module
            'builtins.float'
        """
        kind = type(thing) if not hasattr(thing, "__qualname__") else thing
        name = str(kind.__qualname__)  # type: ignore[attr-defined]
        module = f"{kind.__module__}.{name}"[:_MAX_MODULE]
        return cls(name.rpartition(".")[2], module=module, of_class=isinstance(thing, type))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        if self.module:
            return {"module": self.module} | ({"options": dict(self.options)} if self.of_class else {})
        return {
            "name": self.name,
            **{key: getattr(self, key) for key in _PROVENANCE},
            "options": dict(self.options),
        } | ({"declared": dict(self.declared)} if self.declared else {})

    @classmethod
    def from_json(cls, plain: Any) -> Self:
        """The reverse of :meth:`to_json`.

        Raises:
            ValueError: something is missing, unknown or of the wrong type; also TypeError and AttributeError.
        """
        if "module" in plain and set(plain) <= {"module", "options"}:
            module, options = plain["module"], plain.get("options", {})
            sound = isinstance(module, str) and module.isprintable() and 0 < len(module) <= _MAX_MODULE
            if not sound or not isinstance(options, dict):
                raise ValueError(f"module {module!r:.80}")
            return cls(module.rpartition(".")[2], options, module=module, of_class="options" in plain)
        if set(plain) - {"declared"} != {"name", "options", *_PROVENANCE}:
            raise ValueError("its entries")
        declared = dict(plain.get("declared", {}))
        texts = (plain["name"], plain["provider"], plain["version"], *declared.values())
        sound = isinstance(plain["options"], dict) and isinstance(plain["revision"], int)
        if not sound or not all(isinstance(text, str) for text in texts):
            raise ValueError("its options or its name")
        return cls(**plain | {"declared": declared})

    @classmethod
    def from_plain(cls, kind: str, plain: Any) -> Self:
        """From a name, or from a table ``{"name": …, option: value, …}``.

        Raises:
            UsageError: it is neither.
        """
        if isinstance(plain, cls):
            return plain
        if isinstance(plain, str):
            return cls(plain)
        if isinstance(plain, Mapping):
            options = dict(plain)
            name = options.pop("name", None)
            if isinstance(name, str):
                return cls(name, options)
        raise UsageError(
            f"{kind} is {plain!r}, not a name or a table with a name",
            hint=f'write {kind} = "NAME", or a table [{kind}] with name = "NAME" and its options',
        )


@dataclass(frozen=True)
class Resolved:
    """The class and the validated options of a component.

    Args:
        cls: the class of the component.
        options: all of its options, validated; pass a copy to the constructor, because schedules have state.
    """

    cls: type[Any]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class ModelSpec:
    """Names and options of all parts of a model.

    Args:
        components: the chosen component of each kind of :data:`SPEC_KINDS`; by default the network is the mirrored
            encoder. With a ``model``, which is whole, there is a dataset beside it and nothing else.
        latent: shape of the latents; of no meaning with a ``model``.
        recipe: name of the recipe that it started from.
        condition: what the model is conditioned on: ``label``, or names of factors.

    Example:
        >>> spec = ModelSpec.from_table({"latent": 8, "encoder": {"name": "mlp", "hidden": [64]}})
        >>> spec.components["encoder"].options, spec.latent
        ({'hidden': [64]}, (8,))
    """

    components: Mapping[str, ComponentSpec] = field(default_factory=dict)
    latent: tuple[int, ...] = (16,)
    recipe: str = ""
    condition: tuple[str, ...] = ()
    named: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    """Kinds of the parts that the user has chosen, by name or in a file; the others are those of the recipe."""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Options that the user has set by path."""
    resolved: Mapping[str, Resolved] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The result of :func:`genmod.model.resolve.resolve` for each kind; empty before that, and in copies with something
    replaced."""

    @property
    def missing(self) -> list[str]:
        """Kinds of the parts that are not chosen and that no other part stands for."""
        wanted = ("dataset",) if "model" in self.components else (*MODEL_KINDS, "dataset")
        return [kind for kind in wanted if kind not in self.components and kind != "network"]

    @classmethod
    def from_table(
        cls, table: Mapping[str, Any], *, recipe: str = "", where: str = "the specification"
    ) -> Self:
        """From the content of a TOML file: ``latent``, ``condition``, and a name or a table for each kind.

        A table ``train`` is left to ``genmod train --config``.

        Raises:
            UsageError: an unknown or ill-typed entry.
        """
        entries = {key: value for key, value in table.items() if key not in ("summary", "paper", "train")}
        latent, condition = entries.pop("latent", None), entries.pop("condition", ())
        unknown = sorted(set(entries) - set(SPEC_KINDS))
        if unknown:
            raise UsageError(
                f"{where} has {', '.join(map(repr, unknown))}, which is not a part of a model",
                hint=kinds_hint(unknown, ("latent", "condition", *SPEC_KINDS), "it may have"),
            )
        components = {
            kind: ComponentSpec.from_plain(kind, entries[kind]) for kind in SPEC_KINDS if kind in entries
        }
        spec = cls(components, recipe=recipe).with_condition(condition)
        return spec if latent is None else spec.with_latent(latent)

    @classmethod
    def from_toml(cls, text: str, *, recipe: str = "", where: str = "the file") -> Self:
        """From TOML text.

        Raises:
            UsageError: it is not TOML, or has invalid entries.
        """
        return cls.from_table(parse_toml(text, where), recipe=recipe, where=where)

    def _repr_html_(self) -> str:
        rows = []
        for kind, part in self.components.items():
            options = (f"{name}={option_text(value)}" for name, value in part.options.items())
            rows.append((kind, part.name, " ".join(options)))
        rows.append(("latent", "×".join(map(str, self.latent)), ""))
        if self.condition:
            rows.append(("condition", ", ".join(self.condition), ""))
        return html_table(("part", "component", "options"), rows, self.recipe or "model")

    def without_parts(self) -> Self:
        """The specification of a whole model, without the parts that it has from a recipe; unchanged if it names none.

        Raises:
            UsageError: parts were chosen beside the model.
        """
        if "model" not in self.components:
            return self
        chosen = [kind for kind in PART_KINDS if kind in self.named and kind in self.components]
        if chosen:
            raise UsageError(
                f"model {self.components['model'].name!r} is whole: {', '.join(chosen)} cannot be chosen beside it",
                hint="leave out the model, or these parts; genmod list model has what is whole",
            )
        kept = {kind: part for kind, part in self.components.items() if kind not in PART_KINDS}
        # Of a recipe whose parts are gone nothing is left.
        return replace(self, components=kept, recipe=self.recipe if len(kept) == len(self.components) else "")

    def with_latent(self, latent: Any) -> Self:
        """The specification with another latent shape: a number, a sequence of numbers, or a text such as ``8x16``.

        Raises:
            UsageError: it is not a shape of whole numbers from 1.
        """
        given = latent
        if isinstance(latent, str) and re.fullmatch(r"\d{1,8}(x\d{1,8})*", latent):
            latent = [int(n) for n in latent.split("x")]
        shape = tuple(latent) if isinstance(latent, list | tuple) else (latent,)
        if not 1 <= len(shape) <= 8 or not all(type(n) is int and 1 <= n <= 2**20 for n in shape):
            raise UsageError(
                f"latent is {given!s:.60}; it must be a whole number from 1 to {2**20:,}, or up to eight of them",
                hint="for example --latent 16, or --latent 8x16 for eight variables of 16 classes",
            )
        return replace(self, latent=shape)

    def with_condition(self, condition: Any) -> Self:
        """The specification with another condition: a name, several names separated by commas, or a sequence of names.

        Raises:
            UsageError: these are not names.
        """
        names = condition.split(",") if isinstance(condition, str) else condition
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise UsageError(f"condition is {condition!r}, not names", hint='for example condition = "label"')
        return replace(self, condition=tuple(dict.fromkeys(name.strip() for name in names if name.strip())))

    def with_component(self, kind: str, component: Any) -> Self:
        """The specification with another component; if the name stays the same, options that are not given are kept.

        Raises:
            UsageError: the kind is unknown, or ``component`` is not a component.
        """
        if kind not in SPEC_KINDS:
            raise UsageError(
                f"{kind!r} is not a part of a model", hint=kinds_hint([kind], SPEC_KINDS, "the parts are")
            )
        new = ComponentSpec.from_plain(kind, component)
        old = self.components.get(kind)
        if old is not None and old.name == new.name:
            new = replace(new, options={**old.options, **new.options})
        return replace(self, components={**self.components, kind: new})

    def with_options(self, settings: Mapping[str, Any]) -> Self:
        """The specification with options set, by dotted path: ``{"encoder.channels": (32, 64)}``.

        Raises:
            UsageError: paths that name no part of this model; the message lists all of them.
        """
        if not settings:
            return self
        components = dict(self.components)
        wrong = []
        for path, value in settings.items():
            kind, _, option = path.partition(".")
            part = components.get(kind)
            if part is None or not option or (part.module and not part.of_class):
                wrong.append(path)
            else:
                components[kind] = replace(part, options={**part.options, option: value})
        if wrong:
            raise UsageError(
                f"no such option: {', '.join(wrong)}",
                hint=f"write KIND.OPTION=VALUE, where KIND is one of: {', '.join(components)}",
            )
        return replace(self, components=components)

    def with_resolved(self, resolved: Mapping[str, Resolved]) -> Self:
        """The specification with the classes and options that its components were resolved to."""
        new = replace(self)
        object.__setattr__(new, "resolved", resolved)
        return new

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``model.json``."""
        return {
            "recipe": self.recipe,
            "latent": list(self.latent),
            "condition": list(self.condition),
            "components": {kind: part.to_json() for kind, part in self.components.items()},
        }

    @classmethod
    def from_json(cls, plain: Any, *, where: str) -> Self:
        """The reverse of :meth:`to_json`.

        Raises:
            FileError: something is missing, unknown or of the wrong type.
        """
        try:
            components = {}
            for kind, part in plain["components"].items():
                if kind not in SPEC_KINDS:
                    raise ValueError(f"component {kind!r}")
                try:
                    components[kind] = ComponentSpec.from_json(part)
                except (AttributeError, TypeError, ValueError):
                    raise ValueError(f"component {kind!r}") from None
            spec = cls(components, recipe=str(plain["recipe"])).with_condition(plain.get("condition", []))
            return spec.with_latent(plain["latent"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise FileError(f"{where} is damaged or not a genmod model: {error}") from None


def parse_setting(text: str) -> tuple[str, str]:
    """Path and value of ``encoder.channels=32,64``.

    Raises:
        UsageError: the text does not have this form.

    Example:
        >>> parse_setting("objective.beta=4")
        ('objective.beta', '4')
    """
    path, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-z]+\.[a-z_][a-z0-9_.]*", path.strip()):
        raise UsageError(f"{text!r} is not KIND.OPTION=VALUE", hint="for example -s encoder.channels=32,64")
    return path.strip(), value.strip()
