"""A headless Chromium for tests, and a place for what it shows.

A folder of tests takes the fixtures over in its conftest, as ``tests/report/conftest.py`` does.
"""

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["artefacts", "browser"]

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# One for each file of tests: two that lived side by side in a process would share an event loop, which cannot be.
@pytest.fixture(scope="module")
def browser():
    """A Chromium; ``browser.new_page()`` is an empty page. Skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield running
        running.close()


@pytest.fixture
def artefacts(tmp_path):
    """Where pictures are kept for people to look at: the folder ``$GENMOD_ARTIFACTS``, else a temporary one."""
    folder = Path(os.environ.get("GENMOD_ARTIFACTS") or tmp_path / "artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
