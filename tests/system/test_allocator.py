"""Memory that is freed and allocated again."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

import genmod.system

# Loaded by its path: the package imports torch, whose start-up would drown the faults that are counted.
SCRIPT = """
import importlib.util, resource, sys
spec = importlib.util.spec_from_file_location("allocator", sys.argv[1])
allocator = importlib.util.module_from_spec(spec)
spec.loader.exec_module(allocator)
kept = None
for mode in sys.argv[2].split(","):
    kept = None if mode == "leave" else allocator.keep_freed_memory(large=mode == "large")
def touch():
    [bytearray(int(sys.argv[3]) << 20) for _ in range(32 // int(sys.argv[3]) or 1)]
touch(); touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20): touch()
print(kept, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


def faults(mode, size=4, **environment):
    """What ``keep_freed_memory`` says, and the page faults of a round of allocations of so many MiB, 32 in all or one."""
    path = Path(genmod.system.__file__).parent / "allocator.py"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, path, mode, str(size)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, count = done.stdout.split()
    return kept, float(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_memory_is_used_again():
    assert faults("leave")[1] > 500
    kept, count = faults("keep")
    assert kept == "True"
    assert count < 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_large_blocks_are_used_again_where_that_is_asked_for():
    assert faults("keep", 40)[1] > 5_000
    assert faults("large,keep", 40)[1] > 5_000
    kept, count = faults("large", 40)
    assert kept == "True"
    assert count < 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_what_the_environment_says_is_left():
    kept, count = faults("keep", MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_THRESHOLD_="131072")
    assert kept == "False"
    assert count > 500
