"""The documentation site: it has every page, is built without a warning, and its links lead somewhere."""

import os
import re
import subprocess
import sys
import tomllib
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

import genmod
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_page_is_in_the_contents():
    """One that is not is a warning when the site is built."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = [
        line
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", index, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(":")
    ]
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    generated = {"Overview <self>", "tutorials/index", "howto/index", "components/index", "api/index"}
    assert sorted(listed) == sorted(pages | generated), "put the page into a list of docs/index.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site that was built."""
    pytest.importorskip("sphinx", minversion="9.0", reason="pip install '.[docs]'")
    pytest.importorskip("myst_nb", reason="pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-d",
        folder / "trees",
        DOCS,
        folder / "out",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=os.environ)
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.mark.slow
def test_every_component_and_every_name_has_its_place(site):
    for provided in Registry(third_party=False).components():
        page = (site / "components" / provided.kind / f"{provided.name}.html").read_text(encoding="utf-8")
        # Each word of a line of code has a mark of its own.
        words = unescape(re.sub(r"<[^>]+>", "", page))
        assert f"genmod check {provided.kind}/{provided.name}" in words
    for kind in KINDS:
        assert f'id="laws-{kind}"' in (site / "components" / kind / "index.html").read_text(encoding="utf-8")
    names = (site / "api" / "genmod.html").read_text(encoding="utf-8")
    assert [name for name in genmod.__all__ if f'id="genmod.{name}"' not in names] == []


@pytest.mark.slow
def test_links_within_lead_somewhere(site):
    anchors = {
        path: set(re.findall(r'\bid="([^"]+)"', path.read_text(encoding="utf-8")))
        for path in site.rglob("*.html")
    }
    missing = set()
    for path in anchors:
        for link in re.findall(r'\b(?:href|src)="([^"]+)"', path.read_text(encoding="utf-8")):
            file, _, anchor = unquote(unescape(link)).partition("#")
            if re.match(r"[a-z]+:", file):
                continue
            target = (path.parent / file.partition("?")[0]).resolve() if file else path
            if not target.exists() or (anchor and target in anchors and anchor not in anchors[target]):
                missing.add((path.relative_to(site).as_posix(), link))
    assert not missing


@pytest.mark.slow
def test_links_elsewhere_are_well_formed(site):
    """Whether they answer is for `sphinx-build -b linkcheck`, which asks the network; files of the repository are looked up."""
    source = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
    links = {
        unescape(link)
        for path in site.rglob("*.html")
        for link in re.findall(r'\bhref="(https?:[^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(links) > 200
    whole = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[^\s<>\"{}|\\^`]*)?")
    assert [link for link in links if not whole.fullmatch(link) or link[-1] in ".,;:)"] == []
    ours = re.compile(re.escape(source) + r"/(blob|tree)/main/([^#]+)")
    for kind, path in (found.groups() for found in map(ours.fullmatch, links) if found):
        file = ROOT / unquote(path)
        assert file.is_dir() if kind == "tree" else file.is_file(), path


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(
            r'<(?:script|img|iframe|link rel="(?:stylesheet|preload)")[^>]*?(?:src|href)="(https?:[^"]*)"',
            text,
        )
        assert not loaded, path
    assert (site / "searchindex.js").stat().st_size > 100_000


@pytest.mark.slow
def test_no_page_names_a_folder_of_this_machine(site):
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert [path.relative_to(site) for path, text in pages.items() if str(ROOT) in text] == []
    assert "UndefinedError" in pages[site / "tutorials" / "1-first-vae.html"]


@pytest.mark.slow
def test_lines_in_python_of_the_pages_build_models(monkeypatch, tmp_path):
    pytest.importorskip("sphinx", minversion="9.0", reason="pip install '.[docs]'")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    monkeypatch.chdir(tmp_path)
    from site_components import in_python

    built, refused = 0, []
    for provided in Registry(third_party=False).components():
        lines = in_python(provided)
        if lines.startswith("import genmod\n\nmodel = genmod.build(") and "data=" not in lines:
            if provided.missing_requirements:
                continue
            try:
                exec(compile(lines, provided.qualified, "exec"), {})
                built += 1
            except genmod.UsageError:
                refused.append(f"{provided.kind} {provided.name}")
    assert refused == ["critic lpips"], "which needs files of weights"
    assert built > 100
