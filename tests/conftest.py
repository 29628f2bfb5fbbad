"""What all tests share: pinned randomness, one thread, and none of the user's own settings."""

import os
import sys

import pytest

for _name in [
    name
    for name in os.environ
    if name.startswith("GENMOD_") and name not in ("GENMOD_DATA", "GENMOD_ARTIFACTS")
]:
    del os.environ[_name]


def pytest_collection_modifyitems(items):
    """Files that take minutes go first: one that is begun last would keep the other processes waiting."""
    slow = ("tests/project/test_readme", "tests/project", "tests/testing", "tests/training", "tests/grid")
    items.sort(
        key=lambda item: next((i for i, name in enumerate(slow) if item.nodeid.startswith(name)), len(slow))
    )


@pytest.fixture(autouse=True)
def _pinned_seed():
    """The same random numbers in every test, whatever ran before it; tests without torch do not import it."""
    if "torch" not in sys.modules:
        yield
        return
    import torch

    # The small tensors of the tests gain nothing from more threads, and tests that run side by side lose.
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
