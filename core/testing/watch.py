"""Checks that run again after each save, in copies of a process that has imported everything but the author's files."""

import importlib.util
import inspect
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genmod.errors import GenmodError, UsageError
from genmod.registry.discovery import find_plugins
from genmod.registry.lookup import Registry, current_registry, use_registry
from genmod.testing.cause import Cause
from genmod.testing.forks import end, silenced
from genmod.testing.prepare import checks_of, expected_of, prepare
from genmod.testing.runner import class_of, run_one

__all__ = ["Event", "Snapshot", "files_below", "warm", "watch"]

Event = Mapping[str, Any]
"""``{"event": "begin", "components": …, "roots": …}``, then an ``outcome`` for each check and ``end``; or an ``error``."""

Snapshot = Mapping[str, tuple[int, int]]
"""File → when it was changed, and its size."""

_POLL = 0.3
_LAST = ("check_export", "check_compile")
"""What takes seconds, and begins to be slow where nothing is known of the last time."""

_Key = tuple[str, str]
_Seen = dict[_Key, tuple[bool, float]]
"""Component and check → whether it passed the last time, and its seconds."""


def warm() -> None:
    """Import what checks need, so that copies of this process have it: the parts of others, and torch's exporter."""
    registry = Registry(third_party=False)
    for kind in ("posterior", "prior", "divergence"):
        for provided in registry.components(kind):
            with suppress(GenmodError):
                provided.load()
    with suppress(ImportError):
        import torch.export._trace  # noqa: F401
    # A file that is saved twice within a second would be taken for its compiled self.
    sys.dont_write_bytecode = True


def watch(
    targets: Sequence[str],
    *,
    options: Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
    slow: bool = False,
    root: Path | None = None,
    poll: float = _POLL,
) -> Iterator[Event]:
    """Check, and check again after each save of the components' files, for ever; what happens, as it happens.

    A save while checks run ends them and begins anew. What failed the last time comes first, and what took long last.

    Args:
        targets: distributions, ``kind/name``, files.
        options: values of options by ``kind.option``.
        expected: checks that are expected to fail, and why.
        slow: run the slow checks too.
        root: folder with data files.
        poll: seconds between two looks at the files.

    Raises:
        UsageError: a target that there is not, in no file that could be mended.
    """
    roots = [Path(each).absolute() for each in targets if each.endswith(".py")]
    seen: _Seen = {}
    while True:
        before = files_below(roots)
        ended = False
        with _Copy(lambda send: _round(send, targets, options, expected, slow, root, dict(seen))) as events:
            for event in events(poll):
                if event is None:
                    if files_below(roots) != before:
                        break
                    continue
                if event["event"] in ("begin", "error"):
                    roots = [Path(each) for each in event["roots"]] or roots
                    before = files_below(roots)
                if event["event"] == "outcome":
                    seen[event["component"], event["check"]] = (event["status"] != "failed", event["seconds"])
                ended = event["event"] in ("end", "error")
                yield event
            else:
                if not ended:
                    yield {
                        "event": "error",
                        "message": "the process that checks ended",
                        "hint": "",
                        "roots": [],
                    }
        if not roots:
            raise UsageError("none of these files can be watched", hint="genmod check, without --watch")
        while files_below(roots) == before:
            time.sleep(poll)


def files_below(roots: Iterable[Path]) -> Snapshot:
    """The Python files that are among these or in these folders, each with its time and size."""
    found = {}
    for each in roots:
        for file in each.rglob("*.py") if each.is_dir() else (each,):
            with suppress(OSError):
                status = file.stat()
                found[str(file)] = status.st_mtime_ns, status.st_size
    return found


Send = Callable[[Event], None]


def _round(
    send: Send,
    targets: Sequence[str],
    options: Mapping[str, Any] | None,
    expected: Mapping[str, str] | None,
    slow: bool,
    root: Path | None,
    seen: _Seen,
) -> None:
    """All checks once; in a copy of the process."""
    files = [str(Path(each).absolute()) for each in targets if each.endswith(".py")]
    try:
        cases, registry, expected = prepare(targets, current_registry(), options, None, expected, root=root)
    except GenmodError as error:
        others = [] if len(files) == len(targets) else [*map(str, _of_plugins())]
        send({"event": "error", "message": error.message, "hint": error.hint, "roots": files + others})
        return
    roots = dict.fromkeys([*files, *(place for case in cases for place in _sources(class_of(case)))])
    send({"event": "begin", "components": [case.label for case in cases], "roots": list(roots)})

    def order(pair: tuple[Any, Any]) -> tuple[Any, ...]:
        case, check = pair
        passed, seconds = seen.get((case.label, check.name), (True, 0.0))
        return passed, check.name in _LAST, seconds

    met: dict[str, dict[Cause, str]] = {}
    pairs = [(case, check) for case in cases for check in checks_of(case, slow=slow)]
    with use_registry(registry):
        for case, check in sorted(pairs, key=order):
            of_case = met.setdefault(case.label, {})
            outcome = run_one(case, check, expected_of(case, check, expected), of_case)
            send({"event": "outcome", **asdict(outcome)})
    send({"event": "end"})


def _sources(cls: Any) -> list[str]:
    """The folder of the package of a class, or its file where that is no package, or is genmod's own."""
    if cls is None:
        return []
    top = sys.modules.get(cls.__module__.partition(".")[0])
    file = getattr(top, "__file__", None)
    if file and Path(file).name == "__init__.py" and cls.__module__.partition(".")[0] != "genmod":
        return [str(Path(file).parent)]
    return [inspect.getfile(cls)]


def _of_plugins() -> Iterator[Path]:
    """The packages of all plugins, which are not imported."""
    for found in find_plugins():
        module = getattr(found.entry_point, "module", "")
        with suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(module.partition(".")[0]) if module else None
            if spec and spec.origin:
                place = Path(spec.origin)
                yield place.parent if place.name == "__init__.py" else place


class _Copy:
    """A copy of this process that does some work and sends events, as long as the context lasts."""

    def __init__(self, work: Callable[[Send], None]) -> None:
        self.work = work

    def __enter__(self) -> Callable[[float], Iterator[Event | None]]:
        self.reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            self._work(writing)
        os.close(writing)
        return self._events

    def __exit__(self, *error: object) -> None:
        os.close(self.reading)
        end(self.pid)

    def _work(self, writing: int) -> None:
        code = 1
        try:
            os.setpgid(0, 0)
            silenced()
            with os.fdopen(writing, "w", encoding="utf-8") as stream:

                def send(event: Event) -> None:
                    stream.write(json.dumps(event) + "\n")
                    stream.flush()

                self.work(send)
            code = 0
        finally:
            os._exit(code)

    def _events(self, poll: float) -> Iterator[Event | None]:
        """The events, and None each time that there was none for a while."""
        rest = b""
        while True:
            if not select.select([self.reading], [], [], poll)[0]:
                yield None
                continue
            part = os.read(self.reading, 65536)
            if not part:
                return
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield json.loads(line)
            yield None
