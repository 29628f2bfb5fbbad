"""Distributions written by hand into a folder on the path: metadata and modules, without an installer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEADER = "from genmod.registry.component import Component, hookimpl\n"


class Site:
    """A folder of installed distributions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def add(
        self, distribution, source=None, *, version="1.0", entry_points=None, group="genmod.v1", **modules
    ):
        """Install a distribution whose plugin module is ``source``; ``modules`` are further ones."""
        module = distribution.lower().replace("-", "_")
        if source is not None:
            modules[module] = source
        for name, text in modules.items():
            (self.path / f"{name}.py").write_text(text)
        points = entry_points or {"main": module}
        lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
        self.metadata(distribution, version, "\n".join(lines) + "\n")

    def plugin(self, distribution, *records, before="", **arguments):
        """Install a plugin that yields records, each given as the source of a Component's arguments."""
        body = "".join(f"    yield Component({record})\n" for record in records) or "    yield from ()\n"
        source = f"{HEADER}{before}\n@hookimpl\ndef genmod_components():\n{body}"
        self.add(distribution, source, **arguments)

    def metadata(self, distribution, version, entry_points):
        folder = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (folder / "entry_points.txt").write_text(entry_points)
        return folder


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site on the path of this process, whose modules are forgotten afterwards."""
    site = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site.path))
    yield site
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def other_site(tmp_path):
    """A second site, which is on no path."""
    return Site(tmp_path / "other")


@pytest.fixture
def python(site, tmp_path):
    """Run code in a clean interpreter that has the site on its path; returns what it printed as JSON."""

    def run(*arguments, path=(), cwd=tmp_path, environ=None):
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("GENMOD_", "PYTHON"))
        }
        environment["PYTHONPATH"] = os.pathsep.join([*map(str, path), str(site.path)])
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env={**environment, **(environ or {})},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
