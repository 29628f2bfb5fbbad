"""A component with its distribution, and the class that its record names."""

import functools
import importlib
from dataclasses import dataclass
from typing import Any

from genmod.errors import PluginError
from genmod.registry.component import KINDS, Component
from genmod.registry.file_version import shortened
from genmod.registry.loader import cause, quiet
from genmod.system.failures import line_in
from genmod.system.installed import installed, to_install

__all__ = ["Provided", "import_target"]


@dataclass(frozen=True)
class Provided:
    """A component and its provenance.

    Args:
        component: the record.
        distribution: normalised name of the distribution that provides it.
        version: version of that distribution.
        builtin: whether it comes with genmod itself.
        registered: whether it comes from an installed plugin, not from a file or a test.

    Example:
        >>> vq = Provided(Component("posterior", "vq", "genmod_vq:VectorQuantised"), "genmod-vq", "1.0")
        >>> vq.qualified
        'genmod-vq/vq'
    """

    component: Component
    distribution: str
    version: str
    builtin: bool = False
    registered: bool = True

    @property
    def kind(self) -> str:
        return self.component.kind

    @property
    def name(self) -> str:
        return self.component.name

    @property
    def names(self) -> tuple[str, ...]:
        """Its name and its aliases."""
        return (self.name, *self.component.aliases)

    @property
    def qualified(self) -> str:
        """Distribution and name, which are unique."""
        return f"{self.distribution}/{self.name}"

    def load(self) -> type[Any]:
        """The class that the record names; this imports it.

        Raises:
            PluginError: a distribution that it requires is missing, it cannot be imported, or it is not a
                complete class of its kind.
        """
        base_target = KINDS[self.kind]
        if not base_target:
            raise TypeError(f"{self.qualified} is a text, not a class: call text()")
        self.check_requirements()
        try:
            with quiet():
                base = import_target(base_target)
                found = import_target(self.component.target)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            where = line_in(self.component.target, error)
            raise self._error(f"cannot be loaded{f' ({where})' if where else ''}", cause(error)) from error
        if not isinstance(found, type):
            raise self._error(
                "is unusable", f"{self.component.target} is a {type(found).__name__}, not a class"
            )
        if not issubclass(found, base):
            raise self._error("is unusable", f"{self.component.target} is not a subclass of {base_target}")
        if missing := sorted(getattr(found, "__abstractmethods__", ())):
            raise self._error("is unusable", f"{self.component.target} does not define {', '.join(missing)}")
        return found

    def text(self) -> str:
        """The TOML text of a recipe.

        Raises:
            PluginError: the file is missing or unreadable.
        """
        from importlib.resources import files

        if KINDS[self.kind]:
            raise TypeError(f"{self.qualified} is a class, not a text: call load()")
        self.check_requirements()
        package, _, file = self.component.target.partition(":")
        try:
            with quiet():
                return files(package).joinpath(file).read_text(encoding="utf-8")
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._error("cannot be read", cause(error)) from error

    @property
    def missing_requirements(self) -> list[str]:
        """The distributions that it requires and that are not installed."""
        return [name for name in self.component.requires if installed(name) is None]

    def check_requirements(self) -> None:
        """Refuse it where a distribution that it requires is missing.

        Raises:
            PluginError: one is; says which.
        """
        if missing := self.missing_requirements:
            raise PluginError(
                f"{self._label} needs {', '.join(missing)}, which is not installed",
                hint=f"pip install {to_install(self.distribution, missing)}",
            )

    @property
    def _label(self) -> str:
        return f"{self.kind} {self.name!r} of {self.distribution} {shortened(self.version)}"

    def _error(self, what: str, why: str) -> PluginError:
        upgrade = f"pip install --upgrade {self.distribution}, or tell its authors"
        return PluginError(
            f"{self._label} {what}: {why}",
            hint=upgrade if self.registered else f"mend {self.component.target.partition(':')[0]}",
        )


def import_target(target: str) -> Any:
    """What a target ``"package.module:Class"`` names; this imports it."""
    module, _, attribute = target.partition(":")
    return functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
