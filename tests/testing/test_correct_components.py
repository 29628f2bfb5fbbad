"""Components that are right in an unusual way: the kit raises no false alarm."""

import importlib
from pathlib import Path

import correct
import pytest
from correct import CORRECT

from genmod.testing import CHECKS, run_checks
from genmod.testing.selection import select

for _file in sorted(Path(correct.__file__).parent.glob("[a-z]*.py")):
    importlib.import_module(f"correct.{_file.stem}")


# By default without the export and without another process, of which the imports alone take seconds.
@pytest.mark.parametrize(
    ("component", "exported"),
    [
        *(pytest.param(each, False, id=each.target.__name__) for each in CORRECT if each.always),
        *(
            pytest.param(each, True, id=f"{each.target.__name__}-exported", marks=pytest.mark.slow)
            for each in CORRECT
        ),
    ],
)
def test_no_false_alarm(component, exported, registry, tmp_path, monkeypatch):
    checks = [check for check in CHECKS if exported or check.name not in ("check_export", "check_process")]
    monkeypatch.setattr("genmod.testing.prepare.CHECKS", checks)
    given = {**component.options, **(component.files(tmp_path) if component.files else {})}
    kind = select(component.target, registry)[0][0].kind
    options = {f"{kind}.{name}": value for name, value in given.items()}
    report = run_checks(component.target, options=options, root=tmp_path, registry=registry)
    assert not report.failed, "\n".join(f"{o.check}: {o.message}" for o in report.failed)
    assert report.ok
