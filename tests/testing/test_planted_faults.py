"""Components that are wrong in one thing, each caught by the check that is meant for it; slowly, by no unrelated one."""

import importlib
from pathlib import Path

import planted
import pytest
import torch
from planted import FAULTS

from genmod.registry.lookup import Registry, use_registry
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.testing import CHECKS, run_checks
from genmod.testing.prepare import prepare
from genmod.testing.runner import run_one

for _file in sorted(Path(planted.__file__).parent.glob("[a-z]*.py")):
    importlib.import_module(f"planted.{_file.stem}")


each_fault = pytest.mark.parametrize(
    "fault",
    [pytest.param(f, id=f"{f.target.__name__}-{f.check}", marks=[pytest.mark.slow] * f.slow) for f in FAULTS],
)


@each_fault
def test_class_is_caught(fault, registry):
    cases, registry, _ = prepare(fault.target, registry)
    with use_registry(registry):
        outcome = run_one(cases[0], next(check for check in CHECKS if check.name == fault.check))
    assert outcome.status == "failed", outcome
    assert outcome.remedy
    assert not outcome.message.startswith("it raised") or fault.check in RAISING


@pytest.mark.slow
@each_fault
def test_no_unrelated_check_fails(fault, registry):
    # Each version of torch refuses to export other programs; with other numbers the same laws are checked again.
    unseen = {"check_export", "check_rates", "check_numbers"} - {fault.check}
    only = {check.name for check in CHECKS} - unseen
    failed = {o.check: o.message for o in run_checks(fault.target, registry=registry, only=only).failed}
    assert fault.check in failed
    assert set(failed) <= {fault.check, *fault.others}, failed


RAISING = {"check_deepcopy", "check_tracking", "check_dtype", "check_device"}
"""Checks that see an error of the component rather than a wrong number."""


# ---------------------------------------------------------------- records, plugins and files

HOOK = "from genmod import Component, hookimpl\n@hookimpl\ndef genmod_components():\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A function that installs a distribution by hand: metadata and modules."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install(distribution, record, *, before="", **modules):
        package = distribution.replace("-", "_")
        (folder / f"{package}.py").write_text(f"{before}{HOOK}    yield Component({record})\n")
        for name, text in modules.items():
            (folder / f"{name.replace('__', '.')}").write_text(text)
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[genmod.v1]\nmain = {package}\n")
        return distribution

    return install


ENCODER = '"genmod.scaffold.templates.encoder:TemplateEncoder"'

RECORDS = [
    ("check_discovery", f'"encoder", "x", {ENCODER}, "fine"', {"before": "import torch\n"}),
    ("check_summary", f'"encoder", "x", {ENCODER}', {}),
    ("check_summary", f'"encoder", "x", {ENCODER}, "{"long " * 30}"', {}),
    ("check_class", '"encoder", "x", "genmod.scaffold.templates.network:TemplateNetwork", "fine"', {}),
    ("check_class", '"encoder", "x", "genmod.scaffold.templates.encoder:Misspelt", "fine"', {}),
    (
        "check_docstring",
        '"prior", "x", "genmod_prior:Undocumented", "fine"',
        {
            "genmod_prior__py": """
from genmod.scaffold.templates.prior import TemplatePrior
class Undocumented(TemplatePrior):
    pass
"""
        },
    ),
    ("check_migrate", f'"encoder", "x", {ENCODER}, "fine", revision=2', {}),
    (
        "check_migrate",
        '"encoder", "x", "genmod_migrated:Migrated", "fine", revision=2',
        {
            "genmod_migrated__py": """
from genmod.scaffold.templates.encoder import TemplateEncoder
class Migrated(TemplateEncoder):
    'It converts options, and nobody has tried; UsageError.'
    @staticmethod
    def migrate(options, revision):
        return options
"""
        },
    ),
]


