"""What 30 installed plugins with 150 components cost ``genmod list``: at most 25 ms more than none.

python benchmarks/registry.py
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGINS, COMPONENTS, RUNS = 30, 5, 21
LIMIT_MS = 25.0


def install(folder: Path) -> None:
    """Write the metadata and the module of every plugin."""
    for i in range(PLUGINS):
        name = f"genmod_bench_{i:02}"
        records = "".join(
            f'    yield Component("encoder", "bench-{i}-{k}", "{name}.net:Net", summary="a network")\n'
            for k in range(COMPONENTS)
        )
        hook = "from genmod import Component, hookimpl\n\n\n@hookimpl\ndef genmod_components():\n"
        (folder / f"{name}.py").write_text(hook + records)
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[genmod.v1]\nmain = {name}\n")


def milliseconds(path: Path, expected: int) -> float:
    """Wall time of one ``genmod list``, which must show this many components of the plugins."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "genmod", "list"],
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
    )
    taken = 1000 * (time.perf_counter() - start)
    shown = done.stdout.count("genmod-bench-")
    if shown != expected:
        raise SystemExit(f"{shown} components were listed, not {expected}")
    return taken


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        none, many = Path(folder, "none"), Path(folder, "many")
        none.mkdir()
        many.mkdir()
        install(many)
        milliseconds(many, PLUGINS * COMPONENTS)  # the first run compiles the modules
        times: dict[Path, list[float]] = {none: [], many: []}
        # In turn, so that a machine that slows down slows both.
        for _ in range(RUNS):
            times[none].append(milliseconds(none, 0))
            times[many].append(milliseconds(many, PLUGINS * COMPONENTS))
    without, with_ = (statistics.median(times[path]) for path in (none, many))
    print(f"genmod list, no plugins:                   {without:6.1f} ms")
    print(f"genmod list, {PLUGINS} plugins, {PLUGINS * COMPONENTS} components: {with_:6.1f} ms")
    print(f"difference: {with_ - without:.1f} ms (at most {LIMIT_MS:g})")
    return 0 if with_ - without <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
