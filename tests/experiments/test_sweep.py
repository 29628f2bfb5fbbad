"""Grids of runs."""

import json

import pytest

import genmod
from genmod.bundle.differences import differing, flattened
from genmod.errors import UsageError
from genmod.experiments.sweep import Point, _same, base_spec, points, run_point, split_values
from genmod.model.build import compose


def test_every_combination_once_in_the_order_of_nested_loops():
    grid = list(points({"objective.beta": ["1", "4"], "latent": ["2", "8"], "encoder": ["mlp"]}))
    assert [point.name for point in grid] == [
        "beta=1,latent=2",
        "beta=1,latent=8",
        "beta=4,latent=2",
        "beta=4,latent=8",
    ]


def test_options_of_one_name_keep_their_whole_path():
    [point] = points({"encoder.hidden": ["[8]"], "network.hidden": ["[4,2]"]})
    assert point.name == "encoder.hidden=8,network.hidden=4_2"


def test_names_are_safe_as_folders():
    [point] = points({"objective.beta": ["../../0->1 over 50%"]})
    assert "/" not in point.name
    assert point.name.startswith("beta=")


def test_files_of_one_name_in_two_folders_are_two_values():
    assert not _same("dataset.path", "a/rows.csv", "b/rows.csv")
    assert _same("encoder", "mlp", "package/mlp")


def test_names_are_those_of_two_folders_where_letters_have_no_case_and_a_last_dot_is_left_out():
    names = [point.name for point in points({"dataset.path": ["a.csv", "A.csv"]})]
    assert len({name.casefold() for name in names}) == 2
    names = [point.name for point in points({"train.lr": ["1.", "1"]})]
    assert len({name.rstrip(".") for name in names}) == 2


def test_values_that_differ_in_signs_alone_have_names_of_their_own():
    names = [point.name for point in points({"objective.beta": ["0->4 over 50%", "0-_4_over_50", "4"]})]
    assert len(set(names)) == 3
    assert names[0].startswith("beta=0-_4_over_50-")
    assert names[2] == "beta=4"
    assert names == [p.name for p in points({"objective.beta": ["0->4 over 50%", "0-_4_over_50", "4"]})]
    axes = {"objective.beta": ["0->4 over 50%", "0-_4_over_50"], "latent": ["2"]}
    assert len({point.full for point in points(axes)}) == 2


@pytest.mark.parametrize(
    ("text", "values"),
    [("1,2,4", ["1", "2", "4"]), (" 1 , 2 ", ["1", "2"]), ("[32,64],[16]", ["[32,64]", "[16]"]), ("", [])],
)
def test_values_of_an_axis(text, values):
    assert split_values(text) == values


def test_a_point_sets_parts_options_latents_and_training():
    point = Point("p", {"encoder": "mlp", "encoder.hidden": "[8]", "latent": "3", "train.lr": "0.01"})
    spec = point.spec(compose())
    assert spec.components["encoder"].name == "mlp"
    assert spec.latent == (3,)
    assert point.settings() == {"lr": 0.01}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latent": "many"}, "latent is many"),
        ({"nothing.beta": "1"}, "nothing.beta"),
        ({"train.speed": "1"}, "no such training setting: speed"),
        ({"train.epochs": "0"}, "epochs is 0"),
    ],
)
def test_what_cannot_be_is_refused(values, message):
    point = Point("p", values)
    with pytest.raises(UsageError, match=message):
        (point.spec(compose()), point.settings())


def test_an_axis_without_values_is_refused():
    with pytest.raises(UsageError, match="no values for latent"):
        list(points({"latent": []}))


