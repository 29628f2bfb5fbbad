"""A model on disk: what is written comes back bit by bit, and what is damaged is refused with a reason."""

import copy
import errno
import json
import os
import pickle
import random
import struct
from contextlib import suppress

import pytest
import torch
from safetensors.torch import save as to_bytes

from genmod import DataInfo, FileError, GenmodError, build, compose, load, save, train
from genmod.bundle.directory import ModelDirectory
from genmod.model.assembly import assemble
from genmod.system.tensors import FORMAT, read_tensors, write_tensors

SMALL = {"encoder": {"name": "mlp", "hidden": [6]}, "latent": 2}


@pytest.fixture(scope="module")
def model():
    return build(**SMALL)


@pytest.fixture
def saved(model, tmp_path):
    return save(model, tmp_path / "model")


def contents(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def everything(directory):
    """What is in a directory, however deep, but for pictures, which are drawn anew."""
    paths = sorted(p for p in directory.rglob("*") if p.is_file() and "samples" not in p.parts)
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def test_files_and_nothing_else(saved):
    assert sorted(contents(saved)) == ["model.json", "model.safetensors"]
    assert list(saved.parent.iterdir()) == [saved]
    plain = json.loads((saved / "model.json").read_text())
    assert plain["format"] == FORMAT
    assert "genmod.plugins" not in json.dumps(plain), "an import path"
    assert ModelDirectory(saved).is_model
    assert not ModelDirectory(saved).is_trained


def test_same_model_same_bytes(model, saved, tmp_path):
    assert contents(save(copy.deepcopy(model), tmp_path / "other")) == contents(saved)
    assert contents(save(load(saved), tmp_path / "again")) == contents(saved)


@pytest.mark.parametrize(
    "info",
    [
        DataInfo((3, 9, 12), low=-1.0, high=1.0, levels=256, classes=("a", "b")),
        DataInfo((5,), low=-torch.inf, high=torch.inf),
    ],
    ids=["image", "table"],
)
@pytest.mark.parametrize("scale", [0.5, "learned", "per-dimension", "per-pixel", "optimal"])
def test_every_parameter_and_buffer_comes_back(scale, info, tmp_path):
    components = {
        "encoder": {"name": "conv", "norm": "batch"} if info.is_image else {"name": "mlp", "hidden": [6]},
        "decoder": {"name": "gaussian", "scale": scale},
    }
    model = assemble(compose(components=components, latent=2), info)
    low, high = max(info.low, -2.0), min(info.high, 2.0)
    # Running statistics and scales move away from where a new model has them.
    model.terms(low + (high - low) * torch.rand(8, *info.shape))
    other = load(save(model, tmp_path / "model"))
    assert (other.spec, other.data) == (model.spec, info)
    state = model.state_dict()
    assert {name: t.dtype for name, t in state.items()} == {
        name: t.dtype for name, t in other.state_dict().items()
    }
    assert all(torch.equal(state[name], tensor) for name, tensor in other.state_dict().items())


def test_schedules_come_back_settled(tmp_path):
    model = build(**SMALL, settings={"objective.beta": "cyclical 0->4 over 10 epochs x2"})
    other = load(save(model, tmp_path / "model"))
    assert other.objective.beta == model.objective.beta
    assert float(other.objective.beta) == 4.0


def test_best_and_last_weights(tmp_path):
    model, directory = build(**SMALL), tmp_path / "model"
    save(model, directory)
    assert torch.equal(
        load(directory, weights="last").encoder.layers[0].weight, model.encoder.layers[0].weight
    )
    train(model, directory=directory, steps=25, lr=0.5, device="cpu")
    assert ModelDirectory(directory).is_trained
    best, last = load(directory), load(directory, weights="last")
    assert all(torch.equal(a, b) for a, b in zip(best.parameters(), model.parameters(), strict=True))
    assert not torch.equal(best.encoder.layers[0].weight, last.encoder.layers[0].weight)


def test_double_precision_comes_back(tmp_path):
    model = build(**SMALL).double()
    other = load(save(model, tmp_path / "model"))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert other.sample(2, seed=0).dtype == torch.float64


def test_tied_and_strided_weights(tmp_path):
    weight = torch.randn(3, 4)
    tensors = {"a": weight, "b": weight, "c": weight.T, "empty": torch.zeros(0), "one": torch.tensor(3)}
    write_tensors(tmp_path / "x.safetensors", tensors)
    back = read_tensors(tmp_path / "x.safetensors", tensors)
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


# What must not be lost


def test_untrained_model_is_replaced(model, saved):
    other = build(**SMALL, seed=1)
    save(other, saved)
    assert torch.equal(load(saved).encoder.layers[0].weight, other.encoder.layers[0].weight)


def test_trained_model_is_kept_unless_asked(model, saved):
    (saved / "run.json").write_text("{}")
    before = contents(saved)
    with pytest.raises(FileError, match="trained") as caught:
        save(model, saved)
    assert "--overwrite" in caught.value.hint
    assert contents(saved) == before
    save(model, saved, overwrite=True)
    assert not ModelDirectory(saved).is_trained


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_is_left_alone(model, tmp_path, overwrite):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.png").write_bytes(b"cat")
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(folder)
    for place in (folder, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(FileError, match="left alone"):
            save(model, place, overwrite=overwrite)
    assert (folder / "cat.png").read_bytes() == b"cat"
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_failure_midway_leaves_the_old_model_and_no_remains(model, saved, monkeypatch, number, trained):
    if trained:
        train(model, directory=saved, steps=3, device="cpu")
    before, real = everything(saved), os.fsync
    for k in range(1, 50):
        calls = []

        def fsync(handle, calls=calls, k=k):
            calls.append(handle)
            if len(calls) == k:
                raise OSError(number, os.strerror(number))
            real(handle)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with suppress(FileError):
                save(build(**SMALL, seed=1), saved, overwrite=trained)
                break
        assert everything(saved) == before, k
    assert k > 5
    assert not ModelDirectory(saved).is_trained
    kept = [path for path in saved.iterdir() if path.name.startswith("before-")]
    assert [everything(path) for path in kept] == [before] * trained
    assert not list(saved.parent.rglob(".*"))


def test_interrupt_midway_leaves_the_old_model(model, saved, monkeypatch):
    before = contents(saved)

    def fsync(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        save(build(**SMALL, seed=1), saved)
    assert contents(saved) == before
    assert list(saved.parent.iterdir()) == [saved]


def test_place_that_cannot_be_made(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        save(model, tmp_path / "file" / "model")


# What is damaged


def test_nothing_there(tmp_path):
    with pytest.raises(FileError, match="no model directory"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"no model\.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "format"),
        (b"null", "format"),
        (b"{}", "format"),
        (b'{"format": 1}', "damaged"),
        (b'{"format": 99}', "format 99"),
        (b'{"format": "1"}', "format"),
        (b'{"format": 1, "latent": NaN}', "NaN"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 100_000, "damaged"),
        (b" " * 4_000_001, "larger"),
    ],
    ids=range(12),
)
def test_damaged_description(saved, text, reason):
    (saved / "model.json").write_bytes(text)
    for read in (lambda place: ModelDirectory(place).read_spec(), load):
        with pytest.raises(FileError, match=reason) as caught:
            read(saved)
        assert "model.json" in str(caught.value)


def test_truncated_description(saved):
    whole = (saved / "model.json").read_bytes()
    for length in range(0, len(whole) - 2, 97):
        (saved / "model.json").write_bytes(whole[:length])
        with pytest.raises(FileError, match=r"model\.json"):
            load(saved)


class _Deleted:
    """In place of a value: the key is not there."""


STRANGE = (
    _Deleted,
    None,
    -1,
    0,
    1e308,
    "x",
    [],
    {},
    True,
    2**70,
    [1] * 70,
    "a" * 10_000,
    "../x:y",
    3.5,
    [3, 3],
)


def _places(plain, path=()):
    yield path
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in items:
        yield from _places(value, (*path, key))


def _replaced(plain, path, value):
    plain = copy.deepcopy(plain)
    inner = plain
    for key in path[:-1]:
        inner = inner[key]
    if value is _Deleted:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return plain


def test_any_change_of_the_description_is_understood_or_refused(saved):
    """A random part of all (place, strange value) pairs: an error of ours, or a model; never another exception."""
    plain = json.loads((saved / "model.json").read_text())
    changes = [(path, value) for path in _places(plain) if path for value in STRANGE]
    refused = 0
    for path, value in random.Random(0).sample(changes, 120):
        (saved / "model.json").write_text(json.dumps(_replaced(plain, path, value)))
        try:
            load(saved)
        except GenmodError:
            refused += 1
    assert refused > 60


def test_truncated_weights(saved):
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError, match=r"model\.safetensors is damaged"):
            load(saved)


def test_every_flipped_byte_of_the_weights_is_noticed(saved):
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    for place in [*range(16), *random.Random(0).sample(range(len(whole)), 30)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(FileError, match=r"model\.safetensors"):
            load(saved)


def test_weights_of_another_model(saved, tmp_path):
    other = save(build(encoder={"name": "mlp", "hidden": [7]}, latent=2), tmp_path / "other")
    (saved / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(FileError, match="does not belong to this model"):
        load(saved)


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "type"])
def test_weights_that_do_not_fit(model, saved, change):
    tensors = dict(model.state_dict())
    name = "encoder.layers.0.bias"
    match change:
        case "missing":
            del tensors[name]
        case "extra":
            tensors["encoder.surprise"] = torch.zeros(2)
        case "shape":
            tensors[name] = tensors[name][None]
        case "type":
            tensors[name] = tensors[name].half()
    write_tensors(saved / "model.safetensors", tensors)
    with pytest.raises(FileError, match="does not belong to this model"):
        load(saved)


def test_no_weights(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(FileError, match="does not exist"):
        load(saved)
    (saved / "model.safetensors").mkdir()
    with pytest.raises(FileError, match="not a file"):
        load(saved)


def test_weights_too_large_are_not_read(saved):
    path = saved / "model.safetensors"
    with path.open("r+b") as stream:
        stream.truncate(50 * 2**30)
    with pytest.raises(FileError, match="at most"):
        load(saved)


class _Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_nothing_is_executed(model, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (saved / "model.safetensors").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(FileError, match="damaged"):
        load(saved)
    torch.save({"a": _Bomb()}, saved / "model.safetensors")
    with pytest.raises(FileError):
        load(saved)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "note",
    [
        None,
        "",
        "[]",
        "{}",
        "null",
        '"text"',
        "[" * 3000,
        '{"format": 1, "sha256": 3}',
        '{"format": 1, "sha256": ""}',
    ],
    ids=range(9),
)
def test_weights_with_a_strange_note(model, saved, note):
    metadata = None if note is None else {"genmod": note}
    (saved / "model.safetensors").write_bytes(to_bytes(dict(model.state_dict()), metadata=metadata))
    with pytest.raises(FileError, match="damaged"):
        load(saved)


def test_weights_with_a_header_of_lies(saved):
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    for length in (0, 1, 2**31, 2**40, 2**63, 2**64 - 1):
        path.write_bytes(struct.pack("<Q", length) + whole[8:])
        with pytest.raises(FileError, match="damaged"):
            load(saved)


def test_weights_whose_type_is_a_list(saved):
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header[next(name for name in header if name != "__metadata__")]["dtype"] = [-1, 2]
    changed = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(changed)) + changed + whole[8 + length :])
    with pytest.raises(FileError, match="damaged"):
        load(saved)
