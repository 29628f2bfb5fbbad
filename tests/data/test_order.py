"""Fixed orders: against the published generator, and as random as they need to be."""

from collections import Counter

import numpy as np

from genmod.data.order import mixed, mixed_text, shuffled, split_of


def splitmix64(index):
    """The published algorithm in whole numbers of any size."""
    mask = 2**64 - 1
    z = (index + 1) * 0x9E3779B97F4A7C15 & mask
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return z ^ (z >> 31)


def test_hash_is_the_published_one():
    keys = [0, 1, 2, 737_279, 2**40]
    assert mixed(np.array(keys)).tolist() == [splitmix64(key) for key in keys]


def test_hash_gives_the_known_first_outputs():
    assert mixed(np.arange(2)).tolist() == [16294208416658607535, 7960286522194355700]


def test_order_is_a_permutation_without_structure():
    order = shuffled(10_000)
    assert sorted(order) == list(range(10_000))
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.03
    assert shuffled(0).tolist() == []


def test_splits_are_eight_to_one_to_one():
    counts = Counter(split_of(h) for h in mixed(np.arange(100_000)).tolist())
    assert abs(counts["train"] - 80_000) < 500
    assert abs(counts["validation"] - 10_000) < 400
    assert abs(counts["test"] - 10_000) < 400


def test_texts_are_hashed_by_their_characters():
    assert mixed_text("a.png") == 0x58BF5F803512077F
    assert mixed_text("\u00f6.png") == mixed_text("o\u0308.png") != mixed_text("o.png")
    assert mixed_text("\udcff.png") != mixed_text("\udcfe.png")
