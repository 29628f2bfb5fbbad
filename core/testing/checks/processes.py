"""Laws for datasets in another process, where texts have other hashes and sets another order."""

import json
import os
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from genmod.data.dataset import Dataset, default_root
from genmod.options.schema import to_json, validate
from genmod.registry.provided import import_target
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.checks.datasets import SPLITS, opened
from genmod.testing.checks.readings import digests

__all__ = ["read"]

_CHILD = """
import json, sys
job = json.load(sys.stdin)
sys.path[:] = job["path"]
from genmod.testing.checks.processes import read
sys.stdout.write(read(job))
"""
_SECONDS = 600


@check_for(
    "dataset",
    remedy="never take hash() of a text, nor the order of a set: sort, and use zlib.crc32 or genmod.data's fixed splits",
)
def check_process(case: Case) -> None:
    """Another process, in which texts have other hashes and sets another order, reads the same splits."""
    here, there = _described(opened(case)), _elsewhere(case)
    for name, value in here["info"].items():
        other = there["info"].get(name)
        expect(
            value == other,
            f"in another process, {name} of the data is {other!r:.90}; here it is {value!r:.90}",
        )
    for name in SPLITS:
        (digest, unordered), (other, other_unordered) = here[name], there[name]
        alike = unordered == other_unordered
        how = "the same examples in another order, or with other labels" if alike else "other examples"
        expect(digest == other, f"in another process, with other hashes of texts, {name} has {how}")


def _described(dataset: Dataset) -> dict[str, Any]:
    """Digests of the splits, and the description of the data, as JSON has them."""
    found = {name: digests(dataset.split(name)) for name in SPLITS}
    described: dict[str, Any] = json.loads(json.dumps({"info": dataset.info.to_json(), **found}))
    return described


def _elsewhere(case: Case) -> dict[str, Any]:
    """The dataset as another process reads it.

    Raises:
        CheckFailed: it cannot read them.
        NotApplicable: it cannot import the class.
    """
    cls = case.cls
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if "<locals>" in cls.__qualname__ or file is None:
        raise NotApplicable(
            f"{cls.__name__} is defined where no other process can import it; put it into a file"
        )
    job = {
        "path": sys.path,
        "module": cls.__module__,
        "file": file,
        "class": cls.__qualname__,
        "options": to_json(cls, validate(cls, case.options, case.kind)),
        "root": str(default_root(case.root)),
    }
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CHILD],
        input=json.dumps(job),
        env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    lines = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(lines[-1]) if done.returncode == 0 and lines else {}
    if "missing" in found:
        raise NotApplicable(f"another process cannot import it: {found['missing']}")
    if not found:
        raise CheckFailed(
            f"another process cannot read it: {done.stderr.strip().rpartition(chr(10))[2][:300]}"
        )
    return found


def read(job: dict[str, Any]) -> str:
    """What a dataset is in the process that was started for it, as a line of JSON."""
    with redirect_stdout(sys.stderr):
        try:
            cls: Any = _imported(job["module"], job["class"], job["file"])
        except Exception as error:
            return json.dumps({"missing": f"{type(error).__name__}: {error}"})
        dataset = cls(Path(job["root"]), **validate(cls, job["options"], "dataset"))
        return json.dumps(_described(dataset))


def _imported(module: str, name: str, file: str) -> Any:
    """The class of that name in that file: by its module where that finds it, else by the file."""
    with suppress(ImportError):
        cls = None if module == "__main__" else import_target(f"{module}:{name}")
        if cls is not None and getattr(sys.modules[module], "__file__", None) == file:
            return cls
    spec = spec_from_file_location("checked_dataset", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no module")
    sys.modules[spec.name] = made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return import_target(f"{spec.name}:{name}")
