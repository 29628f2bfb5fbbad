"""What is recorded of the repository that a run is started in: what git says, without running git."""

import os
import subprocess
from pathlib import Path

import pytest

from genmod.system.environment import git_state


@pytest.fixture
def git(tmp_path, monkeypatch):
    """A repository with two commits, in the current folder; a function that runs git there and gives what it prints."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)

    def run(*arguments, folder="."):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    run("init", "-q", "-b", "main")
    for name in ("one", "two"):
        Path(name).write_text(name)
        run("add", name)
        run("commit", "-q", "-m", name)
    return run


def agrees(git):
    assert git_state() == {"commit": git("rev-parse", "HEAD")}


def test_on_a_branch_and_in_a_folder_of_it(git, monkeypatch):
    agrees(git)
    Path("inner/most").mkdir(parents=True)
    monkeypatch.chdir("inner/most")
    agrees(git)


def test_packed_and_loose_references(git):
    git("branch", "mainly")
    git("pack-refs", "--all")
    assert not Path(".git/refs/heads/main").exists()
    agrees(git)
    git("commit", "-q", "--allow-empty", "-m", "newer than what is packed")
    agrees(git)


def test_detached(git):
    git("checkout", "-q", "HEAD~1")
    agrees(git)


@pytest.mark.parametrize("packed", [False, True])
def test_worktree_and_submodule(git, tmp_path, monkeypatch, packed):
    git("worktree", "add", "-q", "-b", "other", str(tmp_path / "worktree"), "HEAD~1")
    git("submodule", "add", "-q", str(tmp_path / "repository"), "inner")
    git("commit", "-q", "-m", "with another repository")
    if packed:
        git("pack-refs", "--all")
    agrees(git)
    monkeypatch.chdir(tmp_path / "worktree")
    agrees(git)
    monkeypatch.chdir(tmp_path / "repository" / "inner")
    agrees(git)


def test_nothing_to_name(git, tmp_path, monkeypatch):
    git("checkout", "-q", "--orphan", "empty")
    assert git_state() is None
    monkeypatch.chdir(tmp_path)
    assert git_state() is None


def test_programs_that_a_repository_names_are_not_run(git, tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    program.chmod(0o755)
    git("config", "core.fsmonitor", str(program))
    git("config", "filter.f.clean", str(program))
    Path(".git/info").mkdir(exist_ok=True)
    Path(".git/info/attributes").write_text("* filter=f\n")
    Path("two").write_text("owt")
    git("status", "--porcelain")
    assert ran.exists()  # they are, by git
    ran.unlink()
    monkeypatch.setattr(subprocess, "Popen", None)
    assert git_state() is not None
    assert not ran.exists()


@pytest.mark.parametrize(
    "head",
    [
        "ref: ../../secret",
        "ref: refs/../../secret",
        "ref: refs/heads/main/../../../../secret",
        "secret",
        "",
        "\xff",
    ],
)
def test_head_that_points_elsewhere(git, tmp_path, head):
    (tmp_path / "secret").write_text("a" * 40)
    Path("secret").write_text("a" * 40)
    Path(".git/HEAD").write_bytes(head.encode("latin-1"))
    assert git_state() is None


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", [".git/HEAD", ".git/packed-refs", ".git"])
def test_pipes_and_folders_in_place_of_files(git, name):
    git("pack-refs", "--all")
    path = Path(name)
    path.rename("away")
    for make in (os.mkfifo, os.mkdir):
        make(path)
        assert git_state() is None
        (path.unlink if make is os.mkfifo else path.rmdir)()
