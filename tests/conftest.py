"""What all tests share: pinned randomness, one thread, and none of the user's own settings."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

for _name in [
    name
    for name in os.environ
    if name.startswith("GENMOD_") and name not in ("GENMOD_DATA", "GENMOD_ARTIFACTS")
]:
    del os.environ[_name]

# One thread, here, in the threads of a server, and in every process that a test starts: the small tensors of the tests
# gain nothing from more, tests that run side by side lose, and sums are rounded alike on any number of cores.
os.environ["OMP_NUM_THREADS"] = "1"
# The settings of the user are those of nobody; other programs, too, write theirs there.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="genmod-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CONFIG_HOME"], ignore_errors=True)
# What is found out about many files is kept by the tests of that alone, and not in the user's cache.
os.environ["GENMOD_CACHE"] = "0"


SLOW = {
    line
    for line in Path(__file__).with_name("slow.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests in the list are slow, before any are chosen by marks. Files that take minutes go first.

    One that is begun last would keep the other processes waiting.
    """
    for item in items:
        if item.nodeid in SLOW:
            item.add_marker(pytest.mark.slow)
    slow = ("tests/project/test_readme", "tests/project", "tests/testing", "tests/training", "tests/grid")
    items.sort(
        key=lambda item: next((i for i, name in enumerate(slow) if item.nodeid.startswith(name)), len(slow))
    )


@pytest.fixture(autouse=True, scope="session")
def _signals_as_in_a_terminal():
    """Signals do what they do in a terminal, also where the tests are a job in the background or under ``nohup``."""
    ignored = [
        number
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGCHLD")
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def _pinned_seed():
    """The same random numbers in every test, whatever ran before it; tests without torch do not import it."""
    if "torch" not in sys.modules:
        yield
        return
    from genmod.system.random import seeded

    with seeded(0):
        yield


@pytest.fixture
def stop_at(monkeypatch):
    """A function that has this process sent SIGTERM while a model computes its terms for the n-th step."""

    def stop(model, number):
        calls, terms = 0, model.terms

        def counted(*given):
            nonlocal calls
            calls += model.training
            if calls == number:
                os.kill(os.getpid(), signal.SIGTERM)
            return terms(*given)

        monkeypatch.setattr(model, "terms", counted)

    return stop


@pytest.fixture
def plugin_file(tmp_path):
    """A function that writes a plugin of one file, ``NAME.py``; its module is forgotten at the end."""
    made = []

    def write(name, source):
        made.append(name)
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        return path

    yield write
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def module_at():
    """A function that imports a file beside the tests, whose folders are no packages."""
    import importlib.util

    def imported(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return imported


@pytest.fixture(scope="session")
def known(module_at):
    """The module of the table whose joint distribution is known."""
    return module_at(Path(__file__).with_name("known_table.py"))


@pytest.fixture(scope="session")
def by_crew(module_at):
    """``by_crew(2, work)``: what each of two processes computes that share work."""
    return module_at(Path(__file__).with_name("crew.py")).by_crew
