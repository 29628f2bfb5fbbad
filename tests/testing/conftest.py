"""Components that are right, for others to be wrong in one thing, and the built-in ones."""

import pytest

from genmod.registry.lookup import Registry


@pytest.fixture(scope="session")
def registry():
    """The built-in components alone."""
    return Registry(third_party=False)
