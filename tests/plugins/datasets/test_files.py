"""Finding files, and downloading them from a server on this machine."""

import hashlib
import socket
import time
from pathlib import Path

import pytest

from genmod.errors import DataError
from genmod.plugins.datasets import _files as files
from genmod.plugins.datasets._files import fetch, locate

CONTENT = bytes(range(256)) * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()


def test_paths_are_looked_for_here_then_in_the_data_folder(tmp_path, monkeypatch):
    here, root = tmp_path / "here", tmp_path / "root"
    here.mkdir()
    root.mkdir()
    monkeypatch.chdir(here)
    (root / "x").touch()
    assert locate(Path("x"), root) == root / "x"
    assert locate(root / "x", tmp_path) == root / "x"
    (here / "x").touch()
    assert locate(Path("x"), root).samefile(here / "x")
    monkeypatch.setenv("HOME", str(here))
    assert locate(Path("~/x"), root) == here / "x"
    with pytest.raises(DataError) as raised:
        locate(Path("y"), root)
    assert str(here / "y") in raised.value.message
    assert str(root / "y") in raised.value.message


def test_a_path_is_named_once(tmp_path):
    with pytest.raises(DataError) as raised:
        locate(tmp_path / "y", tmp_path / "root")
    assert raised.value.message.count(str(tmp_path / "y")) == 1


def test_download(server, tmp_path, capsys):
    (server.folder / "file").write_bytes(CONTENT)
    target = tmp_path / "new" / "folder" / "file"
    fetch([f"{server.url}missing/", f"{server.url}file"], target, md5=MD5, hint="")
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert server.asked == ["/missing/", "/file"]
    output = capsys.readouterr()
    assert output.out == ""
    assert "file" in output.err
    assert "256" in output.err


def test_a_download_gets_the_usual_permissions(server, tmp_path):
    (server.folder / "file").write_bytes(CONTENT)
    (tmp_path / "other").touch()
    fetch([f"{server.url}file"], tmp_path / "file", md5=MD5, hint="")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_wrong_content_is_not_kept(server, tmp_path):
    (server.folder / "file").write_bytes(b"<html>log in first</html>")
    with pytest.raises(DataError) as raised:
        fetch([f"{server.url}file"], tmp_path / "t" / "file", md5=MD5, hint="put it there")
    assert MD5 in raised.value.message
    assert raised.value.hint == "put it there"
    assert list((tmp_path / "t").iterdir()) == []


def test_endless_downloads_are_cut(server, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MAX_BYTES", 100_000)
    (server.folder / "file").write_bytes(CONTENT)
    with pytest.raises(DataError, match="more than 100,000 bytes"):
        fetch([f"{server.url}file"], tmp_path / "file", md5=MD5, hint="")
    assert not (tmp_path / "file").exists()


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    (server.folder / "file").write_bytes(CONTENT)
    target = tmp_path / "t" / "file"

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("rich.progress.Progress.advance", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch([f"{server.url}file"], target, md5=MD5, hint="")
    assert list(target.parent.iterdir()) == []


def test_without_a_network_every_reason_is_told_soon(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        urls = [f"http://127.0.0.1:{taken.getsockname()[1]}/", "http://name.invalid/"]
        start = time.monotonic()
        with pytest.raises(DataError) as raised:
            fetch(urls, tmp_path / "file", md5=MD5, hint="put it there")
    assert time.monotonic() - start < 30
    assert all(url in raised.value.message for url in urls)
    assert raised.value.hint == "put it there"


def test_a_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(DataError, match="timed out"):
            fetch([url], tmp_path / "file", md5=MD5, hint="")


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="could not be downloaded") as raised:
        fetch([f"{server.url}file"], tmp_path / "file" / "below", md5=MD5, hint="put it there")
    assert raised.value.hint == "put it there"
