"""What is checked, what is reported, and what counts as a failure."""

import json
from typing import Annotated

import pytest
import torch
from inside import run_inside

from genmod import Component, Divergence, Doc
from genmod.errors import PluginError, UsageError
from genmod.registry.lookup import Registry
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.testing import CHECKS, run_checks
from genmod.testing.case import Case
from genmod.testing.runner import Outcome, Report


class Wrong(TemplateEncoder):
    """A feature shape that is not; UsageError."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (1,)


class NeedsWidth(TemplateEncoder.__base__):
    """Linear; UsageError."""

    def __init__(self, data_shape, *, width: Annotated[int, Doc("width")]):
        super().__init__(data_shape)

    def forward(self, x):
        return x


def test_every_check_says_what_it_checks_and_what_to_change():
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
    for check in CHECKS:
        assert check.name.startswith("check_")
        assert check.summary.endswith(".")
        assert check.remedy
        assert "\n" not in check.remedy


def test_nothing_checked_is_a_failure():
    assert not Report(()).ok
    assert not Report((Outcome("prior/x", "check_y", "skipped", "why"),)).ok
    assert str(Report(())).startswith("0 checks of 0 components ran")


def test_counts(registry):
    report = run_checks([Wrong, "encoder/identity"], registry=registry)
    assert not report.ok
    assert [(o.component, o.check) for o in report.failed] == [("encoder/Wrong", "check_shapes")]
    assert report.ran == len(report.checks) - len(report.skipped)
    assert all(outcome.message for outcome in report.skipped)
    counts = [sum(o.status == s for o in report.checks) for s in ("passed", "failed", "skipped", "expected")]
    assert sum(counts) == len(report.checks)
    assert f"{counts[0]} passed, 1 failed, {counts[2]} skipped, 0 expected" in str(report)
    assert json.loads(json.dumps(report.to_json()))["ran"] == report.ran


def test_expected_failures(registry):
    why = {"check_shapes": "it is a test"}
    report = run_checks(Wrong, registry=registry, expected_failures=why)
    assert report.ok
    (expected,) = [outcome for outcome in report.checks if outcome.status == "expected"]
    assert expected.message.startswith("it is a test: ")


def test_expected_failure_of_one_component_alone(registry):
    why = {"encoder/Wrong:check_shapes": "it is a test"}
    assert run_checks([Wrong, TemplateEncoder], registry=registry, expected_failures=why).ok


def test_expected_failure_that_passes_is_a_failure(registry):
    report = run_checks(TemplateEncoder, registry=registry, expected_failures={"check_shapes": "who knows"})
    assert [(o.check, o.message) for o in report.failed] == [
        ("check_shapes", "expected to fail (who knows), and passed")
    ]


@pytest.mark.parametrize(
    "expected", [{"check_shape": "a typo"}, {"check_bound": "of another kind"}, {"check_shapes": " "}]
)
def test_expectations_that_make_no_sense(registry, expected):
    with pytest.raises(UsageError, match="is expected to fail"):
        run_checks(TemplateEncoder, registry=registry, expected_failures=expected)


def test_options(registry):
    assert not run_checks(NeedsWidth, registry=registry).ok
    report = run_checks("encoder/mlp", registry=registry, options={"encoder.hidden": [3]})
    assert report.ok
    with pytest.raises(UsageError, match="no such option"):
        run_checks("encoder/mlp", registry=registry, options={"encoder.hiden": [3]})
    with pytest.raises(UsageError, match="belongs to nothing"):
        run_checks("encoder/mlp", registry=registry, options={"prior.hidden": [3]})


def test_pairs_are_copies(registry):
    case = Case("divergence", "divergence/none", registry.find("divergence", "none"), registry)
    for _ in range(2):
        pairs = list(case.pairs(case.build(), (2,)))
        assert {"NormalPosterior", "LaplacePosterior"} <= {type(q_of).__name__ for q_of, _ in pairs}
        for part in (part for pair in pairs for part in pair):
            assert all(p.dtype == torch.float32 for p in part.parameters())
            part.double()


def test_a_wrong_kl_is_told_with_the_pair_that_it_is_between(registry):
    class Doubled(Divergence):
        """Twice the KL; UsageError."""

        is_kl = True

        def forward(self, q, p, z):
            return 2 * (q.log_prob(z) - p.log_prob(z)).mean(0)

    [failed] = run_checks(Doubled, registry=registry, only=["check_kl"]).failed
    assert failed.message.startswith("ReferencePosterior and ReferencePrior, latents (2,): expected value ")


def test_required_option_leaves_the_rest_out(registry):
    report = run_checks("dataset/npz", registry=registry)
    assert [outcome.check for outcome in report.failed] == ["check_given"]
    assert "dataset.path has no default" in report.failed[0].message
    reasons = {outcome.message for outcome in report.skipped}
    assert "it needs the options path, see check_given" in reasons


def test_random_state_is_left_alone(registry):
    before = torch.get_rng_state()
    run_checks(["prior/bernoulli", "decoder/bernoulli"], registry=registry)
    assert torch.equal(torch.get_rng_state(), before)


def test_same_result_whatever_the_random_state(registry):
    messages = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        messages.append([outcome.message for outcome in run_checks(Wrong, registry=registry).checks])
    assert messages[0] == messages[1]


def test_targets(registry):
    record = Component("encoder", "mine", "genmod.scaffold.templates.encoder:TemplateEncoder", "linear")
    assert {o.component for o in run_checks(record, registry=registry).checks} == {"encoder/mine"}
    found = run_checks(TemplateEncoder, registry=registry).checks
    assert {o.component for o in found} == {"encoder/TemplateEncoder"}
    found = run_checks([registry.find("prior", "none"), "encoder/identity"], registry=registry).checks
    assert {o.component for o in found} == {"prior/none", "encoder/identity"}


@pytest.mark.parametrize("target", ["genmod-not-there", "encoder/not-there", "nothing"])
def test_unknown_targets(registry, target):
    with pytest.raises(UsageError) as raised:
        run_checks(target, registry=registry)
    assert raised.value.hint


def test_class_of_no_kind(registry):
    with pytest.raises(UsageError, match="int is no component"):
        run_checks(int, registry=registry)


def test_plugin_that_gives_nothing(tmp_path, monkeypatch):
    info = tmp_path / "genmod_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: genmod-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[genmod.v1]\nmain = no_such_module_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match=r"genmod-broken 1\.0 is broken"):
        run_checks("genmod-broken", registry=Registry())


TESTS = """
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.testing import parametrize_with_checks

