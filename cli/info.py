"""``genmod info``."""

import os
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from genmod.cli import console
from genmod.cli.options import Json

__all__ = ["info"]

_PACKAGES = ("pillow", "pluggy", "pydantic", "rich", "scikit-learn", "typer")


def info(
    json: Json = False,
    clear_cache: Annotated[
        bool,
        typer.Option("--clear-cache", help="Remove what is kept of pictures for the next start, and stop."),
    ] = False,
) -> None:
    """Describe this installation, for error reports.

    The cache has lists, sizes and decoded pixels of folders and archives of pictures, so that a second start is
    quick. It is in GENMOD_CACHE, or else below ~/.cache; of pixels it has 20 GiB at most, or GENMOD_CACHE_SIZE.

    Examples:
      genmod info
      genmod info --json
      genmod info --clear-cache
    """
    if clear_cache:
        _clear_cache(json=json)
        return
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
        "cache": _cache(),
        "plugins": dict(statuses),
        "problems": [],
    }
    document["problems"] = _problems(document)
    if json:
        console.print_json(document)
        return
    rows: list[tuple[str, object]] = [(name, version) for name, version in document["versions"].items()]
    apart = ("versions", "problems", "cache")
    rows += [(name, _line(value)) for name, value in document.items() if name not in apart]
    rows += [("cache", line) for line in _cache_lines(document["cache"])]
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


def _cache() -> dict[str, Any]:
    """Where the cache is, what may be in it, and what is, each file with the pictures that it is of."""
    from genmod.system.kept import kept_files, kept_folder, kept_limit
    from genmod.system.row_file import about_rows

    folder = kept_folder()
    files = []
    for file in kept_files():
        about = about_rows(file.path) if file.path.suffix == ".rows" else None
        kinds = {"place": str, "shape": list}
        of = {k: about[k] for k, kind in kinds.items() if isinstance(about.get(k), kind)} if about else {}
        files.append({"file": file.path.name, "kind": file.kind, "bytes": file.taken, **of})
    return {"folder": folder and str(folder), "limit": kept_limit(), "files": files}


def _cache_lines(cache: dict[str, Any]) -> list[str]:
    if cache["folder"] is None:
        return ["off"]
    pictures = [file for file in cache["files"] if file["kind"] == "pictures"]
    others = [file for file in cache["files"] if file["kind"] != "pictures"]
    lines = [f"{cache['folder']}, at most {cache['limit'] / 2**30:g} GiB of pictures"]
    for file in pictures:
        size = "×".join(map(str, file.get("shape", ())))
        lines.append(f"{_mebibytes(file['bytes'])} pictures {size} of {file.get('place', 'unknown files')}")
    if others:
        lines.append(f"{_mebibytes(sum(file['bytes'] for file in others))} lists and sizes of pictures")
    return lines


def _clear_cache(*, json: bool) -> None:
    from genmod.system.kept import clear_kept, kept_folder

    removed, folder = clear_kept(), kept_folder()
    taken = sum(file.taken for file in removed)
    if json:
        paths = [str(file.path) for file in removed]
        console.print_json({"folder": folder and str(folder), "removed": paths, "bytes": taken})
        return
    where = f" from {folder}" if folder else ": GENMOD_CACHE is 0"
    what = f"removed {len(removed)} file{'s' * (len(removed) != 1)}, {_mebibytes(taken)},"
    console.print_text(f"{what if removed else 'nothing to remove'}{where}")


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


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
