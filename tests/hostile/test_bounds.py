"""Small files that would do large harm, and files of strangers: each is refused with what is wrong, at once."""

import json
import os
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

DEEP = ".".join("a" * 100_000)


@pytest.fixture
def model(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "m")


def refused(done, *words, code=2):
    assert not done.fault, done.output[-800:]
    assert done.code == code, done.output[-800:]
    assert all(word in done.output for word in words), done.output[-800:]


def change(model, **fields):
    path = model / "model.json"
    plain = json.loads(path.read_text())
    for name, value in fields.items():
        holder = plain
        *way, last = name.split("__")
        for step in way:
            holder = holder[step]
        holder[last] = value
    path.write_text(json.dumps(plain))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{DEEP} = 1", "more than 16 parts"),
        (f"[{DEEP}]", "more than 16 parts"),
        (f"encoder = {{ {DEEP} = 1 }}", "more than 16 parts"),
        ('"a"' + ' . "a"' * 30_000 + " = 1", "more than 16 parts"),
        ("x = [" + "1," * 130_000 + "]", "longer than 250,000"),
        ("latent = " + "9" * 5000, "more than 64 digits"),
        ("latent = 0x" + "f" * 5000, "more than 64 digits"),
        ("a = " + "[" * 100_000, "no TOML"),
    ],
    ids=["key", "header", "inline", "quoted", "long", "digits", "hexadecimal", "nested"],
)
@pytest.mark.parametrize("command", ["build", "sweep"])
def test_a_specification_is_bounded_before_it_is_parsed(commands, tmp_path, command, text, words):
    (tmp_path / "a.toml").write_text(text)
    refused(commands(command, tmp_path / "a.toml"), words)


def test_dots_in_texts_and_numbers_join_no_key(commands, tmp_path):
    text = (
        f'# {DEEP[:100]}\nlatent = 2\nencoder = {{ name = "mlp", hidden = [8] }}\n[dataset]\nname = "npz"\n'
    )
    (tmp_path / "a.toml").write_text(f'{text}path = "{DEEP[:99]}"\n')
    refused(commands("build", tmp_path / "a.toml"), "there is no")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"data__shape": [1] * 200_001}, "200,001 dimensions; at most 8"),
        ({"latent": [1] * 200_001}, "up to eight"),
        ({"data__shape": [2**28]}, "does not belong to this model"),
        ({"data__factors": [{"name": "f", "size": 10**8}], "condition": ["f"]}, "at most 100,000"),
        ({"data__factors": [{"name": "f", "size": -1}]}, "at least one"),
        ({"components__encoder__options__hidden": [20_000, 20_000]}, "does not belong to this model"),
        ({"components__encoder__options__hidden": [1] * 20_000}, "more than 5,000 layers"),
        ({"latent": [2**20]}, "does not belong to this model"),
    ],
    ids=["dimensions", "latents", "pixels", "factor", "no-values", "widths", "layers", "wide"],
)
def test_a_description_is_bounded_before_memory_is_taken(commands, model, fields, words):
    change(model, **fields)
    done = commands("sample", model)
    refused(done, words)
    assert len(done.output) < 6000
    assert done.kilobytes < 2**20


@pytest.mark.parametrize("name", ["model.safetensors", "sampler/sampler.safetensors"])
def test_a_header_is_bounded_before_it_is_parsed(commands, model, name):
    header = b'{"a":[' + b"[]," * 8_000_000 + b"[]]}"
    (model / name).write_bytes(struct.pack("<Q", len(header)) + header)
    refused(commands("sample", model), "is damaged")


def test_layers_without_end_are_refused(commands):
    refused(commands("build", "--encoder", "transformer", "-s", "encoder.depth=1000000000"), "5,000 layers")


def test_masks_of_flows_are_bounded(commands):
    refused(
        commands("build", "--posterior", "flow", "-s", "posterior.hidden=100000000"), "at most 268,435,456"
    )


def test_no_description_is_written_that_could_not_be_read(tmp_path):
    from genmod.bundle.directory import ModelDirectory
    from genmod.data.dataset import DataInfo
    from genmod.errors import FileError
    from genmod.spec import ModelSpec

    names = tuple(f"{i:040}" for i in range(100_000))
    with pytest.raises(FileError, match="at most 4,000,000 are allowed"):
        ModelDirectory(tmp_path).write_spec(ModelSpec(), DataInfo((1,), classes=names))
    assert not list(tmp_path.iterdir())


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch, tmp_path):
    from threading import Thread

    from genmod.plugins.datasets import _pictures

    Image.new("L", (2100, 2100)).save(tmp_path / "a.png")
    now, most = [], []
    before = _pictures._fitted

    def fitted(*arguments):
        now.append(1)
        most.append(len(now))
        found = before(*arguments)
        now.pop()
        return found

    monkeypatch.setattr(_pictures, "_fitted", fitted)
    threads = [Thread(target=_pictures.read_picture, args=(tmp_path / "a.png", 1, (8, 8))) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert most == [1] * 6


def test_shards_that_announce_more_than_memory_holds(commands, tmp_path):
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10**11, 10)}
        )
        file.truncate(10**12 + file.tell())
    refused(commands("build", "--data", "shards", "-s", f"dataset.path={path}"), "at most 67,108,864")


