import copy
import itertools
import math
import pickle
from dataclasses import FrozenInstanceError

import pytest

from genmod.errors import UsageError
from genmod.options.schedule import Clock, Schedule, ScheduleError, Span


def value(text, step, *, steps_per_epoch=100, total_steps=1000):
    return Schedule.parse(text).at(Clock(step, steps_per_epoch, total_steps))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.5", {0: 2.5, 1: 2.5, 999: 2.5}),
        ("0->4 over 10 steps", {0: 0, 1: 0.4, 5: 2, 9: 3.6, 10: 4, 11: 4, 999: 4}),
        ("4->-1 over 5 steps", {0: 4, 1: 3, 4: 0, 5: -1, 6: -1}),
        ("0->4 over 10 epochs", {0: 0, 250: 1, 500: 2, 1000: 4}),
        ("0->4 over 0.5 epochs", {0: 0, 25: 2, 50: 4}),
        ("0->4 over 50%", {0: 0, 125: 1, 250: 2, 500: 4, 501: 4}),
        ("2->1 over 10 steps after 4 steps", {0: 2, 4: 2, 9: 1.5, 13: 1.1, 14: 1, 15: 1}),
        ("0->1 over 50% after 1 epoch", {100: 0, 350: 0.5, 600: 1}),
        (
            "cosine 0->1 over 8 steps",
            {0: 0, 2: (1 - math.sqrt(0.5)) / 2, 4: 0.5, 6: (1 + math.sqrt(0.5)) / 2, 8: 1},
        ),
        ("cosine 3->1 over 6 steps", {0: 3, 2: 2.5, 3: 2, 4: 1.5, 6: 1}),
        (
            "cyclical 0->1 over 40 steps x4",
            {
                0: 0,
                2: 0.4,
                4: 0.8,
                5: 1,
                9: 1,
                10: 0,
                12: 0.4,
                15: 1,
                20: 0,
                30: 0,
                31: 0.2,
                39: 1,
                40: 1,
                41: 1,
            },
        ),
        # Cycles of 2.5 steps begin at steps 0, 2.5, 5 and 7.5.
        ("cyclical 0->1 over 10 steps x4", {0: 0, 1: 0.8, 2: 1, 3: 0.4, 4: 1, 5: 0, 8: 0.4, 9: 1, 10: 1}),
        ("cyclical 2->1 over 4 steps x1 after 3 steps", {0: 2, 3: 2, 4: 1.5, 5: 1, 6: 1, 7: 1}),
    ],
)
def test_values_at_steps(text, expected):
    assert {step: value(text, step) for step in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", ["", "cosine "])
@pytest.mark.parametrize("ends", ["0.1->0.7", "0.7->0.1", "-1e-3->1e9", "1e300->-1e300"])
def test_monotone_between_exact_ends(shape, ends):
    schedule = Schedule.parse(f"{shape}{ends} over 337 steps after 3 steps")
    values = [schedule.at(Clock(step, 7, 400)) for step in range(400)]
    assert values[:4] == [schedule.start] * 4
    assert values[340:] == [schedule.final] * 60
    assert len(set(values)) == 338
    assert values == sorted(values, reverse=schedule.start > schedule.final)


def test_rounding_never_passes_the_end():
    assert 0.3 + (0.9 - 0.3) > 0.9
    held = Schedule.parse("cyclical 0.3->0.9 over 100 steps x5")
    slow = Schedule.parse("cosine 0.3->0.9 over 1000000000 steps")
    assert [held.at(Clock(step, 1, 100)) for step in range(10, 20)] == [0.9] * 10
    assert max(slow.at(Clock(10**9 - step, 1, 10**9)) for step in range(1000)) == 0.9


@pytest.mark.parametrize("over", [10, 33.3, 50, 99, 100])
def test_a_share_of_the_run_ends_within_it(over):
    for total, per_epoch in itertools.product(range(1, 60), (1, 7)):
        after = f" after {100 - over}%" if over < 100 else ""
        schedule = Schedule.parse(f"0->1 over {over}%{after}")
        schedule.check(total, per_epoch, "beta")
        assert schedule.at(Clock(total, per_epoch, total)) == 1
        assert schedule.at(Clock(0, per_epoch, total)) == 0


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (4, "4"),
        (-0.5, "-0.5"),
        ("4.0", "4"),
        (" 1e-3 ", "0.001"),
        ("1E22", "1e+22"),
        ("0->4 over 10 epochs", "0->4 over 10 epochs"),
        ("linear 0.0 → 4. over 1 epochs", "0->4 over 1 epoch"),
        ("-.5->+4 over 5000steps", "-0.5->4 over 5000 steps"),
        ("1->1 over 1 step", "1->1 over 1 step"),
        ("COSINE 0->1  over 12.5 % after 3 Steps", "cosine 0->1 over 12.5% after 3 steps"),
        ("cyclical 0->1 over 10 epochs × 4 after 2 epochs", "cyclical 0->1 over 10 epochs x4 after 2 epochs"),
        ("cyclical 0->1 over 10 epochs x1", "cyclical 0->1 over 10 epochs x1"),
    ],
)
def test_one_text_for_each_schedule(given, canonical):
    schedule = Schedule.parse(given)
    assert str(schedule) == canonical
    assert Schedule.parse(str(schedule)) == schedule
    assert Schedule.parse(schedule.to_json()) == schedule
    assert repr(schedule) == f"Schedule.parse({schedule.to_json()!r})"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "expected"),
        ("0-4 over 10 epochs", "expected"),
        ("0->4", "expected"),
        ("0->4 over 10", "expected"),
        ("sine 0->4 over 10 epochs", "expected"),
        ("nan", "expected"),
        ("0->inf over 10 steps", "expected"),
        ("0->4 over 0 epochs", "'0 epochs' is not a length of time"),
        ("0->4 over -1 epochs", "'-1 epochs' is not a length of time"),
        ("0->4 over 1.5 steps", "'1.5 steps' is not a length of time"),
        ("0->4 over 1 epoch after 0 steps", "'0 steps' is not a length of time"),
        ("0->4 over 1e999 epochs", "'inf epochs' is not a length of time"),
        ("0->4 over 120%", "end after 100%"),
        ("0->1 over 60% after 60%", "end after 100%"),
        ("cyclical 0->1 over 10 epochs", "how many cycles"),
        ("cyclical 0->1 over 10 epochs x0", "number of cycles"),
        ("0->1 over 10 epochs x4", "number of cycles"),
        ("0->1 over 10 epochs after 2 epochs x4", "expected"),
        ("1e999", "must be finite"),
        ("-1e308->1e308 over 3 steps", "must be finite"),
        (math.nan, "must be finite"),
        (-math.inf, "must be finite"),
        pytest.param(10**5000, "must be finite", id="huge"),
        (True, "neither a number nor a text"),
        (None, "neither a number nor a text"),
        ([0, 1], "neither a number nor a text"),
    ],
)
def test_refused(given, reason):
    with pytest.raises(ScheduleError) as caught:
        Schedule.parse(given)
    assert reason in caught.value.reason


