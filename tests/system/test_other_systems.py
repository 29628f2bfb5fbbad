"""What Windows, macOS and network drives do otherwise: imitated, and looked for in the sources."""

import ast
import errno
import fcntl
import os
import runpy
import signal
import socket
import subprocess
import sys
import types
from functools import cache
from pathlib import Path

import pytest

from genmod.bundle import aside
from genmod.cli import processes
from genmod.errors import FileError
from genmod.experiments.sweep import points
from genmod.explorer.server import bind
from genmod.plugins.trackers.csv import Csv
from genmod.system import files
from genmod.training import signals

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("core", "cli", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]
POSIX = {
    "os": {
        "fork",
        "getuid",
        "geteuid",
        "getpgid",
        "killpg",
        "mkfifo",
        "setsid",
        "umask",
        "nice",
        "chown",
        "uname",
    }
    | {"O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "sched_getaffinity", "getloadavg", "statvfs"},
    "signal": {f"SIG{name}" for name in ("USR1", "USR2", "HUP", "KILL", "STOP", "CHLD", "ALRM", "PIPE")}
    | {"alarm", "pthread_sigmask", "sigwait", "pause"},
    "socket": {"AF_UNIX", "SO_REUSEPORT"},
}
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty"}


@cache
def tree_of(path):
    return ast.parse(path.read_text("utf-8"))


def of_one_system(tree):
    """Names that Windows lacks, used without asking whether they are there."""
    of_posix = set().union(*POSIX.values())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in of_posix
            and node.attr in POSIX.get(ast.unparse(node.value), ())
        ):
            yield ast.unparse(node)
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in MODULES)


def of_one_encoding(tree):
    """Files read or written as text in the encoding of the machine, or with its ends of lines."""
    for node in ast.walk(tree):
        name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
        if not isinstance(node, ast.Call) or name not in ("open", "read_text", "write_text", "fdopen"):
            continue
        words = [each.value for each in node.args if isinstance(each, ast.Constant)]
        given = {each.arg for each in node.keywords}
        if name == "open" and any(
            isinstance(each, str) and set(each) & set("wax") and set(each) <= set("wax+") for each in words
        ):
            if (
                not {"encoding", "newline"} <= given
                and "closefd" not in given
                and "nowhere" not in ast.dump(node)
            ):
                yield ast.unparse(node)
        elif name == "write_text" and not {"encoding", "newline"} <= given:
            yield ast.unparse(node)


@pytest.mark.parametrize(
    ("look", "allowed", "example"),
    [
        (
            of_one_system,
            {
                "files.py": ["fcntl"],
                # Both ask first whether a process can be copied.
                "forks.py": ["os.fork", "os.killpg", "signal.SIGKILL", "signal.SIGKILL"],
                "watch.py": ["os.fork"],
                # Both ask first whether users have numbers.
                "compilation.py": ["os.getuid"],
                "private.py": ["os.geteuid"],
            },
            "import os, fcntl\nos.fork()",
        ),
        (
            of_one_encoding,
            {
                "app.py": ["open(os.devnull, 'w', encoding='utf-8')"],
                # A member of an archive is written in bytes.
                "rows_out.py": ["archive.open(member, 'w', force_zip64=True)"],
            },
            "open('x', 'a', encoding='utf-8')",
        ),
    ],
)
def test_nothing_is_of_one_system_alone(look, allowed, example):
    assert list(look(ast.parse(example)))
    found = {path.name: names for path in SOURCES if (names := list(look(tree_of(path))))}
    assert found == allowed


@pytest.fixture
def windows(monkeypatch):
    """Renames fail so many times, as they do where another process has the file open; gives the pauses."""
    pauses = []
    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    real = Path.replace

    def start(refused):
        left = [PermissionError(errno.EACCES, "Access is denied")] * refused

        def replace(path, target):
            if left:
                raise left.pop()
            if Path(target).is_dir():
                raise PermissionError(errno.EACCES, "Access is denied")
            return real(path, target)

        monkeypatch.setattr(Path, "replace", replace)
        return pauses

    return start


