"""Which differences between models are real."""

import numpy as np
import pytest
import torch
from scipy import stats

from genmod import Evaluation, Row, mean_row
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
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(wanted.statistic)), rel=1e-9)


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