@pytest.mark.parametrize(
    ("check", "record", "more"), RECORDS, ids=lambda value: value if type(value) is str else ""
)
def test_record_is_caught(site, check, record, more):
    distribution = site(f"genmod-{check.replace('_', '-')}{len(record)}", record, **more)
    report = run_checks(distribution, registry=Registry())
    assert {outcome.check for outcome in report.failed} == {check}, report.failed


RECIPE = """summary = "s"
paper = "p"
latent = 2
encoder = "mlp"
posterior = "normal"
prior = "normal"
decoder = "gaussian"
divergence = "kl"
objective = "elbo"
dataset = "digits"
"""

RECIPES = [
    ("check_recipe", RECIPE.replace('"s"', "s"), ("check_recipe_names", "check_recipe_builds")),
    ("check_recipe", RECIPE.replace('"p"', '""'), ()),
    ("check_recipe_names", RECIPE.replace('"mlp"', '"no-such-encoder"'), ("check_recipe_builds",)),
    (
        "check_recipe_names",
        RECIPE.replace('encoder = "mlp"', "encoder = {name = 'mlp', width = 3}"),
        ("check_recipe_builds",),
    ),
    ("check_recipe_builds", RECIPE.replace('"gaussian"', '"bernoulli"'), ()),
    ("check_recipe_builds", RECIPE.replace('prior = "normal"', 'prior = "none"'), ()),
]


REPRODUCTION = """summary = "s"
paper = "p"
protocol = "as published"

[build]
recipe = "vae"
dataset = "digits"

[train]
epochs = 3

[evaluate]
metrics = ["elbo"]

[quick.train]
epochs = 1

[[run]]
name = "small"
build = { latent = 2 }

[[target]]
run = "small"
metric = "elbo"
value = -20.0
tolerance = 1.0
source = "table 1"
"""

REPRODUCTIONS = [
    ("check_reproduction", REPRODUCTION.replace('"p"', "p"), ()),
    ("check_reproduction", REPRODUCTION.replace('"elbo"]', '"no-such-metric"]'), ()),
    ("check_reproduction", REPRODUCTION.replace("latent = 2", 'latent = 2, prior = "none"'), ()),
    ("check_reproduction", REPRODUCTION.replace("epochs = 1\n", "epochs = 9\n"), ()),
    ("check_reproduction", REPRODUCTION.replace('run = "small"', 'run = "large"'), ()),
]


def in_a_file(site, folder, kind, text):
    """The checks that fail for a component of this kind that is this text."""
    name = f"genmod-{kind}-{abs(hash(text))}"
    target = name.replace("-", "_") + "_files"
    site(name, f'"{kind}", "x", "{target}:x.toml", "fine"')
    (folder / "site" / target).mkdir()
    (folder / "site" / target / "x.toml").write_text(text)
    return {outcome.check for outcome in run_checks(name, registry=Registry()).failed}


@pytest.mark.parametrize(("check", "text", "others"), RECIPES + REPRODUCTIONS)
def test_file_is_caught(site, check, text, others, tmp_path):
    failed = in_a_file(site, tmp_path, check.split("_")[1], text)
    assert check in failed
    assert failed <= {check, *others}


@pytest.mark.parametrize(("kind", "text"), [("recipe", RECIPE), ("reproduction", REPRODUCTION)])
def test_file_without_fault_passes(site, kind, text, tmp_path):
    assert in_a_file(site, tmp_path, kind, text) == set()


def test_every_check_has_a_fault_that_it_catches():
    planted = {fault.check for fault in FAULTS}
    planted |= {check for check, *_ in (*RECORDS, *RECIPES, *REPRODUCTIONS)}
    assert planted == {check.name for check in CHECKS if not check.slow}
    assert len(FAULTS) + len(RECORDS) + len(RECIPES) >= 25


@pytest.mark.slow
def test_compilation_is_caught():
    class Refuses(TemplateEncoder):
        """It fails while it is compiled; UsageError."""

        def forward(self, x):
            if torch.compiler.is_compiling():
                raise RuntimeError("not while compiling")
            return super().forward(x)

    failed = {outcome.check for outcome in run_checks(Refuses, slow=True).failed}
    assert "check_compile" in failed
