"""Folders and files of this user, on machines with several."""

import os

import pytest

from genmod.system.private import is_mine, private_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners")


def test_a_folder_of_ones_own_is_made_and_found_again(tmp_path):
    folder = tmp_path / "a" / "b"
    assert private_folder(folder) == private_folder(folder) == folder
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("what", "fits"),
    [("shared", False), ("shared above", False), ("as /tmp above", True), ("link", False), ("file", False),
     ("another's", False)],
)  # fmt: skip
def test_where_others_can_put_something_is_no_private_folder(tmp_path, monkeypatch, what, fits):
    folder = tmp_path / "above" / "mine"
    folder.parent.mkdir()
    if what == "link":
        (tmp_path / "there").mkdir(0o700)
        folder.symlink_to(tmp_path / "there")
    elif what == "file":
        folder.write_text("")
    else:
        folder.mkdir(0o700)
    if what == "shared":
        folder.chmod(0o777)
    elif what.endswith("above"):
        folder.parent.chmod(0o1777 if "tmp" in what else 0o777)
    elif what == "another's":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert not is_mine(folder.stat())
    assert (private_folder(folder) == folder) is fits