def test_parts_that_do_not_fit():
    with pytest.raises(ScheduleError, match="over how many"):
        Schedule(final=1, start=0)
    with pytest.raises(ScheduleError, match="over how many"):
        Schedule(final=1, start=1, after=Span(1, "epochs"))


def test_text_of_the_error():
    with pytest.raises(UsageError) as caught:
        Schedule.parse("0-4 over 10 epochs")
    assert str(caught.value) == (
        "'0-4 over 10 epochs' is not a schedule: expected [cosine|cyclical] START->FINAL over LENGTH "
        "[xCYCLES] [after DELAY], in steps, epochs or %\n"
        "Write a number, or '0->4 over 10 epochs', 'cosine 0->1 over 50%', "
        "'cyclical 0->1 over 5000 steps x4'."
    )
    for example in ("0->4 over 10 epochs", "cosine 0->1 over 50%", "cyclical 0->1 over 5000 steps x4"):
        Schedule.parse(example)


def test_a_long_text_is_refused_quickly_and_shown_short():
    many = "9" * 50_000
    for text in (f"{many}x", f"0->1 over {' ' * 50_000}", f"{many}->{many}"):
        with pytest.raises(ScheduleError) as caught:
            Schedule.parse(text)
        assert len(str(caught.value)) < 500


