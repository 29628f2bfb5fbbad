"""``genmod grid``."""

import json

SMALL = ("--prior", "normal", "--prior", "none", "--divergence", "kl", "--divergence", "none")


def test_what_goes_together(genmod):
    done = genmod("grid", "--posterior", "normal", "--posterior", "delta", *SMALL)
    assert done.code == 0
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert rows[0] == ["posterior", "prior", "latent", "divergence", "objective"]
    assert ["delta", "none", "16", "none", "reconstruction"] in rows
    elbo = next(row for row in rows if row[:2] == ["normal", "normal"] and row[3] == "kl")
    assert "elbo" in elbo[4].split()
    assert "reconstruction" not in elbo[4].split()
    assert "combinations can be built" in done.err


def test_what_does_not(genmod):
    done = genmod("grid", "--posterior", "delta", *SMALL, "--refused")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert rows[0][-2:] == ["why", "what to choose"]
    assert all(row[0] == "delta" and row[4] and row[5] for row in rows[1:])
    assert any("has no density" in row[4] for row in rows[1:])


def test_json(genmod):
    done = genmod("grid", "--posterior", "normal", *SMALL, "--objective", "elbo", "--json")
    document = json.loads(done.out)
    found = {(c["prior"], c["divergence"]): c for c in document["combinations"]}
    assert len(found) == len(document["combinations"]) == 4
    assert found["normal", "kl"]["allowed"]
    assert not found["none", "kl"]["allowed"]
    assert found["none", "kl"]["reason"]
    assert found["none", "kl"]["hint"]


def test_unknown_names(genmod):
    done = genmod("grid", "--posterior", "nrmal")
    assert (done.code, done.out) == (2, "")
    assert "normal" in done.err
    assert genmod("grid", "--data", "nothing").code == 2
