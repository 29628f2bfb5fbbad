"""The command line of genmod.

Exit codes: 0 done; 1 the work failed; 2 usage or configuration, a file that may not be read or written
included; 3 a plugin is missing or broken; 130 and 143 interrupted by Ctrl-C and by SIGTERM.
"""

import atexit
import errno
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from genmod.cli import console
from genmod.errors import DataWarning, GenmodError, PluginWarning

if TYPE_CHECKING:
    from genmod.registry.discovery import Found

__all__ = ["main"]

_SECONDS_TO_SPEAK = 3.0
"""In which a launcher stops the other processes after one has failed, also on a busy machine."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which is handled as Ctrl-C is."""

    exit_code = 143


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, by default that of this process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that lacks a character shows its number.
            stream.reconfigure(errors="backslashreplace")
    _tell_windows_of_colours()
    # Workers and compilers are Python processes too; none of them imports what lies in the current folder.
    os.environ["PYTHONSAFEPATH"] = "1"
    # Pictures are files. What a notebook sets for its own process may not even be there.
    os.environ["MPLBACKEND"] = "agg"
    with _termination():
        try:
            sys.exit(_run(sys.argv[1:] if arguments is None else list(arguments)))
        finally:
            if arguments is None:
                # The process ends here. What is registered last is called first, before what plugins have registered.
                atexit.register(_end_data)


def _tell_windows_of_colours() -> None:
    """Consoles of Windows print the sequences of colours as they are, unless told that these are for them."""
    if sys.platform == "win32":
        from colorama import just_fix_windows_console  # type: ignore[import-untyped, unused-ignore]

        just_fix_windows_console()


def _run(arguments: list[str]) -> int:
    console.configure(console.Settings(debug=os.environ.get("GENMOD_DEBUG", "0") not in ("", "0")))
    others = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any) -> None:
        if issubclass(category, DataWarning | PluginWarning):
            console.warning(str(message))
        else:
            others(message, category, *where)

    warnings.showwarning = show  # type: ignore[assignment]
    try:
        from genmod.cli.app import run

        code = run(arguments)
        sys.stdout.flush()
        return code
    except BaseException as error:
        if isinstance(error, SystemExit) and not _culprit(error):
            raise
        if console.settings.debug:
            import traceback

            traceback.print_exception(error)
        _let_go_of_stdout()
        if isinstance(error, KeyboardInterrupt):
            from genmod.cli.following import say_to_resume

            say_to_resume(arguments, error)
        return _report(error)


def _let_the_first_speak() -> None:
    """In one of several processes: wait until the first has ended, if it has the same error, and this process with it."""
    if os.environ.get("RANK", "0") != "0":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(_SECONDS_TO_SPEAK)


def _report(error: Any) -> int:
    """Print an error; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        what = str(error) or ("terminated" if isinstance(error, _Terminated) else "interrupted")
        owner = _owner(error)
        if owner:  # its code was interrupted, or raised this itself
            console.error(what + _culprit(error), f"to do without it: --disable-plugin {owner.distribution}")
        else:
            console.error(what, "\n".join(getattr(error, "__notes__", ())))
        return int(getattr(error, "exit_code", 130))
    _let_the_first_speak()
    from genmod.system.failures import named

    error = named(error) or error
    if isinstance(error, GenmodError):
        console.error(error.message, error.hint)
        return error.exit_code
    if hasattr(error, "format_message"):  # what Typer says of a command line that it cannot parse
        console.error(error.format_message(), f"{_command(error)} --help")
        return int(error.exit_code)
    if isinstance(error, BrokenPipeError):
        return 1  # the reader of our output has gone
    if isinstance(error, OSError) and error.strerror:
        return _report_system(error)
    console.error(
        f"{type(error).__name__}: {error}{_culprit(error)}", "run again with --debug to see where it happened"
    )
    return 1


def _command(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context else "genmod"


def _report_system(error: OSError) -> int:
    where = f"{error.filename!s:.200}: " if error.filename else ""
    code, hint = {
        errno.EACCES: (2, "choose a place that you may use, or change its permissions"),
        errno.EPERM: (2, "choose a place that you may use, or change its permissions"),
        errno.EROFS: (2, "choose a place on a disk that can be written"),
        errno.ENAMETOOLONG: (2, "choose a shorter name"),
        errno.ENOSPC: (1, "make room there, or choose another disk"),
        errno.EDQUOT: (1, "make room in your quota, or choose another disk"),
    }.get(error.errno or 0, (1, "run again with --debug to see where it happened"))
    console.error(f"{where}{error.strerror}", hint)
    return code


def _let_go_of_stdout() -> None:
    """Drop output that cannot be written, which Python would report once more at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_data() -> None:
    """Send what plugins print at exit to stderr, as all that they print."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        os.dup2(2, 1)


def _culprit(error: BaseException) -> str:
    owner = _owner(error)
    return f" (in the plugin {owner.distribution} {owner.version})" if owner else ""


def _owner(error: BaseException) -> "Found | None":
    """The plugin in the traceback of an unexpected error."""
    from genmod.registry.discovery import find_plugins

    owners = {getattr(found.entry_point, "module", "").partition(".")[0]: found for found in find_plugins()}
    step, owner = error.__traceback__, None
    while step is not None:
        package = str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        owner = owners.get(package, owner)
        step = step.tb_next
    return owner


@contextmanager
def _termination() -> Iterator[None]:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
