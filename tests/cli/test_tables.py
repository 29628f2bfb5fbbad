"""``genmod build --data people.csv`` and what follows: the same header, categories, units, ranges and types come out."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from genmod import figures

SMALL = ("-s", "encoder.hidden=16", "--latent", "2", "-q")


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def same_kind_of_rows(made, given, n):
    """Whether rows are such as were given: header, categories, ranges, whole numbers, dates."""
    assert len(made) == n
    assert list(made[0]) == list(given[0])
    for name in ("region", "job", "zip", "owner", "urban", "country"):
        assert {row[name] for row in made} <= {row[name] for row in given} - {""}
    for name in ("visits", "claims"):
        assert all(row[name].isdigit() for row in made)
    for name in ("visits", "claims", "height", "score", "income"):
        there = [float(row[name]) for row in given if row[name]]
        assert all(min(there) <= float(row[name]) <= max(there) for row in made)
    assert all(len(row["height"].partition(".")[2]) <= 2 for row in made)
    days = [row["joined"] for row in given if row["joined"]]
    assert all(min(days) <= row["joined"] <= max(days) and len(row["joined"]) == 10 for row in made)


@pytest.mark.parametrize("missing", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_from_a_file_to_a_file(genmod, known, missing):
    known.write_known_table("people.csv", 600, missing=missing)
    built = genmod("build", "--data", "people.csv", "-o", "t", "-s", "encoder.hidden=16", "--latent", 2)
    assert built.code == 0, built.err
    lines = {line.split()[0]: line.split() for line in built.out.splitlines() if line}
    assert lines["visits"][:3] == ["visits", "count", "Int64"]
    assert "negative-binomial" in lines["visits"]
    assert "gaussian-mixture" in lines["score"]
    columns = json.loads(Path("t/model.json").read_text())["data"]["columns"]
    assert [column["name"] for column in columns] == known.NAMES
    trained = genmod("train", "t", "--steps", 20, "-q")
    assert trained.code == 0, trained.err
    assert genmod("sample", "t", "-n", 200, "-o", "s.csv").code == 0
    given = rows_of("people.csv")
    same_kind_of_rows(rows_of("s.csv"), given, 200)
    again = genmod("sample", "t", "-n", 200, "-o", "s2.csv")
    assert again.out == "s2.csv\n"
    assert Path("s.csv").read_bytes() == Path("s2.csv").read_bytes()
    assert genmod("sample", "t", "-n", 50, "-o", "s.parquet").code == 0
    table = parquet.read_table("s.parquet")
    assert table.column_names == known.NAMES
    assert table.schema.field("visits").type == pyarrow.int64()
    assert table.schema.field("joined").type == pyarrow.date32()
    assert genmod("reconstruct", "t", "-o", "r.csv").code == 0
    same_kind_of_rows(rows_of("r.csv"), given, 60)
    assert genmod("reconstruct", "t", "-n", 7, "--split", "train", "-o", "r2.csv").code == 0
    assert len(rows_of("r2.csv")) == 7
    evaluated = genmod("evaluate", "t", "--json")
    assert evaluated.code == 0, evaluated.err


def test_labels_and_identifiers(genmod, monkeypatch):
    rng = np.random.default_rng(0)
    with open("a.csv", "w") as file:
        file.write("id,x,kind,more\n")
        file.writelines(
            f"{i + 100},{v:.3f},{'ab'[i % 2]},{w:.2f}\n" for i, (v, w) in enumerate(rng.normal(size=(120, 2)))
        )
    assert (
        genmod(
            "build", "--data", "a.csv", "-s", "dataset.label=kind", "--condition", "label", "-o", "m", *SMALL
        ).code
        == 0
    )
    assert genmod("train", "m", "--steps", 3, "-q").code == 0
    assert genmod("sample", "m", "-n", 6, "--condition", "b", "-o", "s.csv").code == 0
    made = rows_of("s.csv")
    assert [row["kind"] for row in made] == ["b"] * 6
    assert [row["id"] for row in made] == [str(i) for i in range(1, 7)]
    assert genmod("sample", "m", "-n", 4, "-o", "turns.csv").code == 0
    assert [row["kind"] for row in rows_of("turns.csv")] == ["a", "b", "a", "b"]
    drawn, grid = [], figures.sample_grid
    monkeypatch.setattr(figures, "sample_grid", lambda *a, **k: (drawn.append(a[1]), grid(*a, **k))[1])
    done = genmod("sample", "m", "-n", 6, "-o", "s.png", "--json")
    assert drawn == [json.loads(done.out)["number"]], "as many as are said, and those once"
    assert drawn[0] > 6, "as many as there are in the data"
    assert genmod("reconstruct", "m", "-o", "r.csv").code == 0
    given = {row["id"]: row for row in rows_of("a.csv")}
    made = rows_of("r.csv")
    assert len(made) == 12
    assert all(given[row["id"]]["kind"] == row["kind"] for row in made)


def test_a_path_in_place_of_a_name(genmod):
    from PIL import Image

    Path("photos").mkdir()
    for i in range(12):
        Image.new("L", (8, 8), i * 20).save(f"photos/{i}.png")
    rng = np.random.default_rng(0)
    np.savez("x.npz", x=rng.normal(size=(60, 5)).astype(np.float32))
    np.savez("p.npz", x=rng.integers(0, 255, (60, 8, 8)).astype(np.uint8))
    for path, name, encoder, decoder in (
        ("photos/", "image-folder", "conv", "bernoulli"),
        ("photos", "image-folder", "conv", "bernoulli"),
        ("x.npz", "npz", "mlp", "gaussian"),
        ("p.npz", "npz", "conv", "bernoulli"),
    ):
        done = genmod("build", "--data", path, "--dry-run", "--json", "--latent", 2)
        assert done.code == 0, done.err
        parts = {part["kind"]: part for part in json.loads(done.out)["parts"]}
        assert (parts["dataset"]["name"], parts["dataset"]["options"]["path"]) == (name, path.rstrip("/"))
        assert (parts["encoder"]["name"], parts["decoder"]["name"]) == (encoder, decoder)


def test_mistakes(genmod, known):
    known.write_known_table("people.csv", 60)
    Path("t.xlsx").write_bytes(b"")
    for arguments, code, words in (
        (("build", "--data", "t.xlsx"), 2, "no dataset opens t.xlsx"),
        (("build", "--data", "none.csv"), 2, "there is no"),
        (("build", "--data", "people.csv", "-s", "dataset.kinds=visits:number"), 2, "dataset.kinds.visits"),
        (("build", "--data", "people.csv", "--decoder", "bernoulli"), 2, "needs data from 0 to 1"),
    ):
        done = genmod(*arguments)
        assert done.code == code
        assert words in done.err
    assert genmod("build", "-o", "digits", "--encoder", "mlp", "-q").code == 0
    refused = genmod("sample", "digits", "-o", "s.csv")
    assert refused.code == 2
    assert "the rows of a table with named columns" in refused.err
    assert not Path("s.csv").exists()


def test_kinds_and_parts_that_are_named(genmod, known):
    known.write_known_table("people.csv", 300)
    kinds = "dataset.kinds=visits:whole,claims:ordered"
    done = genmod(
        "build",
        "beta-vae",
        "--data",
        "people.csv",
        "-s",
        kinds,
        "--decoder",
        "gaussian",
        "-o",
        "m",
        *SMALL[:-1],
    )
    assert done.code == 0, done.err
    lines = {line.split()[0]: line.split() for line in done.out.splitlines() if line}
    assert (lines["visits"][1], lines["claims"][1]) == ("whole", "ordered")
    assert lines["decoder"][1] == "gaussian"