def test_moves_only_when_told():
    beta = Schedule.parse("0->4 over 100 steps")
    assert float(beta) == beta.value == 4
    beta.advance(Clock(step=25, steps_per_epoch=10, total_steps=200))
    assert float(beta) == beta.value == 1
    assert beta.at(Clock(step=50, steps_per_epoch=10, total_steps=200)) == 2
    assert beta.value == 1
    beta.settle()
    assert beta.value == 4
    with pytest.raises(FrozenInstanceError):
        beta.final = 5


def test_equal_by_description():
    one, other = Schedule.parse("0->4 over 10 epochs"), Schedule.parse("0 → 4.0 over 10 epochs")
    one.advance(Clock(0, 10, 200))
    assert one.value != other.value
    assert one == other
    assert hash(one) == hash(other)
    assert one != Schedule.parse("0->4 over 10 epochs after 1 step")
    assert one != Schedule.parse("cosine 0->4 over 10 epochs")
    assert Schedule.parse(4) != 4


def test_copies_are_independent():
    beta = Schedule.parse("0->4 over 100 steps")
    beta.advance(Clock(25, 10, 200))
    for twin in (copy.deepcopy(beta), pickle.loads(pickle.dumps(beta))):  # noqa: S301 - its own bytes
        assert twin == beta
        assert twin.value == 1
        twin.settle()
        assert beta.value == 1
    fresh = Schedule.parse(beta)
    assert fresh is not beta
    assert (fresh.value, beta.value) == (4, 1)


def test_what_it_may_take():
    moving = Schedule.parse("cyclical 3->-1 over 8 steps x2")
    assert (moving.lowest, moving.highest, moving.final, moving.is_constant) == (-1, 3, -1, False)
    assert Schedule.parse(2).is_constant
    assert Schedule.parse("1->1 over 10 epochs").is_constant
    with pytest.raises(TypeError):
        # Would it mean the value now, or every value? Components write float(schedule) > 0.
        assert moving > 0


def test_refuses_a_run_that_is_too_short():
    schedule = Schedule.parse("0->4 over 9 epochs after 1 epoch")
    schedule.check(total_steps=5000, steps_per_epoch=500, name="objective.beta")
    with pytest.raises(UsageError) as caught:
        schedule.check(total_steps=1250, steps_per_epoch=500, name="objective.beta")
    assert str(caught.value) == (
        "objective.beta = '0->4 over 9 epochs after 1 epoch' needs 10 epochs (5000 steps), "
        "but the run has 2.5 epochs (1250 steps)\n"
        "Train for 10 epochs or more, or shorten the schedule: '0->4 over 100%' takes as long as the run."
    )
    with pytest.raises(UsageError, match=r"needs 10\.02 epochs \(501 steps\)"):
        Schedule.parse("0->1 over 501 steps").check(500, 50, "beta")
    Schedule.parse("0->1 over 500 steps").check(500, 50, "beta")
    Schedule.parse("1->1 over 501 steps").check(500, 50, "beta")
    Schedule.parse(1).check(1, 1, "beta")


def test_refuses_cycles_without_room():
    schedule = Schedule.parse("cyclical 0->1 over 100% x4")
    schedule.check(8, 1, "beta")
    with pytest.raises(UsageError, match="has 4 cycles in 7 steps, but a cycle needs 2 steps"):
        schedule.check(7, 1, "beta")
