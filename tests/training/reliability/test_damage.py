"""Damage to any byte of a checkpoint is noticed, and the one before is taken."""

import os
import shutil

import pytest
import torch

from genmod.training.checkpoint import Checkpoint, newest, save_checkpoint


@pytest.fixture
def place(tmp_path):
    for step in (2, 4):
        tensors = {"model": {"w": torch.tensor([float(step), -0.0]), "n": torch.tensor(7)}, "best": {}}
        save_checkpoint(tmp_path, Checkpoint(step, tensors, {"run": {"best_loss": None, "name": "ü"}}))
    return tmp_path


def files(place):
    return sorted(path for path in (place / "step-00000004").iterdir())


def read(place):
    found, passed_over = newest(place)
    return found.step if found else None, passed_over


def test_whole_checkpoints_are_read(place):
    assert read(place) == (4, [])
    assert {path.name for path in files(place)} == {
        "best.safetensors",
        "manifest.json",
        "model.safetensors",
        "state.json",
    }


def damaged(place, change, offsets):
    """Offsets of each file at which a change goes unnoticed."""
    unnoticed = []
    for path in files(place):
        whole = path.read_bytes()
        for offset in range(0, len(whole), offsets):
            path.write_bytes(change(whole, offset))
            step, reasons = read(place)
            if (step, len(reasons)) != (2, 1) or path.parent.name not in reasons[0]:
                unnoticed.append((path.name, offset))
        path.write_bytes(whole)
    return unnoticed


def flip(mask):
    return lambda whole, i: whole[:i] + bytes([whole[i] ^ mask]) + whole[i + 1 :]


def test_flipped_bits(place):
    for mask in (1, 3, 7, 32, 255):
        assert damaged(place, flip(mask), 5) == []


def test_truncation(place):
    assert damaged(place, lambda whole, i: whole[:i], 3) == []


def test_more_bytes_than_there_were(place):
    assert damaged(place, lambda whole, i: whole[:i] + b" " + whole[i:], 5) == []
    assert damaged(place, lambda whole, i: whole + b"\n", 10**9) == []


@pytest.mark.slow
def test_every_bit_of_every_byte(place):
    for bit in range(8):
        assert damaged(place, flip(1 << bit), 1) == []
    assert damaged(place, flip(255), 1) == []


@pytest.mark.slow
def test_every_truncation(place):
    assert damaged(place, lambda whole, i: whole[:i], 1) == []


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["missing", "link", "folder", "pipe"])
def test_files_that_are_none(place, name, kind):
    path = place / "step-00000004" / name
    kept = place / "kept"
    shutil.move(path, kept)
    if kind == "link":
        path.symlink_to(kept)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    step, reasons = read(place)
    assert step == 2
    assert name in reasons[0]


def test_a_disk_that_cannot_be_read(place, monkeypatch):
    import pathlib

    opened = pathlib.Path.open

    def open_(path, *arguments, **options):
        if path.name == "model.safetensors" and "00000004" in str(path):
            raise OSError(5, "Input/output error", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(pathlib.Path, "open", open_)
    step, reasons = read(place)
    assert step == 2
    assert "model.safetensors" in reasons[0]
    assert "Input/output error" in reasons[0]


def test_nothing_whole_is_left(place):
    for step in ("step-00000002", "step-00000004"):
        (place / step / "state.json").write_text("{}")
    step, reasons = read(place)
    assert step is None
    assert len(reasons) == 2


def test_a_manifest_of_another_format_or_of_other_places(place):
    path = place / "step-00000004" / "manifest.json"
    whole = path.read_text()
    path.write_text(whole.replace('"format": 1', '"format": 3'))
    assert "format 3" in read(place)[1][0]
    path.write_text(whole.replace("best.safetensors", "../best.safetensors"))
    assert read(place)[0] == 2
