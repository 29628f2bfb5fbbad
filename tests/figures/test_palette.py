"""The palette: colours that everybody tells apart, on pages and in figures."""

from itertools import combinations

import pytest

from genmod.figures.palette import CLASSES, CLASSES_ON_DARK, RUNS, RUNS_ON_DARK

# How the cones of people without one kind of them see linear red, green and blue: Viénot, Brettel and Mollon, 1999.
DEFICIENT = {
    "protanopia": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


def linear(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def lab(colour, matrix=((1, 0, 0), (0, 1, 0), (0, 0, 1))):
    r, g, b = (min(1, max(0, sum(k * c for k, c in zip(row, linear(colour), strict=True)))) for row in matrix)
    x, y, z = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    )
    f = [c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


@pytest.mark.parametrize("name", DEFICIENT)
@pytest.mark.parametrize(
    ("palette", "apart"), [(CLASSES, 15), (CLASSES_ON_DARK, 12), (RUNS, 5), (RUNS_ON_DARK, 20)]
)
def test_colours_stay_apart_where_one_kind_of_cone_is_missing(palette, apart, name):
    seen = [lab(colour, DEFICIENT[name]) for colour in palette]
    distance = {
        (a, b): sum((p - q) ** 2 for p, q in zip(seen[a], seen[b], strict=True)) ** 0.5
        for a, b in combinations(range(len(seen)), 2)
    }
    assert min(distance.values()) > apart
