"""``genmod info``."""

import json
import os
import sys
from pathlib import Path

import torch
from PIL import Image


def test_versions_and_devices(genmod):
    done = genmod("info", "--json")
    assert done.code == 0
    document = json.loads(done.out)
    # One may name the build, as in 2.13.0+cpu, where the other does not.
    assert document["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert document["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert document["devices"][0].startswith("cpu (")
    assert document["plugins"]["ok"] >= 1


def test_table_has_every_version(genmod):
    done = genmod("info")
    rows = dict(line.split("\t") for line in done.out.splitlines())
    assert {"what", "genmod-torch", "torch", "numpy", "typer", "devices", "data"} <= set(rows)


def test_data_root(genmod, monkeypatch, tmp_path):
    monkeypatch.setenv("GENMOD_DATA", str(tmp_path))
    assert json.loads(genmod("info", "--json").out)["data"] == str(tmp_path)


def test_torchvision_for_another_torch_is_diagnosed(genmod, monkeypatch, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    done = genmod("info", "--json")
    assert done.code == 0
    document = json.loads(done.out)
    assert "nms does not exist" in document["torchvision"]
    assert "pip install --upgrade torch torchvision" in document["problems"][0]
    assert "warning: torchvision cannot be imported" in genmod("info").err


def test_the_other_genmod_is_noticed(genmod, monkeypatch, tmp_path):
    metadata = tmp_path / "site" / "genmod-1.5.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: genmod\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(str(metadata.parent))
    (problem,) = json.loads(genmod("info", "--json").out)["problems"]
    assert "genmod 1.5" in problem
    assert "pip uninstall genmod" in problem


def test_broken_plugin_is_noticed(genmod, plant):
    plant("genmod-bad", before="raise ImportError('no such thing')")
    document = json.loads(genmod("info", "--json").out)
    assert document["plugins"]["broken"] == 1
    assert document["problems"] == ["1 plugin failed to load, see: genmod plugins"]


def test_what_is_kept_of_pictures_is_shown_and_cleared(genmod, monkeypatch, tmp_path):
    folder = tmp_path / "cache"
    monkeypatch.setenv("GENMOD_CACHE", str(folder))
    pictures = Path("photos").absolute()
    pictures.mkdir()
    for i in range(64):
        Image.new("RGB", (8, 8), (i, 2 * i, 3 * i)).save(pictures / f"{i}.png")
        os.utime(pictures / f"{i}.png", (1, 1))
    assert genmod("build", "--data", "photos/", "--no-cache", "-o", "one").code == 0
    train = ("train", "one", "--steps", "1", "--batch-size", "4", "-q")
    assert genmod(*train, "--no-cache").code == 0
    assert not folder.exists()
    assert os.environ["GENMOD_CACHE"] == str(folder)
    assert genmod(*train, "--overwrite").code == 0
    cache = json.loads(genmod("info", "--json").out)["cache"]
    (file,) = cache["files"]
    assert (cache["folder"], cache["limit"]) == (str(folder), 20 * 2**30)
    assert (file["kind"], file["place"], file["shape"]) == ("pictures", str(pictures), [3, 8, 8])
    assert f"pictures 3×8×8 of {pictures}" in genmod("info").out
    rows = folder / file["file"]
    whole = rows.read_bytes()
    rows.write_bytes(whole.replace(b'"shape": [3, 8, 8]', b'"shape": 3        ', 1))
    assert f"pictures  of {pictures}" in genmod("info").out
    rows.write_bytes(whole)
    (folder / "mine").write_text("mine")
    assert genmod("info", "--clear-cache").out.startswith("removed 1 file, 0.0 MiB, from ")
    assert [each.name for each in folder.iterdir()] == ["mine"]
    assert json.loads(genmod("info", "--clear-cache", "--json").out)["removed"] == []
    assert "cache\toff" in genmod("info", "--no-cache").out
