"""Run command lines in this process, in an empty folder."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Done:
    """What a command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def genmod(capsys, monkeypatch, tmp_path):
    """Run a command line; nothing that it writes lies outside ``tmp_path``."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GENMOD_DATA", raising=False)
    for name in ("NO_COLOR", "FORCE_COLOR", "_GENMOD_COMPLETE"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        from genmod.cli import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Done(exit.value.code, out, err)

    return run


@pytest.fixture(scope="session")
def terminals(module_at):
    """The module of terminals: ``terminals.Terminal``, ``terminals.Shell``."""
    return module_at(Path(__file__).with_name("terminal.py"))


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """Install a plugin package by hand: its metadata, ``__init__.py`` and further modules."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(distribution, *records, before="", **modules):
        package = distribution.replace("-", "_")
        (site / package).mkdir()
        body = "".join(f"    yield Component({record})\n" for record in records) or "    yield from ()\n"
        source = (
            f"{before}\nfrom genmod import Component, hookimpl\n@hookimpl\ndef genmod_components():\n{body}"
        )
        for name, text in {"__init__": source, **modules}.items():
            (site / package / f"{name}.py").write_text(text)
        metadata = site / f"{package}-1.5.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        (metadata / "entry_points.txt").write_text(f"[genmod.v1]\nmain = {package}\n")

    yield install
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(site)):
            del sys.modules[name]
