"""``genmod info``."""

import os
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from genmod.cli import console
from genmod.cli.options import Json

__all__ = ["info"]

_PACKAGES = ("pillow", "pluggy", "pydantic", "rich", "scikit-learn", "typer")


def info(json: Json = False) -> None:
    """Describe this installation, for error reports.

    Examples:
      genmod info
      genmod info --json
    """
    import genmod
    from genmod.registry.lookup import current_registry
    from genmod.system.environment import versions

    statuses = Counter(status.status for status in current_registry().plugins())
    document: dict[str, Any] = {
        "versions": versions(*_PACKAGES),
        "location": str(Path(genmod.__file__).parent),
        "python": sys.executable,
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        **_torch(),
        "torchvision": _torchvision(),
        "data": _data_root(),
        "plugins": dict(statuses),
        "problems": [],
    }
    document["problems"] = _problems(document)
    if json:
        console.print_json(document)
        return
    rows: list[tuple[str, object]] = [(name, version) for name, version in document["versions"].items()]
    rows += [(name, _line(value)) for name, value in document.items() if name not in ("versions", "problems")]
    console.print_table(["what", "found"], rows)
    for problem in document["problems"]:
        console.warning(problem)


def _torch() -> dict[str, Any]:
    """The devices; only this function imports torch."""
    try:
        import torch
    except Exception as error:
        return {"torch": f"cannot be imported: {error}", "devices": []}
    devices = [f"cpu ({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            devices.append(f"cuda:{index} ({properties.name}, {properties.total_memory / 2**30:.0f} GiB)")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return {
        "torch": f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for CPU",
        "devices": devices,
    }


def _torchvision() -> str:
    """``usable``, or why it cannot be imported: a build for another torch fails in many ways.

    The import itself brings torch's compiler with it, which takes as long as torch; what fails is its library.
    """
    from importlib import import_module, util

    try:
        found = util.find_spec("torchvision")
        folders = (found.submodule_search_locations if found else None) or ()
        libraries = [file for folder in folders for file in Path(folder).glob("_C*") if file.is_file()]
        if "torchvision" in sys.modules or not libraries:
            import_module("torchvision")
        else:
            import torch

            for library in libraries:
                torch.ops.load_library(library)
    except Exception as error:
        return f"cannot be imported: {error}"
    return "usable"


def _data_root() -> str | None:
    try:
        from genmod.data.dataset import default_root
    except Exception:  # without torch there are no datasets
        return None
    return str(default_root())


def _problems(document: dict[str, Any]) -> list[str]:
    """Faults of the installation, each with the command that mends it."""
    from genmod.system.installed import installed, version_of

    problems = []
    if document["torch"].startswith("cannot"):
        problems.append(f"torch {document['torch']}\npip install --force-reinstall torch")
    elif document["torchvision"].startswith("cannot"):
        problems.append(
            f"torchvision {document['torchvision']}\n"
            "only some datasets need it; a pair that fits: pip install --upgrade torch torchvision"
        )
    other = installed("genmod")
    if other is not None:
        problems.append(
            f"another program, the distribution genmod {version_of(other)}, is installed into the same folder\n"
            "pip uninstall genmod && pip install --force-reinstall --no-deps genmod-torch"
        )
    failed = document["plugins"].get("broken", 0) + document["plugins"].get("incompatible", 0)
    if failed:
        problems.append(f"{failed} plugin{'s' * (failed > 1)} failed to load, see: genmod plugins")
    return problems


def _line(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else value
