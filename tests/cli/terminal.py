"""A terminal for tests: what a program writes to it is what a reader of the screen sees.

``Terminal`` runs command lines in this process, so that torch is imported once; ``Shell`` types them into a shell.
"""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import threading
from dataclasses import dataclass

import pyte

ROWS = 300
"""More lines than any output has, so that nothing scrolls away."""

_QUESTION = b" [y/N] "
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
COMMAND = re.compile(r"\s*(error: |hint: |next: )*(genmod|pip|cd|mkdir|python) ")
"""A line to copy, which the terminal wraps, for a line break of ours would be copied with it."""


@dataclass(frozen=True)
class Seen:
    """What is on the screen after a command line.

    Args:
        code: exit code.
        lines: of the screen, without the empty ones at its end.
        written: all that was written, escape sequences included.
    """

    code: int
    lines: tuple[str, ...]
    written: str

    @property
    def plain(self):
        """The lines as they were written, however wide; what was redrawn began at the left margin again."""
        return _ESCAPE.sub("", self.written.replace("\r\n", "\n").replace("\r", "\n")).split("\n")

    @property
    def written_plain(self):
        """All that was written, without escape sequences."""
        return "\n".join(self.plain)

    @property
    def words(self):
        """All words that were written, in their order."""
        return " ".join(self.plain).split()

    def too_wide(self, columns):
        """Lines wider than the terminal, other than commands and paths to copy, which it breaks where it likes."""
        wide = [line for line in self.plain if len(line) > columns]
        return [line for line in wide if not COMMAND.match(line) and len(line.split()) > 1]


def _opened(columns):
    """Both ends of a pseudo-terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    return master, slave


def _screen(written, columns):
    screen = pyte.Screen(columns, ROWS)
    pyte.Stream(screen).feed(written)
    return tuple("\n".join(line.rstrip() for line in screen.display).rstrip().split("\n"))


class Terminal:
    """Runs command lines in this process, connected to a terminal.

    Args:
        columns: width.
        monkeypatch: of the test.
    """

    def __init__(self, columns, monkeypatch):
        self.columns = columns
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("TERM", "xterm-256color")
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)

    def genmod(self, *arguments):
        """Run a command line; the answer to what it asks is no."""
        from genmod.cli import main

        master, slave = _opened(self.columns)
        written = bytearray()
        reader = threading.Thread(target=_collect, args=(master, written))
        reader.start()
        with (
            open(slave, encoding="utf-8", closefd=False) as given,
            open(slave, "w", encoding="utf-8", closefd=False) as taken,
            self._monkeypatch.context() as patch,
        ):
            patch.setattr(sys, "stdin", given)
            for name in ("stdout", "stderr"):
                patch.setattr(sys, name, taken)
            code = None
            try:
                main([str(argument) for argument in arguments])
            except SystemExit as done:
                code = done.code
        os.close(slave)
        reader.join()
        os.close(master)
        text = written.decode()
        return Seen(code, _screen(text, self.columns), text)


def _collect(master, written):
    """Read what is written, and answer questions with no."""
    with contextlib.suppress(OSError):  # the other end was closed
        while block := os.read(master, 65536):
            written += block
            if written.endswith(_QUESTION):
                os.write(master, b"n\n")


class Shell:
    """A shell at a terminal, into which lines are typed.

    Args:
        columns: width.
        folder: where it begins.
        environment: of the shell.
    """

    _PROMPT = re.compile(r"<(\d+)>\$ $")

    def __init__(self, columns, folder, environment):
        self.columns = columns
        self._folder, self._environment = folder, environment

    def __enter__(self):
        self._master, slave = _opened(self.columns)
        self._pid = os.fork()
        if not self._pid:  # the shell
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for stream in range(3):
                os.dup2(slave, stream)
            os.chdir(self._folder)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            more = {"TERM": "xterm-256color", "PS1": "<$?>$ ", "PS2": ""}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {**self._environment, **more})
        os.close(slave)
        self._until(self._PROMPT)
        return self

    def __exit__(self, *error):
        with contextlib.suppress(OSError):
            os.write(self._master, b"\x04")
            while os.read(self._master, 65536):
                pass
        os.close(self._master)
        os.waitpid(self._pid, 0)

    def type(self, line, *, press="", after=None):
        """Type a line and give what is seen until the prompt is back.

        Args:
            line: to type.
            press: a key to press meanwhile, as ``\\x03`` for Ctrl-C.
            after: a pattern; the key is pressed once it was seen.
        """
        os.write(self._master, line.encode() + b"\n")
        text = ""
        if press:
            text = self._until(re.compile(after))
            os.write(self._master, press.encode())
        text += self._until(self._PROMPT)
        found = self._PROMPT.search(text)
        # The terminal shows what was typed.
        body = text[: found.start()].partition("\r\n")[2]
        return Seen(int(found[1]), _screen(body, self.columns), body)

    def _until(self, pattern):
        text, block = "", b""
        while True:
            block += os.read(self._master, 65536)
            with contextlib.suppress(UnicodeDecodeError):  # the rest of a letter is still to come
                text, block = text + block.decode(), b""
            if pattern.search(_ESCAPE.sub("", text)):
                return text if pattern is not self._PROMPT else _ESCAPE_OF_PASTE.sub("", text)


_ESCAPE_OF_PASTE = re.compile(r"\x1b\[\?2004[hl]\r?")
"""What a shell writes around its prompt."""
