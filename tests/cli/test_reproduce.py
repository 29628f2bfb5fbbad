"""``genmod reproduce`` and ``genmod selftest``."""

import json
from pathlib import Path

import pytest

from genmod.testing import selftest

TOML = """
summary = "one model"
paper = "A Paper (Author, 2020), arXiv:2000.00000"
protocol = "as written here"

[build]
latent = 2
encoder = { name = "mlp", hidden = [8] }

[train]
epochs = 2
batch_size = 500

[quick.train]
epochs = 1

[[run]]
name = "one"

[[target]]
run = "one"
metric = "elbo"
value = -40.0
tolerance = 20.0
source = "table 1"
"""


def test_runs_a_file_and_says_what_came_out(genmod):
    Path("mine.toml").write_text(TOML)
    done = genmod("reproduce", "mine.toml", "--quick", "--device", "cpu")
    assert done.code == 0, done.err
    assert "published" in done.out
    assert "table 1" in done.out
    assert "the budget was 1 epochs, 500 batch size, 1 seeds; the protocol's is 2 epochs" in done.err
    results = json.loads(Path("reproductions/mine-quick/results.json").read_text("utf-8"))
    assert results["command"][:2] == ["genmod", "reproduce"] or results["command"][0] == "genmod"
    assert results["targets"][0]["ours"] < 0


def test_dry_run_writes_nothing(genmod):
    Path("mine.toml").write_text(TOML)
    done = genmod("reproduce", "mine.toml", "--dry-run", "--json")
    assert done.code == 0, done.err
    assert [row["directory"] for row in json.loads(done.out)] == ["reproductions/mine/one"]
    assert not Path("reproductions").exists()


def test_unknown_names_and_files(genmod):
    done = genmod("reproduce", "iwea")
    assert done.code == 2
    assert "did you mean iwae" in done.err
    done = genmod("reproduce", "none.toml")
    assert done.code == 2
    assert "none.toml" in done.err


@pytest.mark.parametrize("broken", [False, True])
def test_selftest_command(genmod, monkeypatch, broken):
    """What it prints, and that it fails where a number is wrong; the numbers are tested by themselves."""
    proof = selftest.Proof("two and two", 4.5 if broken else 4.0, 4.0, 0.1, 0.0)
    monkeypatch.setattr(selftest, "selftest", lambda tell: [tell(proof), proof][1:])
    done = genmod("selftest")
    assert done.code == (1 if broken else 0)
    assert "two and two" in done.out
    document = json.loads(genmod("selftest", "--json").out)
    assert document["ok"] is not broken
    assert document["proofs"][0]["holds"] is not broken
