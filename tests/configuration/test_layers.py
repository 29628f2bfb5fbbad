"""Settings from files and variables: what holds, where files are looked for, what is refused."""

import os

import pytest

from genmod.configuration.layers import Setting, from_file, holding, layers
from genmod.configuration.names import BUILD, TRAIN, from_environment, from_table
from genmod.configuration.places import project_file, user_file
from genmod.errors import GenmodError, UsageError
from genmod.training.settings import TrainSettings


def values(*given):
    return {path: setting.value for path, setting in holding(given).items()}


def layer(origin, **settings):
    return [Setting(f"train.{name}", value, origin) for name, value in settings.items()]


def test_each_layer_holds_before_those_below(tmp_path, monkeypatch):
    home, project = tmp_path / "home", tmp_path / "project"
    (home / "genmod").mkdir(parents=True)
    project.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.chdir(project)
    (home / "genmod" / "config.toml").write_text("[train]\nlr = 1.0\nclip = 1.0\nema = 0.1\nskip = 1.0\n")
    (project / "genmod.toml").write_text("[train]\nlr = 2.0\nclip = 2.0\nema = 0.2\n")
    variables = {"GENMOD_TRAIN_LR": "3.0", "GENMOD_TRAIN_CLIP": "3.0", "PATH": "x", "GENMOD_DEBUG": "1"}
    found = holding([*layers(variables), layer("command line", lr=4.0)])
    assert {path: setting.value for path, setting in found.items()} == {
        "train.lr": 4.0,
        "train.clip": 3.0,
        "train.ema": 0.2,
        "train.skip": 1.0,
    }
    origins = {path: setting.origin for path, setting in found.items()}
    assert origins["train.clip"] == "GENMOD_TRAIN_CLIP"
    assert origins["train.ema"] == str(project / "genmod.toml")
    assert origins["train.skip"] == str(home / "genmod" / "config.toml")


def test_steps_and_epochs_replace_each_other_between_layers_and_not_within_one():
    assert values(layer("a", epochs=3), layer("b", steps=9)) == {"train.steps": 9}
    assert values(layer("a", steps=9), layer("b", epochs=3)) == {"train.epochs": 3}
    assert values(layer("a", steps=9, epochs=3)) == {"train.steps": 9, "train.epochs": 3}


def test_options_go_with_the_optimizer_that_they_are_of():
    low = layer("a", optimizer="sgd", optimizer_options={"momentum": 0.9, "nesterov": True})
    assert values(low, layer("b", optimizer="adam")) == {"train.optimizer": "adam"}
    more = values(low, layer("b", optimizer="sgd", optimizer_options={"momentum": 0.5}))
    assert more["train.optimizer_options"] == {"momentum": 0.5, "nesterov": True}


def test_files_of_a_project_are_looked_for_up_to_the_root_of_its_repository(tmp_path):
    inner = tmp_path / "repository" / "deep" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "genmod.toml").write_text("")  # of somebody else, in a folder that all share
    assert project_file(inner) is None
    (tmp_path / "repository" / ".git").mkdir()
    assert project_file(inner) is None
    (tmp_path / "repository" / "pyproject.toml").write_text("[project]\nname = 'genmod-user'\n")
    assert project_file(inner) is None
    (tmp_path / "repository" / "pyproject.toml").write_text(
        "[tool.genmod.train]\nlr = 0.5\n[tool.x]\ny = 1\n"
    )
    assert project_file(inner) == tmp_path / "repository" / "pyproject.toml"
    assert from_file(project_file(inner))[0].value == 0.5
    (inner.parent / "genmod.toml").write_text("")
    assert project_file(inner) == inner.parent / "genmod.toml"
    assert project_file(tmp_path) == tmp_path / "genmod.toml"


def test_a_path_of_xdg_that_is_not_absolute_does_not_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    for folder in (tmp_path / "here", tmp_path / "home" / ".config"):
        (folder / "genmod").mkdir(parents=True)
        (folder / "genmod" / "config.toml").write_text("")
    assert user_file() == tmp_path / "home" / ".config" / "genmod" / "config.toml"


def test_somebody_without_a_home_has_no_file(tmp_path, monkeypatch):
    def unknown(_):
        raise KeyError

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    pytest.importorskip("pwd")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    place = tmp_path / "~" / ".config" / "genmod"
    place.mkdir(parents=True)
    (place / "config.toml").write_text("")
    assert user_file() is None