def test_a_file_that_is_open_for_a_moment_is_replaced(windows, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    pauses = windows(2)
    files.write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(pauses) == 2


def test_a_file_that_stays_open_is_unharmed(windows, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    pauses = windows(100)
    with pytest.raises(FileError, match="Access is denied"):
        files.write_bytes(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sum(pauses) < 2


def test_other_systems_say_at_once_that_a_place_is_closed(windows, tmp_path, monkeypatch):
    pauses = windows(1)
    monkeypatch.setattr(files, "_WINDOWS", False)
    with pytest.raises(FileError):
        files.write_bytes(tmp_path / "file", b"new")
    assert pauses == []


@pytest.mark.parametrize("full", [False, True])
def test_a_folder_takes_the_place_of_another(windows, tmp_path, full):
    """No rename on Windows replaces a folder, an empty one neither."""
    windows(1)
    (tmp_path / "place").mkdir()
    if full:
        (tmp_path / "place" / "old").touch()
    with files.staged_directory(tmp_path / "place", aside=tmp_path / "aside" if full else None) as stage:
        (stage / "new").touch()
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["new"]
    assert (tmp_path / "aside" / "old").exists() == full


@pytest.fixture
def locks(monkeypatch, windows):
    """A system without fcntl, where nothing that is open is removed; gives the handles that were locked."""
    handles = []
    unlink = Path.unlink

    def refusing(path, missing_ok=False):
        if path.name == ".lock" and any(_is_open(handle) for handle in handles):
            raise PermissionError(errno.EACCES, "Access is denied")
        unlink(path, missing_ok)

    module = types.ModuleType("msvcrt")
    module.LK_NBLCK, module.locking = 2, lambda handle, how, size: handles.append(handle)
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(Path, "unlink", refusing)
    windows(0)
    return module


def _is_open(handle):
    try:
        os.fstat(handle)
    except OSError:
        return False
    return True


def test_the_lock_is_removed(locks, tmp_path):
    for error in (None, ValueError):
        try:
            with files.alone_in(tmp_path):
                assert (tmp_path / ".lock").exists()
                if error is not None:
                    raise error
        except ValueError:
            pass
        assert not (tmp_path / ".lock").exists()


def test_a_second_run_is_refused(locks, tmp_path, monkeypatch):
    def refuse(handle, how, size):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(locks, "locking", refuse)
    with pytest.raises(FileError, match="another process is at work"), files.alone_in(tmp_path):
        pass


def test_without_hard_links(tmp_path, monkeypatch):
    def link(*arguments, **options):
        raise NotImplementedError("link: follow_symlinks unavailable on this platform")

    monkeypatch.setattr(os, "link", link)
    (tmp_path / "file").write_bytes(b"content")
    aside.link(tmp_path / "file", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_text_that_begins_with_a_mark(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbflatent = 4\r\n")
    assert files.read_text(tmp_path / "mine.toml", "specification") == "latent = 4\r\n"


def test_a_table_is_written_to_the_disk(tmp_path, monkeypatch):
    """Windows does that for files that are open for writing alone."""

    def fsync(handle):
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(os, "fsync", fsync)
    tracker = Csv(tmp_path, {})
    tracker.begin([{"step": 1, "split": "train", "loss": 2.0}])
    tracker.write({"step": 2, "split": "train", "loss": 1.0})
    tracker.flush()
    assert (tmp_path / "metrics.csv").read_bytes().count(b"\n") == 3


def test_no_port_is_shared(monkeypatch):
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with bind() as listening:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_several_processes_without_posix_signals(monkeypatch):
    """Windows has no SIGUSR1, and passes on no Ctrl-C."""
    monkeypatch.delattr(signal, "SIGUSR1")
    known = runpy.run_path(signals.__file__)["STOP_SIGNALS"]
    assert known == (signal.SIGINT, signal.SIGTERM)
    monkeypatch.setattr(processes, "STOP_SIGNALS", known)
    asked = []

    class Child:
        returncode = None

        def __init__(self, *arguments, **options):
            assert Path(options["env"]["GENMOD_STORE"]).parent.is_dir()

        def poll(self):
            return self.returncode

        def send_signal(self, number):
            asked.append(number)
            self.returncode = 0
            raise ValueError(f"Unsupported signal: {number}")

    monkeypatch.setattr(subprocess, "Popen", Child)
    monkeypatch.setattr(processes.time, "sleep", lambda seconds: os.kill(os.getpid(), signal.SIGINT))
    assert processes.launch(["train"], 2) == 0
    assert asked == [signal.SIGINT] * 2


def test_names_of_runs_are_short():
    long = ",".join(map(str, range(10, 200)))
    names = [point.name for point in points({"encoder.hidden": [f"[{long}]", f"[{long},1]", "[16]"]})]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 200
    assert names[2] == "hidden=16"
