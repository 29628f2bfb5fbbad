"""The page of reproductions says what its data say."""

import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "reproductions"
RESULTS = sorted(FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("reproductions_page", FOLDER / "page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_of_the_results(script):
    results = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS]
    assert results
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == script.page(results)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_what_made_it_is_kept(path, script):
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["command"][:2] == ["genmod", "reproduce"]
    assert path.stem == results["name"] + ("-quick" if results["quick"] else "")
    assert results["versions"]["torch"]
    assert results["runs"]
    assert (FOLDER / "figures" / f"{path.stem}.png").stat().st_size > 5000
    for each in (*results["targets"], *results["claims"]):
        assert each["verdict"]


def test_a_quick_version_says_both_budgets(script):
    for path in RESULTS:
        results = json.loads(path.read_text(encoding="utf-8"))
        if results["quick"]:
            text = script.section(results)
            for budget in results["budget"].values():
                assert script.words(budget) in text