def test_what_may_not_be_looked_at_counts_as_missing(tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("os.stat", forbidden)
    assert user_file() is None
    assert project_file(tmp_path) is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"train": {"bach-size": 3}}, "train.bach-size: no such setting; did you mean train.batch-size?"),
        ({"trian": {}}, "trian: no such setting; did you mean train?"),
        ({"train": {"epochs": "3"}}, "train.epochs is '3'; it must be a whole number from 1"),
        ({"train": {"accumulate": 0}}, "train.accumulate is 0; it must be a whole number from 1"),
        ({"train": {"device": 3}}, "train.device is 3; it must be a text"),
        ({"train": {"compile": "yes"}}, "train.compile is 'yes'; it must be true, false or auto"),
        ({"train": 3}, "train is 3, not a table"),
        ({"build": {"encoder": 3}}, "build.encoder is 3, not a name or a table"),
        ({"build": {"latent": -1}}, "build.latent is -1; it must be"),
        ({"offline": 1}, "offline is 1; it must be true or false"),
        ({"data-root": 1}, "data-root is 1; it must be a text"),
        ({"encoder": "mlp"}, "encoder: no such setting"),
    ],
)
def test_what_is_unknown_or_wrong_is_refused_by_name(table, message):
    with pytest.raises(UsageError) as refused:
        from_table(table, "here.toml")
    assert refused.value.message.startswith(f"here.toml: {message}")


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(UsageError) as refused:
        from_table({"train": {"lr": 0, "x": 1}, "y": 1}, "here.toml")
    assert len(refused.value.message.splitlines()) == 3


def test_every_setting_can_be_set():
    """By its default, in a file and in a variable."""
    plain = {name: value for name, value in TrainSettings().to_json().items() if value is not None}
    table = {name.replace("_", "-"): plain[name] for name in TRAIN if name in plain}
    assert from_table({"train": table}, "it") == {
        f"train.{name}": plain[name] for name in TRAIN if name in plain
    }
    for name in TRAIN:
        if isinstance(plain.get(name), str | int | float):
            found = from_environment({f"GENMOD_TRAIN_{name.upper()}": str(plain[name])})
            assert found[f"train.{name}"][1] == plain[name]
    for name in BUILD:
        from_environment({f"GENMOD_BUILD_{name.upper()}": "3"})
    assert from_environment({"GENMOD_TRAIN_AUGMENT": "random-crop:28,padding=2"})["train.augment"][1] == [
        "random-crop:28,padding=2"
    ]


@pytest.mark.parametrize("name", ["GENMOD_TRAIN_LRR", "GENMOD_TRAIN_LR", "GENMOD_TRAIN_COMPILE"])
def test_variables_are_checked(name):
    with pytest.raises(UsageError, match=name):
        from_environment({name: "much"})


def test_files_are_bounded_and_never_code(tmp_path):
    place = tmp_path / "genmod.toml"
    for text in (
        "x" * 300_000,
        f"[train]\nlr = 1{'0' * 100}\n",
        "a" + ".a" * 20 + " = 1",
        "[train",
        "\ud800",
    ):
        place.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(GenmodError, match=r"genmod\.toml"):
            from_file(place)
    place.write_bytes(b"#" * 2_000_000)
    with pytest.raises(GenmodError, match="larger than"):
        from_file(place)


def test_a_folder_of_data_starts_at_its_file(tmp_path):
    place = tmp_path / "genmod.toml"
    place.write_text("data-root = 'data'")
    assert from_file(place)[0].value == str(tmp_path / "data")
    place.write_text("data-root = '/elsewhere'")
    assert from_file(place)[0].value == "/elsewhere"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write the file of the user and that of the project."""
    (tmp_path / "home" / "genmod").mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def write(user="", project=""):
        (tmp_path / "home" / "genmod" / "config.toml").write_text(user)
        (tmp_path / "genmod.toml").write_text(project)
        return {path: each.value for path, each in holding(layers({})).items()}

    return write


def test_a_project_sends_no_numbers_elsewhere(files):
    sent = "[train]\ntrackers = ['mlflow:uri=http://elsewhere']\n"
    with pytest.raises(UsageError, match=r"genmod\.toml: train\.trackers is 'mlflow:uri=http") as refused:
        files(project=sent)
    assert "home/genmod/config.toml" in refused.value.hint
    assert files(user=sent)["train.trackers"] == ["mlflow:uri=http://elsewhere"]
    assert files(project="[train]\ntrackers = ['csv']\n")["train.trackers"] == ["csv"]


def test_a_project_starts_no_crowd_and_does_not_undo_offline(files):
    most = "[train]\nworkers = 1000000000\n"
    assert files(project=most)["train.workers"] == os.cpu_count()
    assert files(user=most)["train.workers"] == 10**9
    assert files(user="offline = true", project="offline = false")["offline"] is True
    assert files(user="offline = false", project="offline = true")["offline"] is True
