"""Published experiments: what is run, what is compared, and what is said of it."""

import json

import pytest

from genmod import FileError, UsageError
from genmod.experiments import Reproduction
from genmod.experiments.reproduce import reproduce
from genmod.registry.lookup import current_registry

TOML = """
summary = "two weights"
paper = "A Paper (Author, 2020), arXiv:2000.00000"
protocol = "as written here"
seeds = [0, 1]

[build]
recipe = "vae"
latent = 2
dataset = "digits"
encoder = { name = "mlp", hidden = [16] }

[train]
epochs = 4
batch_size = 250

[evaluate]
metrics = ["elbo[2]"]
weights = "last"

[quick]
seeds = [0]

[quick.train]
epochs = 1

[[run]]
name = "one"

[[run]]
name = "hundred"
build = { set = { "objective.beta" = 100.0 } }

[[target]]
run = "one"
metric = "elbo"
value = 0.0
tolerance = 1000.0
source = "table 1"

[[target]]
run = "one"
metric = "elbo"
value = -1000.0
tolerance = 1.0
source = "table 2"

[[target]]
run = "hundred"
metric = "rate"
value = 1.0
tolerance = 1e-9
source = "table 3"

[[target]]
run = "one"
metric = "nll"
value = 1.0
tolerance = 1.0
source = "table 4"

[[claim]]
better = "one"
than = "hundred"
metric = "distortion"
source = "figure 1"
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    lines = []
    experiment = Reproduction.from_toml("tiny", TOML)
    return place, lines, reproduce(experiment, place, device="cpu", command=["genmod"], tell=lines.append)


def test_every_run_with_every_seed(done):
    place, _, results = done
    assert [(run["run"], run["seed"]) for run in results["runs"]] == [
        ("one", 0),
        ("one", 1),
        ("hundred", 0),
        ("hundred", 1),
    ]
    assert sorted(path.name for path in place.iterdir() if path.is_dir()) == [
        "hundred-seed0",
        "hundred-seed1",
        "one-seed0",
        "one-seed1",
    ]
    assert json.loads((place / "results.json").read_text("utf-8"))["runs"] == results["runs"]
    assert results["complete"]
    assert {run["epochs"] for run in results["runs"]} == {4.0}
    assert all(run["curve"][-1][0] == 4.0 for run in results["runs"])


def test_figures_are_means_over_seeds(done):
    _, _, results = done
    first, second = (
        next(row["value"] for row in run["evaluation"]["rows"] if row["name"] == "elbo")
        for run in results["runs"][:2]
    )
    assert first != second
    (figure,) = (each for each in results["figures"] if (each["run"], each["metric"]) == ("one", "elbo"))
    assert figure["value"] == pytest.approx((first + second) / 2)
    # The standard deviation of two numbers over the root of two is half their distance.
    assert figure["standard_error"] == pytest.approx(abs(first - second) / 2)


def test_verdicts(done):
    _, _, results = done
    assert [each["verdict"] for each in results["targets"]] == [
        "reproduced",
        "better than published",
        "missed",
        "not measured",
    ]
    (claim,) = results["claims"]
    assert claim["verdict"] in ("confirmed", "undecided")
    assert (claim["difference"] < 0) == (claim["verdict"] == "confirmed" or claim["difference"] < 0)


def test_what_is_done_is_left_alone(done):
    place, _, results = done
    stamps = {path: path.stat().st_mtime_ns for path in place.rglob("*.safetensors")}
    again = reproduce(Reproduction.from_toml("tiny", TOML), place, device="cpu")
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*.safetensors")} == stamps
    assert again["runs"] == results["runs"]


def test_another_run_is_not_taken_for_this_one(done):
    place, _, _ = done
    for old, new, what in (
        ("epochs = 4", "epochs = 5", "epochs was 4, not 5"),
        ("[16]", "[8]", "encoder is"),
    ):
        with pytest.raises(FileError, match=what):
            reproduce(Reproduction.from_toml("tiny", TOML.replace(old, new)), place, device="cpu")


def test_quick_is_smaller_and_says_so(tmp_path):
    quick = Reproduction.from_toml("tiny", TOML, quick=True)
    assert [(trial.folder, trial.settings["epochs"]) for trial in quick.trials] == [
        ("one", 1),
        ("hundred", 1),
    ]
    results = reproduce(quick, tmp_path, device="cpu")
    assert results["quick"]
    assert results["budget"] == {
        "full": {"epochs": 4, "batch_size": 250, "seeds": 2},
        "this": {"epochs": 1, "batch_size": 250, "seeds": 1},
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('summary = "two weights"', "", "summary is missing"),
        ("[build]", "[built]", "built is unknown"),
        ('name = "hundred"', 'name = "one"', "a name of its own"),
        ('than = "hundred"', 'than = "thousand"', "'thousand', which is no run"),
        ("tolerance = 1e-9", "tolerant = 1e-9", "a target has"),
        ("epochs = 4", "epoch = 4", "no such training setting: epoch"),
        ("latent = 2", "latents = 2", "has latents"),
        ("seeds = [0, 1]", "seeds = 0", "seeds is no list"),
        ("[[run]]", "[[run", "is not TOML"),
    ],
)
def test_files_that_are_no_experiment(old, new, message):
    assert old in TOML
    with pytest.raises(UsageError, match=message):
        Reproduction.from_toml("tiny", TOML.replace(old, new, 1))


@pytest.mark.parametrize(
    "name", [each.name for each in current_registry().components("reproduction", third_party=False)]
)
def test_built_in_experiments_are_well_formed(name):
    full, quick = Reproduction.find(name), Reproduction.find(name, quick=True)
    assert len(quick.trials) <= len(full.trials)
    assert full.table["target"] if name in ("iwae", "s-vae") else full.table["claim"]


@pytest.mark.parametrize(
    ("seeds", "gap", "verdict"),
    [(3, 2.5, "undecided"), (3, 3.5, "confirmed"), (3, -3.5, "contradicted"), (50, 2.1, "confirmed")],
)
def test_a_claim_of_few_seeds_needs_more_than_two_standard_errors(seeds, gap, verdict):
    """With three seeds of each a gap of 2.5 standard errors comes by chance in 7 % of cases, not in 1 %."""
    from genmod.experiments.results import _claimed, _figures

    def runs(name, centre):
        # A standard error of 1/√2 each, so that that of the difference is 1.
        spread = [(-1.0) ** i * (seeds / 2) ** 0.5 for i in range(seeds)]
        values = [centre + x - sum(spread) / seeds for x in spread]
        scale = (sum((v - centre) ** 2 for v in values) / (seeds - 1) / seeds * 2) ** 0.5
        for value in values:
            row = {
                "name": "elbo",
                "value": centre + (value - centre) / scale,
                "standard_error": 9.0,
                "n": 100,
            }
            yield {"run": name, "evaluation": {"rows": [{**row, "better": "higher"}]}}

    figures = _figures([*runs("good", gap), *runs("bad", 0.0)])
    found = _claimed({"better": "good", "than": "bad", "metric": "elbo"}, figures)
    assert found["standard_error"] == pytest.approx(1.0)
    assert (found["difference"], found["verdict"]) == (pytest.approx(gap), verdict)
