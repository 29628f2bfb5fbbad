"""Every way to fail: exit code, one message on stderr, what to do, and no traceback."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from genmod.errors import DataError, GenmodError, PluginError, UsageError

PARTS = """
from torch import nn
from genmod.plugins.priors.normal import NormalPrior
from genmod import Prior

class Fails(Prior):
    support = None

    def forward(self):
        {statement}
"""


@pytest.fixture
def failing(monkeypatch):
    """Make ``genmod info`` fail with an error."""

    def install(error):
        from genmod.cli import info

        def fail():
            raise error

        fail.__doc__ = info.info.__doc__
        monkeypatch.setattr(info, "info", fail)

    return install


@pytest.mark.parametrize(
    ("error", "code"), [(GenmodError, 1), (UsageError, 2), (DataError, 2), (PluginError, 3)]
)
def test_expected_errors(genmod, failing, error, code):
    failing(error("what is wrong", hint="do this\nor that"))
    done = genmod("info")
    assert (done.code, done.out) == (code, "")
    assert done.err == "error: what is wrong\nhint: do this\n      or that\n"


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (errno.ENOSPC, 1, "make room"),
        (errno.EDQUOT, 1, "make room"),
        (errno.EACCES, 2, "permissions"),
        (errno.EPERM, 2, "permissions"),
        (errno.EROFS, 2, "can be written"),
        (errno.ENAMETOOLONG, 2, "shorter name"),
        (errno.EIO, 1, "--debug"),
    ],
)
def test_errors_of_the_system_name_the_path_and_a_way_out(genmod, failing, number, code, hint):
    failing(OSError(number, os.strerror(number), "/some/file"))
    done = genmod("info")
    first, second = done.err.splitlines()
    assert (done.code, first) == (code, f"error: /some/file: {os.strerror(number)}")
    assert hint in second


def test_interrupt_is_one_line(genmod, failing):
    failing(KeyboardInterrupt())
    done = genmod("info")
    assert (done.code, done.err) == (130, "error: interrupted\n")


def test_unexpected_error_is_one_line_until_asked_for_more(genmod, failing, monkeypatch):
    failing(RuntimeError("boom"))
    done = genmod("info")
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: RuntimeError: boom\nhint: run again with --debug to see where it happened\n"
    assert "Traceback" in genmod("info", "--debug").err
    monkeypatch.setenv("GENMOD_DEBUG", "1")
    assert "Traceback" in genmod("info").err
    monkeypatch.setenv("GENMOD_DEBUG", "0")
    assert "Traceback" not in genmod("info").err


@pytest.mark.parametrize("statement", ["raise RuntimeError('boom')", "import sys; sys.exit(0)"])
def test_unexpected_error_names_the_plugin_that_it_came_out_of(genmod, plant, statement):
    parts = PARTS.format(statement=statement)
    plant("genmod-bad", '"prior", "fails", "genmod_bad.parts:Fails"', parts=parts)
    done = genmod("build", "--prior", "fails", "--divergence", "none", "--objective", "reconstruction")
    assert done.code == 1
    assert "(in the plugin genmod-bad 1.5)" in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["biuld"], "Did you mean 'build'?", "genmod --help"),
        (["list", "--jsn"], "--json", "genmod list --help"),
        (["build", "--seed", "many"], "'--seed'", "genmod build --help"),
        (
            ["show", "encoder"],
            "NAME",
            "name one: genmod show encoder NAME, one of `genmod list encoder`; "
            "or for authors, genmod show --contract encoder",
        ),
        (["list", "encoder", "more"], "more", "genmod list --help"),
        (["--color", "pink", "list"], "pink", "genmod --help"),
    ],
)
def test_usage_errors(genmod, arguments, message, hint):
    done = genmod(*arguments)
    first, *_, last = done.err.splitlines()
    assert (done.code, done.out) == (2, "")
    assert first.startswith("error: ")
    assert message in done.err
    assert last == f"hint: {hint}"


def test_no_command_is_a_usage_error_with_help(genmod):
    done = genmod()
    assert (done.code, done.out) == (2, "")
    assert "Commands:" in done.err


def list_into(stdout):
    """Run ``genmod list`` with output buffered, as it is by default."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [sys.executable, "-m", "genmod", "list"]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=environ, text=True, check=False)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_behind_stdout():
    with open("/dev/full", "w") as full:
        done = list_into(full)
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device\nhint: make room")


def test_reader_that_goes_away_is_no_news():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        done = list_into(gone)
    assert (done.returncode, done.stderr) == (1, "")


WAITS_WHILE_WRITING = """
import os, sys, time

def wait(handle):
    sys.stdout.write("writing\\n")
    sys.stdout.flush()
    time.sleep(60)

os.fsync = wait
from genmod.cli import main
main(["build"])
"""


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "terminated", marks=pytest.mark.slow),
    ],
)
def test_interrupted_build_leaves_nothing(tmp_path, number, code, message):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS_WHILE_WRITING],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n"
    assert list(tmp_path.iterdir()) != []
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (code, "", f"error: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_options_about_errors_hold_before_the_command_is_known(genmod):
    assert genmod("--color", "always", "biuld").err.startswith("\x1b[1;31merror:\x1b[0m No such command")
    assert "Traceback" in genmod("biuld", "--debug").err