def test_an_array_whose_header_ends_within_a_bracket(commands, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((5, 3), dtype="f4"))
    path.write_bytes(path.read_bytes().replace(b"(5, 3)", b"(5, 3 "))
    refused(commands("build", "--data", "shards", "-s", f"dataset.path={path}"), "its header ends too early")


def test_a_shard_whose_header_has_no_number(commands, tmp_path):
    header = b'{"x":{"dtype":"F32","shape":[1e400,5],"data_offsets":[0,2000]}}'
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(2000))
    refused(
        commands("build", "--data", "shards", "-s", f"dataset.path={tmp_path / 'x.safetensors'}"),
        "cannot be read",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", "x"), ("seconds", "x"), ("best_loss", []), ("versions", 5), ("environment", "x"), ("git", [1]),
        ("command", 5), ("settings", [1]), ("status", 5),
    ],
)  # fmt: skip
def test_a_damaged_record_is_named(commands, model, name, value):
    path = model / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    refused(commands("report", model), f"its {name} is")


def test_infinite_numbers_are_no_json(commands, model):
    (model / "run.json").write_text('{"status": "finished", "seconds": 1e999}')
    refused(commands("report", model), "run.json is damaged", "1e999")


@pytest.mark.parametrize("value", ["NaN", "1e999", '"x"', "9" * 4000, "null", "[1]"])
def test_rows_without_a_number_are_no_curve(commands, model, value):
    (model / "metrics.jsonl").write_text(f'{{"step": 1, "split": "train", "loss": {value}}}\n')
    refused(commands("plot", model), "no number of loss")


def rows(model, names):
    line = json.dumps({"split": "train", **dict.fromkeys(names, 1.0)})[1:]
    (model / "metrics.jsonl").write_text("".join(f'{{"step": {i}, {line}\n' for i in (1, 2)))


def test_names_of_metrics_are_no_formulas(commands, model):
    rows(model, ["$$", "\\frac{$", "$a_$", "\udcff", "n" * 10_000])
    refused(commands("plot", model, "-o", model / "x.svg"), code=0)
    refused(commands("plot", model, "-o", model / "x.csv"), code=0)


def test_thousands_of_metrics_are_not_all_drawn(commands, model):
    names = [f"m{i}" for i in range(5000)]
    rows(model, names)
    refused(commands("plot", model, seconds=30), "the first 24 of 5,000", "--metric", code=0)
    refused(commands("plot", model, "--metric", ",".join(names), "--overwrite"), "at most 24", "curves.csv")


@pytest.mark.parametrize("name", [b"a$x^$", b"$\\frac{", b"a\xffb"])
@pytest.mark.parametrize(
    "use",
    [
        ["plot"],
        ["report"],
        ["latents"],
        ["traverse"],
        ["explore", "--export", "e.html", "--overwrite"],
        ["train", "--overwrite", "--epochs", "1"],
    ],
    ids=" ".join,
)
def test_folders_of_any_name(commands, trained, tmp_path, name, use):
    place = tmp_path / os.fsdecode(name)
    shutil.copytree(trained, place)
    refused(commands(use[0], place, *use[1:], seconds=40), code=0)


def test_a_class_of_a_name_that_is_no_utf8(commands, tmp_path):
    for name in (b"\xff", b"$a$"):
        folder = tmp_path / "pictures" / os.fsdecode(name)
        folder.mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8), i * 9).save(folder / f"{i}.png")
    commands.folder = tmp_path
    use = [
        "--data",
        "image-folder",
        "-s",
        "dataset.path=pictures",
        "--encoder",
        "mlp",
        "-s",
        "encoder.hidden=8",
    ]
    refused(commands("build", "cvae", *use, "--latent", "2", "-o", "c"), code=0)
    refused(commands("train", "c", "--epochs", "1", seconds=30), code=0)
    refused(commands("report", "c", seconds=30), code=0)


@pytest.mark.parametrize(
    "use",
    [["plot"], ["report"], ["sample"], ["explore", "--export", "e.html"], ["compare", "--pictures", "c.png"]],
    ids=" ".join,
)
def test_a_full_disk_leaves_nothing_half_written(commands, model, tmp_path, use):
    commands.folder = tmp_path
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = commands(use[0], "m", *use[1:], seconds=40, writes=1000)
    assert not done.fault, done.output
    assert done.code in (1, 2)
    assert "cannot be written" in done.output
    after = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "output.txt"
    }
    assert after == {path: content for path, content in before.items() if path.name != "output.txt"}


@pytest.mark.parametrize(
    "use",
    [["report"], ["latents"], ["compare"], ["explore", "--export", "e.html"], ["traverse"]],
    ids=" ".join,
)
def test_weights_that_are_not_finite(commands, model, use):
    import torch

    from genmod.system.tensors import read_any_tensors, write_tensors

    path = model / "model.safetensors"
    tensors = read_any_tensors(path)
    write_tensors(path, {name: torch.full_like(t, torch.inf) for name, t in tensors.items()})
    shutil.rmtree(model / "sampler")
    commands.folder = model.parent
    done = commands(use[0], model, *use[1:], seconds=40)
    assert not done.fault, done.output[-600:]
