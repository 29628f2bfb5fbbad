"""Cases that authors supply: shapes, options, files, old options, and laws that a component cannot keep."""

from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from torch import nn

from genmod import DataInfo, Doc, UsageError
from genmod.data.dataset import Batch, Dataset, TensorSplit
from genmod.interfaces.encoder import Encoder
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.testing import Cases, run_checks
from genmod.testing.cases import declared_by
from genmod.testing.prepare import prepare


class Series(Encoder):
    """A convolution over series of 2 channels, and over nothing else; UsageError."""

    def __init__(self, data_shape, *, width: Annotated[int, Doc("channels")] = 3):
        if len(data_shape) != 2 or data_shape[0] != 2:
            raise UsageError(f"series are (2, length), not {data_shape}", hint="give series")
        super().__init__(data_shape)
        self.feature_shape = (width, data_shape[1])
        self.layer = nn.Conv1d(data_shape[0], width, 3, padding=1)

    def forward(self, x):
        if self.feature_shape[0] == 5:
            return self.layer(x).clamp(max=float("nan"))
        return self.layer(x)


class Declared(Series):
    """The same, with its shapes; UsageError."""

    check_cases: ClassVar = {"data": [(2, 9)], "settings": [{"width": 4}]}


def test_shapes_are_tried_first(registry):
    [case], _, _ = prepare(Series, registry, cases=Cases(data=[(2, 9), DataInfo((2, 5), levels=2)]))
    assert [wiring for _, wiring in case.accepted()] == [((2, 9),), ((2, 5),)]
    [declared], _, _ = prepare(Declared, registry)
    assert declared.trial().inputs[0].shape == (4, 2, 9)


class Either(Series):
    """Series of 2 channels, or of 5 with a width of 4; UsageError."""

    check_cases: ClassVar = {"data": [(5, 9)], "settings": [{"width": 4}]}

    def __init__(self, data_shape, *, width: Annotated[int, Doc("channels")] = 3):
        if data_shape[0] == 5 and width != 4:
            raise UsageError(f"{data_shape} needs a width of 4", hint="set it")
        Encoder.__init__(self, data_shape)
        self.feature_shape = (width, data_shape[-1])
        self.layer = nn.Conv1d(data_shape[0], width, 3, padding=1)


def test_a_declared_shape_that_is_refused_is_told(registry):
    def outcome(target, cases=None):
        return run_checks(target, registry=registry, cases=cases, only=("check_declared",)).checks[0]

    wrong = outcome(Series, Cases(data=[(2, 9), (3, 9)]))
    assert wrong.status == "failed"
    assert wrong.message == "it refuses (3, 9), which its cases declare: series are (2, length), not (3, 9)"
    assert outcome(Declared).status == "passed"
    # It is accepted with one of the settings.
    assert outcome(Either).status == "passed"
    assert outcome(Series).status == "skipped"


def test_without_shapes_it_is_refused_and_with_them_it_passes(registry):
    assert "check_usable" in {outcome.check for outcome in run_checks(Series, registry=registry).failed}
    report = run_checks(Series, registry=registry, cases={"encoder/Series": Cases(data=[(2, 9)])})
    assert not report.failed, [f"{o.check}: {o.message}" for o in report.failed]
    assert not run_checks(Declared, registry=registry).failed


def test_settings_are_tried_beside_the_default(registry):
    cases = Cases(data=[(2, 9)], settings=[{"width": 5}])
    [failed] = run_checks(Series, registry=registry, cases=cases, only=("check_shapes",)).failed
    assert failed.message.startswith("with width=5: ")


def test_settings_are_options_of_the_component(registry):
    with pytest.raises(UsageError, match="did you mean width"):
        run_checks(Series, registry=registry, cases=Cases(settings=[{"widht": 5}]))


class Lines(Dataset):
    """Numbers in a file, one a line; DataError."""

    def __init__(self, root: Path, *, path: Annotated[Path, Doc("file with the numbers")]):
        super().__init__(root)
        self.path = path

    @property
    def info(self):
        return DataInfo((1,), low=0.0, high=60.0)

    def split(self, name):
        import torch

        rows = torch.tensor([[float(line)] for line in (self.root / self.path).read_text().split()])
        start = ("train", "validation", "test").index(name)
        return TensorSplit(Batch(rows[start::3]))

    @staticmethod
    def check_cases():
        return {"files": write, "options": {"path": Path("numbers.txt")}}


def write(folder):
    (folder / "numbers.txt").write_text("\n".join(map(str, range(60))))


def test_a_dataset_writes_what_it_reads(registry):
    report = run_checks(Lines, registry=registry)
    assert not report.failed, [f"{o.check}: {o.message}" for o in report.failed]
    assert not [outcome for outcome in report.skipped if "not there" in outcome.message]
    assert "check_examples" in {outcome.check for outcome in report.checks if outcome.status == "passed"}


def test_what_is_given_comes_before_what_is_declared(registry, tmp_path):
    (tmp_path / "other.txt").write_text("1\n2\n3\n" * 5)
    given = {"dataset.path": "other.txt"}
    [case], _, _ = prepare(Lines, registry, given, root=tmp_path)
    assert case.options == {"path": "other.txt"}
    assert case.root == tmp_path


def test_what_a_class_writes_is_found_where_other_data_lie_elsewhere(registry, tmp_path):
    [case], _, _ = prepare(Lines, registry, root=tmp_path)
    assert (case.root / case.options["path"]).read_text().startswith("0\n1\n")
    assert not [*tmp_path.iterdir()]


class Constant(TemplateEncoder):
    """It says 1 and makes more; UsageError."""

    check_cases: ClassVar = {"expected_failures": {"check_shapes": "it is a test"}}

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (1,)


def test_expected_failures_of_a_class(registry):
    report = run_checks(Constant, registry=registry)
    assert [(o.check, o.status) for o in report.checks if o.status in ("failed", "expected")] == [
        ("check_shapes", "expected")
    ]


def test_old_options_are_kept_for_migrate():
    cases = Cases(old_options=[(1, {"size": 3})])
    assert cases.old_options == ((1, {"size": 3}),)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"data": [(0, 3)]}, "data has"),
        ({"latents": 3}, "latents has"),
        ({"settings": ["width"]}, "settings has"),
        ({"old_options": [{"size": 3}]}, "old_options has"),
        ({"files": "numbers.txt"}, "files has"),
        ({"expected_failures": ["check_shapes"]}, "expected_failures has"),
        ({"shape": [(3,)]}, "'shape'; there are data"),
    ],
)
def test_what_is_no_case_is_refused(wrong, match):
    cls = type("Wrong", (TemplateEncoder,), {"check_cases": wrong})
    with pytest.raises(UsageError, match=match) as raised:
        declared_by(cls)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda self: {}, r"Wrong\.check_cases raised TypeError: .*self"),
        (staticmethod(lambda: {"files": lambda: None}), "files raised TypeError"),
        (
            staticmethod(lambda: {"files": lambda folder: (folder / "a" / "b").read_text()}),
            "files raised File",
        ),
    ],
)
def test_cases_that_cannot_be_made_are_refused(registry, wrong, match):
    cls = type("Wrong", (TemplateEncoder,), {"check_cases": wrong})
    with pytest.raises(UsageError, match=match) as raised:
        prepare(cls, registry)
    assert "staticmethod" in raised.value.hint


def test_cases_of_nothing_that_is_checked(registry):
    with pytest.raises(UsageError, match="encoder/Other") as raised:
        run_checks(Series, registry=registry, cases={"encoder/Other": Cases()})
    assert "encoder/Series" in raised.value.hint
