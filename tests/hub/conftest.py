"""A Hub on loopback for huggingface_hub in this process, with a cache of its own, and a small model."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def fake(module_at):
    """The module of the server: ``FakeHub``, ``TOKEN``."""
    return module_at(Path(__file__).with_name("fake_hub.py"))


@pytest.fixture
def hub(fake, monkeypatch, tmp_path):
    """The server, where huggingface_hub looks for the Hub; the user is logged in."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with fake.FakeHub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        # The Hub takes large files by a protocol of its own, too, which is that library's concern.
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", fake.TOKEN)
        # A picture of few tiles takes less time.
        monkeypatch.setattr("genmod.hub.measured._SHOWN", 4)
        yield server


@pytest.fixture(scope="session")
def small():
    """A model of the digits with few weights."""
    import genmod

    return genmod.build(encoder={"name": "mlp", "hidden": [4]}, latent=2)


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Run a command line in an empty folder: exit code, stdout, stderr."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GENMOD_DATA", raising=False)

    def run(*arguments):
        from genmod.cli import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return exit.value.code, out, err

    return run
