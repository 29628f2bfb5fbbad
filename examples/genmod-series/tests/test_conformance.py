"""The checks of genmod on every component of this package."""

from genmod.testing import parametrize_with_checks


@parametrize_with_checks(["genmod-series"])
def test_component(check):
    check()