def test_a_file_gives_base_and_axes(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('encoder = "mlp"\nlatent = 2\n[sweep]\n"objective.beta" = [1, "0->1 over 50%"]\n')
    spec, axes = base_spec(None, path)
    assert spec.components["encoder"].name == "mlp"
    assert axes == {"objective.beta": ["1", "0->1 over 50%"]}
    path.write_text("[sweep]\nlatent = 3\n")
    with pytest.raises(UsageError, match="must give a list"):
        base_spec(None, path)


def test_a_sweep_goes_on_where_it_was_stopped_and_leaves_done_runs_alone(tmp_path):
    base = compose(components={"encoder": {"name": "mlp", "hidden": [8]}}, latent=2)
    grid = list(points({"objective.beta": ["1", "4"], "train.steps": ["6"], "train.checkpoint_every": ["2"]}))
    assert run_point(base, grid[0], tmp_path) == "finished"
    weights = (tmp_path / grid[0].name / "model.safetensors").read_bytes()
    assert run_point(base, grid[0], tmp_path) == "done before"
    assert (tmp_path / grid[0].name / "model.safetensors").read_bytes() == weights

    # A run that was killed after a checkpoint ends with the weights it would have had.
    assert run_point(base, grid[1], tmp_path) == "finished"
    place = tmp_path / grid[1].name
    whole = genmod.load(place, weights="last").state_dict()
    newest = max((place / "checkpoints").iterdir())
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    record = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**record, "status": "running"}))
    assert run_point(base, grid[1], tmp_path) == "finished"
    again = genmod.load(place, weights="last").state_dict()
    assert all((whole[name] == again[name]).all() for name in whole)

    assert differing([flattened(tmp_path / point.name) for point in grid]) == ["objective.beta"]
    assert flattened(place)["train.steps"] == 6


def grid_of(steps, beta=("1", "4")):
    axes = {"objective.beta": list(beta), "encoder": ["mlp"], "encoder.hidden": ["[8]"], "latent": ["2"]}
    return list(points({**axes, "train.steps": [steps], "train.lr": ["1e-3"], "train.device": ["cpu"]}))


def test_a_directory_of_a_sweep_of_an_older_version_is_found(tmp_path):
    base, [point, _] = compose(), grid_of("2")
    former = "beta=1,encoder=mlp,hidden=8,latent=2,steps=2,lr=1e-3,device=cpu"
    assert point.place(base, tmp_path) == tmp_path / "beta=1"
    (tmp_path / former).mkdir()
    assert point.place(base, tmp_path) == tmp_path / former


def test_a_run_with_other_fixed_values_is_another_run(tmp_path):
    base = compose()
    [point, _], [longer, _] = grid_of("2"), grid_of("3")
    assert run_point(base, point, tmp_path) == "finished"
    assert run_point(base, point, tmp_path) == "done before"
    assert longer.place(base, tmp_path).name.startswith("beta=1,encoder=mlp,hidden=8,latent=2,steps=3")
    assert run_point(base, longer, tmp_path) == "finished"
    assert run_point(base, longer, tmp_path) == "done before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beta=1", longer.full]
    # What is not said is the default, which is no more done before than what is said.
    [unsaid, _] = points({"objective.beta": ["1", "4"], "train.lr": ["1e-3"], "train.steps": ["2"]})
    assert unsaid.place(base, tmp_path).name == "beta=1,lr=1e-3,steps=2"
    [nothing, _] = points({"objective.beta": ["1", "4"]})
    with pytest.raises(
        UsageError, match="another run: latent is 2 there and 16 here; encoder is mlp there and"
    ):
        nothing.place(base, tmp_path)
    # Nor is a run from another recipe, nor with another seed; where it is computed is no matter.
    [seeded, _] = points({"objective.beta": ["1", "4"], "train.seed": ["3"]})
    assert seeded.place(base, tmp_path).name == "beta=1,seed=3"
    with pytest.raises(UsageError, match="prior is normal there and vamp here"):
        run_point(base.with_component("prior", "vamp"), longer, tmp_path)
    # Where nothing varies, the name has everything.
    [alone] = grid_of("2", beta=("1",))
    assert alone.name.startswith("beta=1,encoder=mlp")
