"""Components of a file that is given by name: ``--plugin ./mine.py``; never loaded unless it is given.

The file has the hook that any plugin has, and its components lie in the same file::

    # mine.py
    from genmod import Component, Decoder, hookimpl

    class MyDecoder(Decoder): ...

    @hookimpl
    def genmod_components():
        yield Component("decoder", "mine", "mine:MyDecoder", summary="what it is")

A model that uses it records the file's name as provider and checksums of its content as version. It is loaded again
with the same program; comments and layout may differ. With another program it is refused, unless the user accepts the
change (``--accept-changed``).
"""

import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from time import localtime, strftime
from types import CodeType, ModuleType

from genmod.errors import FileError, GenmodError, PluginError, UsageError
from genmod.registry.component import GROUP
from genmod.registry.discovery import Found
from genmod.registry.file_version import file_version
from genmod.registry.loader import PluginStatus, cause, load_plugin
from genmod.system.failures import line_in

__all__ = ["is_local", "last_changed", "load_file", "local_plugin"]

_MAX_BYTES = 10_000_000
_VERSION = "__genmod_version__"


def is_local(distribution: str) -> bool:
    """Whether a provider is a file and no distribution.

    Example:
        >>> is_local("./mine.py"), is_local("genmod-mine")
        (True, False)
    """
    return distribution.startswith("./") and distribution.endswith(".py")


def local_plugin(path: Path) -> Found:
    """The plugin in a file; its distribution is ``./NAME.py``, its version ``sha256:…+code:…``. Runs nothing of it yet.

    Raises:
        FileError: it cannot be read.
        UsageError: it is no Python file, or has the name of a module that is installed.
    """
    try:
        there = path.is_file()
        fits = there and path.stat().st_size <= _MAX_BYTES
        content = path.read_bytes() if fits else b""
    except OSError as error:
        raise FileError(f"plugin {path} cannot be read: {error.strerror or error}") from error
    if not there:
        raise FileError(f"plugin {path} does not exist" if not path.exists() else f"{path} is not a file")
    if path.suffix != ".py" or not path.stem.isidentifier() or not fits:
        raise UsageError(
            f"plugin {path} is no Python file that can be imported",
            hint="give it a name such as mine.py: letters, digits and _",
        )
    file = _File(path.resolve(), content, file_version(content))
    file.check_name()
    return Found(f"./{path.name}", file.version, file)


def load_file(found: Found, taken: set[tuple[str, str]]) -> PluginStatus:
    """Load a file that was given by name, as :func:`genmod.registry.loader.load_plugin` does.

    Raises:
        PluginError: it is broken; says on which line, and the exception.
    """
    try:
        return load_plugin(found, taken, strict=True)
    except GenmodError as error:
        raise PluginError(
            f"plugin {found.distribution} is broken: {error.message}", hint=error.hint
        ) from error
    except Exception as error:
        where = _line(error, found)
        raise PluginError(
            f"plugin {found.distribution} is broken: {f'{where}: ' if where else ''}{cause(error)}",
            hint="mend the file; --debug shows the whole traceback",
        ) from error


def _line(error: Exception, found: Found) -> str:
    """Where in a file an error was raised, or where it could not be read; empty where it was elsewhere."""
    file = found.entry_point
    if not isinstance(file, _File):
        return ""
    if isinstance(error, SyntaxError) and error.filename == str(file.path):
        return f"{file.path}, line {error.lineno}"
    return line_in(file.module, error)


def last_changed(found: Found) -> str:
    """When the file of a plugin was last written, as ``2026-01-31 12:00``; empty where that is not known."""
    if not isinstance(found.entry_point, _File):
        return ""
    try:
        return strftime("%Y-%m-%d %H:%M", localtime(found.entry_point.path.stat().st_mtime))
    except OSError:
        return ""


@dataclass(frozen=True)
class _File:
    """A file in place of an entry point: the content that was hashed is the content that runs."""

    path: Path
    content: bytes
    version: str
    group: str = GROUP

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def module(self) -> str:
        return self.path.stem

    def check_name(self) -> None:
        """Refuse to hide another module.

        Raises:
            UsageError: there is one of that name.
        """
        loaded = sys.modules.get(self.name)
        if loaded is None:
            spec = find_spec(self.name)
            origin = spec.origin if spec else None
            ours = spec is None or (origin is not None and Path(origin).resolve() == self.path)
        else:
            origin = getattr(loaded, "__file__", None)
            ours = origin is not None and Path(origin).resolve() == self.path
        if not ours:
            raise UsageError(
                f"plugin {self.path.name} has the name of another module, {self.name} ({origin or 'built in'})",
                hint=f"rename it, for example to my_{self.path.name}",
            )

    def load(self) -> ModuleType:
        """The module, imported once; targets ``"mine:Class"`` find it under its name."""
        loaded = sys.modules.get(self.name)
        if loaded is not None and getattr(loaded, _VERSION, None) == self.version:
            return loaded
        spec = spec_from_loader(
            self.name, _Loader(self.name, str(self.path), self.content), origin=str(self.path)
        )
        if spec is None:
            raise ImportError(f"{self.path} cannot be imported")
        spec.has_location = True
        module = module_from_spec(spec)
        module.__dict__[_VERSION] = self.version
        sys.modules[self.name] = module
        try:
            _Loader(self.name, str(self.path), self.content).exec_module(module)
        except BaseException:
            del sys.modules[self.name]
            raise
        return module


class _Loader(SourceFileLoader):
    """Compiles the given content: what lies in the file by now, or in a cache beside it, may be something else."""

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self._content = content

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._content, self.path)
        return code