class Wrong(TemplateEncoder):
    '''Wrong; UsageError.'''
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (1,)

@parametrize_with_checks(["encoder/identity"])
def test_right(check):
    check()

@parametrize_with_checks(Wrong)
def test_wrong(check):
    check()

@parametrize_with_checks(Wrong, expected_failures={"check_shapes": "known"})
def test_known(check):
    check()

@parametrize_with_checks(TemplateEncoder, expected_failures={"check_shapes": "mistaken"})
def test_mistaken(check):
    check()
"""


def test_parametrized(tmp_path):
    code, reports = run_inside(tmp_path, TESTS)
    assert code == 1
    failed, skipped = reports.of("failed"), reports.of("skipped")
    wrong, mistaken = (
        "test_wrong[encoder/Wrong:check_shapes]",
        "test_mistaken[encoder/TemplateEncoder:check_shapes]",
    )
    assert list(failed) == [wrong, mistaken]
    assert "remedy: take every size from the shapes" in failed[wrong].longreprtext
    assert failed[mistaken].longrepr == "[XPASS(strict)] mistaken"
    known = {name: report.wasxfail for name, report in skipped.items() if hasattr(report, "wasxfail")}
    assert known == {"test_known[encoder/Wrong:check_shapes]": "known"}
    reasons = [report.longrepr[2] for report in skipped.values() if not hasattr(report, "wasxfail")]
    assert any("it has no parameters" in reason for reason in reasons)
    assert "test_right[encoder/identity:check_shapes]" in reports.of("passed")
