"""Which differences between models are real."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from genmod import Evaluation, Row, mean_row
from genmod.evaluation.significance import chance, reach
from genmod.experiments.compare import differences, holm


def evaluation(examples, better="higher", name="score"):
    return Evaluation((mean_row(name, torch.as_tensor(examples), "nats", "a score", better),), {})


def test_paired_difference_is_the_t_statistic_of_scipy():
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 400)) + generator.normal(size=400) * 5
    (found,) = differences({"a": evaluation(a), "b": evaluation(b + 0.1)})
    wanted = stats.ttest_rel(b + 0.1, a)
    assert found.paired
    assert found.value / found.standard_error == pytest.approx(wanted.statistic, rel=1e-9)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-9)


def test_what_both_find_hard_cancels():
    """A shift of 0.2 is lost in a spread of 5 between examples, and plain in their differences."""
    generator = np.random.default_rng(2)
    hard = generator.normal(size=300) * 5
    a, b = hard + generator.normal(size=(2, 300)) * 0.1
    (found,) = differences({"a": evaluation(a), "b": evaluation(b - 0.2)})
    assert (found.real, found.better) == (True, "reference")
    plain = {
        name: Evaluation((Row("score", x.mean(), x.std() / 300**0.5, 300, "", "", "higher"),), {})
        for name, x in {"a": a, "b": b - 0.2}.items()
    }
    (unpaired,) = differences(plain)
    assert (unpaired.paired, unpaired.real, unpaired.better) == (False, False, "")


def test_p_values_are_uniform_where_there_is_no_difference():
    generator = np.random.default_rng(3)
    values = [
        differences({"a": evaluation(a), "b": evaluation(b)})[0].p
        for a, b in generator.normal(size=(400, 2, 100))
    ]
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_all_together_are_wrong_as_rarely_as_said():
    """20 models that do not differ: in about 5 % of the experiments any of them is called different, not in 64 %."""
    generator = np.random.default_rng(4)
    wrong = 0
    for _ in range(200):
        scores = generator.normal(size=(21, 60))
        wrong += any(each.real for each in differences({str(i): evaluation(x) for i, x in enumerate(scores)}))
    assert wrong < 30


@pytest.mark.parametrize("n", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 10, 30))])
@pytest.mark.parametrize("paired", [True, False])
def test_few_examples_are_no_licence(n, paired):
    """Twenty models that do not differ, few examples: any is called different in 5 % of experiments at most."""
    generator, wrong, experiments = np.random.default_rng(5), 0, 300
    for _ in range(experiments):
        scores = generator.normal(size=(21, n))
        found = {}
        for i, x in enumerate(scores):
            error = x.std(ddof=1) / n**0.5
            plain = Evaluation((Row("score", x.mean(), error, n, "", "", "higher"),), {})
            found[str(i)] = evaluation(x) if paired else plain
        wrong += any(each.real for each in differences(found))
    # By the tail of a normal distribution it would be 16 % and more for ten examples, 60 % for three.
    assert wrong / experiments <= 0.05 + 4 * (0.05 * 0.95 / experiments) ** 0.5


def test_unpaired_difference_is_the_test_of_welch():
    generator = np.random.default_rng(6)
    a, b = generator.normal(size=7), 0.3 + 3 * generator.normal(size=12)
    rows = [Row("score", x.mean(), x.std(ddof=1) / len(x) ** 0.5, len(x), "", "", "higher") for x in (a, b)]
    (found,) = differences({name: Evaluation((row,), {}) for name, row in zip("ab", rows, strict=True)})
    wanted = stats.ttest_ind(b, a, equal_var=False)
    assert (found.paired, found.p) == (False, pytest.approx(wanted.pvalue, rel=1e-9))


def test_examples_that_all_say_the_same_are_as_sure_as_there_are_many_of_them():
    """Never a chance of zero: equal differences are tosses of a coin, equal numbers a shuffle that falls apart."""

    def without_error(value, n):
        return Evaluation((Row("score", value, 0.0, n, "", "", "higher"),), {})

    for n in (2, 3, 5, 10, 100):
        (found,) = differences({"a": evaluation(np.arange(n)), "b": evaluation(np.arange(n) + 0.5)})
        # By enumeration: all signs of n differences.
        assert found.p == pytest.approx(min(1.0, 2 * 0.5**n))
        assert found.real == (n > 5)
        (found,) = differences({"a": without_error(0.0, n), "b": without_error(1.0, n)})
        wanted = 2 / math.comb(2 * n, n)
        assert found.p == pytest.approx(min(1.0, wanted))
        assert 0 < found.p < 1
        assert found.real == (n > 3)
    (found,) = differences({"a": without_error(0.0, 1), "b": without_error(1.0, 1)})
    assert (found.p, found.real) == (1.0, False)
    (found,) = differences({"a": without_error(1.0, 5), "b": without_error(1.0, 9)})
    assert (found.p, found.real) == (1.0, False)


def test_one_error_of_zero_is_a_fixed_number():
    generator = np.random.default_rng(7)
    x = generator.normal(size=9)
    fixed = Evaluation((Row("score", 0.4, 0.0, 50, "", "", "higher"),), {})
    row = Row("score", x.mean(), x.std(ddof=1) / 3, 9, "", "", "higher")
    (found,) = differences({"a": fixed, "b": Evaluation((row,), {})})
    assert found.p == pytest.approx(stats.ttest_1samp(x, 0.4).pvalue, rel=1e-9)


def test_reach_has_the_chance_that_it_says():
    for sigmas, freedom in ((2.0, 4), (4.5, 49), (5.0, 19)):
        assert stats.t(freedom).sf(reach(sigmas, freedom)) == pytest.approx(stats.norm.sf(sigmas), rel=1e-8)
    assert chance(1.0, math.nan, 9) == chance(math.nan, 1.0, 9) == chance(1.0, 1.0, 0) == 1.0


def test_holm_against_the_definition():
    p = [0.001, 0.02, 0.03, 0.5]
    assert holm(p) == pytest.approx([0.004, 0.06, 0.06, 0.5])
    assert holm([]) == []


def test_direction_decides_which_is_better():
    low, high = np.zeros(50) + np.arange(50) * 1e-3, np.ones(50) + np.arange(50) * 1e-3
    for better, winner in (("higher", "model"), ("lower", "reference"), ("", "")):
        (found,) = differences({"a": evaluation(low, better), "b": evaluation(high, better)})
        assert (found.better, found.real) == (winner, True)


def test_nothing_is_claimed_without_an_uncertainty():
    single = {name: evaluation([float(value)]) for name, value in (("a", 1), ("b", 9))}
    (found,) = differences(single)
    assert (found.real, found.p) == (False, 1.0)
    with pytest.raises(KeyError):
        differences(single, "c")
    assert differences({}) == []
