"""The plugin contract, whole: a record for each component and one hook that yields them.

A plugin is a pip-installable package with an entry point in the group :data:`GROUP`, naming a module that
imports neither torch nor anything else heavy::

    [project.entry-points."genmod.v1"]
    laplace = "genmod_laplace.plugin"

    # genmod_laplace/plugin.py
    from genmod import Component, hookimpl

    @hookimpl
    def genmod_components():
        yield Component("decoder", "laplace", "genmod_laplace.decoder:Laplace", summary="Laplace likelihood")
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pluggy

from genmod.options.kinds import kind_called

__all__ = [
    "FOLDER",
    "GROUP",
    "KINDS",
    "Component",
    "ComponentClass",
    "genmod_components",
    "hookimpl",
    "hookspec",
]

GROUP = "genmod.v1"
"""Entry-point group; the number is the version of this contract."""

KINDS: dict[str, str] = {
    "model": "genmod.interfaces.model:GenerativeModel",
    "encoder": "genmod.interfaces.encoder:Encoder",
    "posterior": "genmod.interfaces.posterior:Posterior",
    "prior": "genmod.interfaces.prior:Prior",
    "decoder": "genmod.interfaces.decoder:Decoder",
    "network": "genmod.interfaces.network:Network",
    "divergence": "genmod.interfaces.divergence:Divergence",
    "objective": "genmod.interfaces.objective:Objective",
    "critic": "genmod.interfaces.critic:Critic",
    "dataset": "genmod.data.dataset:Dataset",
    "sampler": "genmod.interfaces.sampler:Sampler",
    "metric": "genmod.evaluation.metric:Metric",
    "features": "genmod.interfaces.features:Features",
    "tracker": "genmod.interfaces.tracker:Tracker",
    "format": "genmod.interfaces.format:Format",
    "recipe": "",
    "reproduction": "",
}
"""Kind of component → the abstract class it implements; recipes and reproductions are TOML files instead."""

FOLDER = "/"
"""What a dataset opens that opens folders."""

hookspec = pluggy.HookspecMarker("genmod")
hookimpl = pluggy.HookimplMarker("genmod")

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-.][a-z0-9]+)*")


@dataclass(frozen=True)
class Component:
    """One named component; nothing is imported until it is used.

    Args:
        kind: one of :data:`KINDS`.
        name: what users type, such as ``laplace``; lower case, digits, ``-`` and ``.``.
        target: where the class is, ``"package.module:Class"``; of a recipe, ``"package:file.toml"``.
        summary: one line for ``genmod list``, at most 200 characters.
        aliases: other names for it.
        requires: distributions that it needs beyond its own package's dependencies.
        revision: raised when the meaning of its options changes.
        opens: of a dataset with an option ``path``, endings of the files that it opens, such as ``.csv``, or ``/`` for folders,
            ``/NAME`` for those with such a file: users can then type the path in place of its name.
        goes_with: options of ``genmod build`` for the other parts, where the usual ones do not fit this one, such as
            ``--prior uniform-sphere``; the example of ``genmod show`` has them, and searches for some where there are none.

    Raises:
        ValueError: a field is not of the form above.

    Example:
        >>> Component("decoder", "laplace", "genmod_laplace.decoder:Laplace").name
        'laplace'
    """

    kind: str
    name: str
    target: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    revision: int = 1
    opens: tuple[str, ...] = ()
    goes_with: str = ""

    def __post_init__(self) -> None:
        for field in ("aliases", "requires", "opens"):
            value = getattr(self, field)
            if not isinstance(value, tuple) or not all(isinstance(each, str) for each in value):
                raise ValueError(f"{field} of {self.kind} {self.name!r} is {value!r}, not a tuple of names")
        if not isinstance(self.goes_with, str):
            raise ValueError(f"goes_with of {self.kind} {self.name!r} is {self.goes_with!r}, not a text")
        if not isinstance(self.summary, str) or len(self.summary) > 200 or "\n" in self.summary:
            raise ValueError(
                f"summary of {self.kind} {self.name!r} is not one line of text, at most 200 characters"
            )
        for name in (self.kind, self.name, *self.aliases):
            if not isinstance(name, str) or len(name) > 64 or not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} is not a component name: lower-case letters, digits, '-' and '.', at most 64"
                )
        # A newer genmod may know other kinds; one that is another word for a kind is a mistake.
        if self.kind not in KINDS and (meant := kind_called(self.kind, KINDS)):
            raise ValueError(f"there is no kind {self.kind!r} of component; did you mean {meant}?")
        if not isinstance(self.target, str) or self.target.count(":") != 1:
            raise ValueError(
                f"target of {self.kind} {self.name!r} is {self.target!r}, not 'package.module:Class'"
            )
        if not isinstance(self.revision, int) or self.revision < 1:
            raise ValueError(
                f"revision of {self.kind} {self.name!r} is {self.revision!r}, not a number from 1"
            )


class ComponentClass(Protocol):
    """What the class of any component may declare, whatever its kind; all of it may be left out."""

    check_cases: Any
    """Cases for :mod:`genmod.testing` and ``genmod check``: shapes, options, files, options of earlier revisions, and
    ``expected_failures``, check → why this component cannot pass it. A mapping with the fields of
    :class:`genmod.testing.Cases`, or a staticmethod that returns one."""

    @staticmethod
    def migrate(options: Mapping[str, Any], revision: int) -> Mapping[str, Any]:
        """Options of an earlier revision as this one means them; called when a model that recorded those is loaded.

        Raise ``revision`` of the :class:`Component` when the meaning of an option changes, and convert here. Without it, models
        of an earlier revision are refused, with the line that installs the version that they were saved with.

        Args:
            options: as they were saved.
            revision: that they are of, below the present one.
        """
        ...


@hookspec
def genmod_components() -> Iterable[Component]:  # type: ignore[empty-body]
    """Yield the components of this plugin. Called once, when it is first looked into; must import no torch."""
