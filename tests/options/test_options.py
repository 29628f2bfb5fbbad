import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MaxLen, MinLen, MultipleOf, Predicate

from genmod.errors import PluginError, UsageError
from genmod.options.schedule import Clock, Schedule
from genmod.options.schema import (
    REQUIRED,
    Activation,
    Doc,
    OptionsError,
    Problem,
    Text,
    differences,
    options_of,
    to_json,
    validate,
    validate_many,
)

Width = Annotated[int, Gt(0)]
Scale = Annotated[float, Gt(0)] | Literal["learned"]
ONE = Schedule.parse(1)


class Conv:
    def __init__(
        self,
        data_shape: "NotImported",  # noqa: F821 - wiring is none of the options' business
        *,
        channels: Annotated[Sequence[Width], Doc("output channels of each stage"), Len(1, 4)] = (32, 64),
        norm: Literal["none", "batch", "group"] = "none",
        activation: "Activation" = "silu",
        dropout: Annotated[float, Interval(ge=0, lt=1), Doc("share of the units")] = 0,
        size: int,
    ):
        pass


class Elbo:
    def __init__(self, *, beta: Annotated[Schedule, Ge(0)] = ONE, scale: Scale = "learned"):
        pass


def taking(annotation, *default):
    """A function with one option ``x``."""
    if default:

        def function(root, *, x=default[0]): ...
    else:

        def function(root, *, x): ...

    function.__annotations__["x"] = annotation
    return function


def problems(annotation, value):
    with pytest.raises(OptionsError) as caught:
        validate(taking(annotation), {"x": value}, "")
    return caught.value.problems


def test_read_from_the_signature():
    options = {option.name: option for option in options_of(Conv)}
    assert list(options) == ["channels", "norm", "activation", "dropout", "size"]
    assert options["channels"].doc == "output channels of each stage"
    assert options["channels"].default == (32, 64)
    assert options["norm"].choices == ("none", "batch", "group")
    assert options["norm"].doc == ""
    assert "leaky-relu" in options["activation"].choices
    assert options["dropout"].allowed == ">= 0 and < 1"
    assert options["dropout"].default == 0.0
    assert options["size"].default is REQUIRED
    assert options_of(Conv) is options_of(Conv)


def test_components_of_every_make():
    class Bare:
        pass

    class Heir(Elbo):
        pass

    @dataclass(kw_only=True)
    class Data:
        size: int = 3

    assert options_of(Bare) == ()
    assert options_of(Heir) == options_of(Elbo)
    assert [(o.name, o.default) for o in options_of(Data)] == [("size", 3)]
    assert [o.name for o in options_of(taking(int))] == ["x"]


def test_a_module_without_init_has_no_options():
    from torch import nn

    class Identity(nn.Module):
        pass

    assert options_of(Identity) == ()


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true or false"),
        (int, "whole number"),
        (Annotated[float, Gt(0), Le(1)], "number > 0 and <= 1"),
        (Annotated[int, MultipleOf(8), Lt(100)], "whole number divisible by 8 and < 100"),
        (Path | None, "path or none"),
        (Sequence[Width], "list of whole numbers > 0"),
        (Annotated[tuple[str, ...], MinLen(1)], "list of texts (at least 1)"),
        (Annotated[list[float], Len(2, 2)], "list of numbers (exactly 2)"),
        (Annotated[list[float], MaxLen(2)], "list of numbers (0 to 2)"),
        (tuple[float, Literal["a"]], "list of 2: number, a"),
        (tuple[Width, Width], "list of 2 whole numbers > 0"),
        (tuple[bool, bool], "list of 2: true or false, true or false"),
        (Sequence[Literal["a", "b"]], "list of values, each one of a, b"),
        (dict[str, float], "table of numbers"),
        (Literal["none", "batch", "group"], "one of none, batch, group"),
        (Scale, "number > 0 or learned"),
        (int | Literal["all", "half"], "whole number or one of all, half"),
        (Annotated[int | None, Ge(1)], "whole number >= 1 or none"),
        (Annotated[Optional[Width], Le(9)], "whole number > 0 and <= 9 or none"),  # noqa: UP045 - must work too
        (Annotated[Schedule | float, Ge(0)], "number or schedule >= 0"),
        (Schedule | None, "number or schedule or none"),
    ],
)
def test_types_in_words(annotation, words):
    assert options_of(taking(annotation))[0].words == words


class Name(StrEnum):
    A = "a"


NESTED = Sequence[Sequence[int]]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (bool, "true", True),
        (bool, "Yes", True),
        (bool, "on", True),
        (bool, "FALSE", False),
        (bool, "no", False),
        (bool, "off", False),
        (int, " -3 ", -3),
        (int, "1_000", 1000),
        (float, "1e-3", 0.001),
        (float, "3", 3.0),
        (str, "3", "3"),
        (str, "", ""),
        (str, "none", "none"),
        (Sequence[str], "tc,patch:channels=[32,64]:weight=2", ("tc", "patch:channels=[32,64]:weight=2")),
        (str | None, "none", None),
        (int | None, "NULL", None),
        (int | None, "5", 5),
        (Path | None, "a/b c", Path("a/b c")),
        (Literal["none", "batch"] | None, "none", "none"),
        (Literal[1, 3], "3", 3),
        (int | Literal["all"], "all", "all"),
        (int | Literal["all"], "7", 7),
        (Scale, "2", 2.0),
        (Scale, "learned", "learned"),
        (Sequence[int], "32,64", (32, 64)),
        (Sequence[int], "32, 64,", (32, 64)),
        (Sequence[int], "[32, 64]", (32, 64)),
        (Sequence[int], "32", (32,)),
        (Sequence[int], "", ()),
        (Sequence[int], "[]", ()),
        (list[float], "1,2", [1.0, 2.0]),
        (tuple[float, int], "0.5,2", (0.5, 2)),
        (Sequence[Literal["a", "b"]], "[a, b]", ("a", "b")),
        (Sequence[str], '["a,b", "c"]', ("a,b", "c")),
        (Sequence[int | None], "1,none", (1, None)),
        (Sequence[int] | None, "none", None),
        (Sequence[int] | int, "5", 5),
        (Sequence[int] | int, "5,6", (5, 6)),
        (str | Sequence[str], "a", "a"),
        (str | Sequence[str], "a,b", ("a", "b")),
        (NESTED, "[[1, 2], [3]]", ((1, 2), (3,))),
        (dict[str, float], "a=1, b = 2", {"a": 1.0, "b": 2.0}),
        (dict[str, float], '{"a": 1}', {"a": 1.0}),
        (dict[str, float], "", {}),
        (Mapping[str, int | None], "a=none", {"a": None}),
        (Schedule, "4", Schedule.parse(4)),
        (Schedule | float, "0->4 over 50%", Schedule.parse("0->4 over 50%")),
        (Schedule | None, "none", None),
        (Schedule | Literal["auto"], "auto", "auto"),
    ],
)
def test_from_the_command_line_and_back_through_json(annotation, text, value):
    function = taking(annotation)
    values = validate(function, {"x": Text(text)}, "data")
    assert values == {"x": value}
    assert type(values["x"]) is type(value)
    stored = json.loads(json.dumps(to_json(function, values), allow_nan=False))
    again = validate(function, stored, "data")
    assert again == values
    assert type(again["x"]) is type(value)


@pytest.mark.parametrize(
    ("annotation", "given", "value"),
    [
        (float, 3, 3.0),
        (Sequence[int], [1, 2], (1, 2)),
        (Sequence[int], (1, 2), (1, 2)),
        (list[int], (1, 2), [1, 2]),
        (tuple[float, float], [1, 2], (1.0, 2.0)),
        (Path, "a", Path("a")),
        (Path, Path("a"), Path("a")),
        (Schedule, 3, Schedule.parse(3)),
        (Schedule, "0->1 over 50%", Schedule.parse("0->1 over 50%")),
        (Sequence[Schedule], [1, "0->1 over 50%"], (Schedule.parse(1), Schedule.parse("0->1 over 50%"))),
        (int | None, "none", None),
        (str | None, "none", "none"),
        (str, Name.A, "a"),
        (Path | Literal["auto"], "auto", "auto"),
        (Literal["all", "8"], 8, "8"),
    ],
)
def test_from_python_and_files(annotation, given, value):
    got = validate(taking(annotation), {"x": given}, "")["x"]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("annotation", "given", "suggestion"),
    [
        (int, "3", "3"),
        (int, True, ""),
        (int, 3.0, ""),
        (int, None, ""),
        (float, "0.5", "0.5"),
        (float, True, ""),
        (float, math.nan, ""),
        (float, -math.inf, ""),
        pytest.param(float, 10**5000, "", id="huge"),
        (bool, 1, ""),
        (bool, "true", "true"),
        (str, 3, ""),
        (str, Path("a"), ""),
        (Path, "", ""),
        (Path, 3, ""),
        (Literal[0, 1], True, ""),
        (Literal[1], 1.0, ""),
        (Literal["silu"], "SILU", "silu"),
        (Scale, "lerned", "learned"),
        (Scale, 0, ""),
        (Sequence[int], "32,64", "[32, 64]"),
        (Sequence[int], {1, 2}, ""),
        (Sequence[int], 3, ""),
        (tuple[float, float], [1], ""),
        (Annotated[Sequence[int], Len(1, 2)], [], ""),
        (Annotated[Sequence[int], Len(1, 2)], [1, 2, 3], ""),
        (Annotated[str, MinLen(1)], "", ""),
        (Annotated[int, MultipleOf(8)], 12, ""),
        (dict[str, int], {1: 2}, ""),
        (dict[str, int], "a", ""),
        (Schedule, True, ""),
        (Schedule, math.nan, ""),
        (Annotated[Schedule, Ge(0)], "0->-1 over 3 steps", ""),
        (Annotated[Schedule, Lt(1)], "0->1 over 3 steps", ""),
        (Annotated[Schedule | None, Gt(0)], "0->1 over 3 steps", ""),
        (int, Text("3.0"), ""),
        (int, Text(""), ""),
        (int | None, Text("nil"), ""),
        (float, Text("nan"), ""),
        (float, Text("1e999"), ""),
        (bool, Text("1"), ""),
        (NESTED, Text("1,2"), ""),
        (Sequence[float] | Literal["auto"], Text("autoo"), "auto"),
        (Sequence[int] | None, Text("x"), ""),
        (Sequence[int], Text("[" * 100_000), ""),
        (dict[str, int], Text("a"), ""),
        (Literal["none", "batch"], Text("bach"), "batch"),
    ],
)
def test_refused(annotation, given, suggestion):
    (problem,) = problems(annotation, given)
    assert problem.path in ("x", "x[0]")
    assert problem.suggestion == suggestion
    assert problem.received
    assert len(problem.received) <= 60


def test_problems_of_elements():
    paths = [p.path for p in problems(Sequence[Width] | None, [1, 0, "x", True])]
    assert paths == ["x[1]", "x[2]", "x[3]"]
    assert [p.path for p in problems(dict[str, Sequence[int]], {"a": [1], "b": [1.5]})] == ["x.b[0]"]
    assert [p.path for p in problems(Sequence[int], Text("1,b"))] == ["x[1]"]
    assert [p.path for p in problems(Sequence[int] | None, Text("1,b"))] == ["x[1]"]
    assert [p.path for p in problems(Sequence[float], [math.nan])] == ["x[0]"]


def test_all_mistakes_at_once():
    with pytest.raises(OptionsError) as caught:
        validate_many(
            {
                "encoder": (Conv, {"chanels": 3, "norm": "batchh", "channels": [32, -1], "dropout": 1.0}),
                "objective": (Elbo, {"beta": "2->-1 over 3 epochs", "scale": Text("lerned"), "size": 3}),
                "decoder": (Elbo, {}),
            },
            labels={"encoder": "encoder conv", "objective": "objective elbo", "decoder": "decoder gaussian"},
        )
    assert str(caught.value) == (
        "8 mistakes in the options:\n"
        "  encoder.chanels: no such option, there are: channels, norm, activation, dropout, size; "
        "did you mean channels?\n"
        "  encoder.channels[1] = -1: must be a whole number > 0\n"
        "  encoder.norm = 'batchh': must be one of none, batch, group; did you mean batch?\n"
        "  encoder.dropout = 1.0: must be a number >= 0 and < 1\n"
        "  encoder.size: is required, whole number\n"
        "  objective.size: no such option, there are: beta, scale; did you mean encoder.size?\n"
        "  objective.beta = '2->-1 over 3 epochs': must be a number or schedule >= 0; it goes from 2 to -1\n"
        "  objective.scale = 'lerned': must be a number > 0 or learned; did you mean learned?\n"
        "genmod show encoder conv\n"
        "genmod show objective elbo"
    )
    assert isinstance(caught.value, UsageError)
    assert caught.value.problems[1] == Problem("encoder.channels[1]", "must be a whole number > 0", "-1")


def test_one_mistake():
    with pytest.raises(OptionsError) as caught:
        validate(Elbo, {"beta": "0-4"}, "objective", label="objective elbo")
    assert str(caught.value) == (
        "objective.beta = '0-4': must be a number or schedule >= 0; expected [cosine|cyclical] START->FINAL "
        "over LENGTH [xCYCLES] [after DELAY], in steps, epochs or %; examples: '0->4 over 10 epochs', "
        "'cosine 0->1 over 50%', 'cyclical 0->1 over 5000 steps x4'\n"
        "genmod show objective elbo"
    )
    with pytest.raises(OptionsError, match=r"^a: no such option, there are none$"):
        validate(lambda root: None, {"a": 1}, "")


def test_complete_with_defaults():
    values = validate(Conv, {"size": 8, "norm": "batch"}, "encoder")
    expected = {"channels": (32, 64), "norm": "batch", "activation": "silu", "dropout": 0.0, "size": 8}
    assert values == expected
    assert list(values) == list(expected)
    assert differences(Conv, values) == {"norm": "batch", "size": 8}
    assert to_json(Conv, values) == {**expected, "channels": [32, 64]}
    assert differences(Elbo, validate(Elbo, {"beta": "1"}, "objective")) == {}


def test_values_are_never_shared():
    first, second = validate(Elbo, {}, "")["beta"], validate(Elbo, {"beta": ONE}, "")["beta"]
    assert first is not second
    assert first is not validate(Elbo, {}, "")["beta"]
    assert ONE is not first
    assert ONE is not second
    moved = Schedule.parse("0->1 over 10 steps")
    moved.advance(Clock(0, 1, 10))
    assert validate(Elbo, {"beta": moved}, "")["beta"].value == 1
    given = [1, 2]
    assert validate(taking(list[int]), {"x": given}, "")["x"] is not given


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (set[int], r"set\[int\] is not one of the types"),
        (list, "list is not one of the types"),
        (Sequence, "Sequence is not one of the types"),
        (tuple[()], "is not one of the types"),
        (dict[int, int], "is not one of the types"),
        (Any, "Any is not one of the types"),
        (Sequence[bytes], "bytes is not one of the types"),
        (Literal[True], "is not one of the types"),
        (str | Path, "text or path, look alike"),
        (str | Annotated[Schedule, Ge(0)] | Path, "look alike"),
        (Sequence[int] | tuple[int, int], "look alike"),
        (Annotated[str, Gt(0)], "'> 0' does not fit text"),
        (Annotated[Sequence[int], Gt(0)], "'> 0' does not fit list of whole numbers"),
        (Annotated[int, Len(1)], "does not fit whole number"),
        (Annotated[int, Predicate(bool)], "not one of the constraints"),
        (Annotated[int, "metres"], "'metres' is not one of the constraints"),
        ("Missing", "'Missing' is not defined"),
        ("1 +", "."),
    ],
)
def test_mistakes_of_an_author(annotation, reason):
    with pytest.raises(PluginError, match=rf"test_options\.taking\.<locals>\.function: x: .*{reason}"):
        options_of(taking(annotation))


def test_broken_signatures():
    class Sink:
        def __init__(self, shape, **kwargs: int):
            pass

    class Rest:
        def __init__(self, *shapes, size: int = 3):
            pass

    class Untyped:
        def __init__(self, *, size=3):
            pass

    with pytest.raises(PluginError, match=r"Sink: \*\*kwargs: int: options must be listed one by one"):
        options_of(Sink)
    with pytest.raises(PluginError, match=r"Rest: \*shapes"):
        options_of(Rest)
    with pytest.raises(PluginError, match="Untyped: size: it has no annotation"):
        options_of(Untyped)
    with pytest.raises(PluginError, match="its default is not allowed: x = None: must be a whole number"):
        options_of(taking(int, None))
    with pytest.raises(PluginError, match="its default is not allowed: x = -1: must be a whole number > 0"):
        options_of(taking(Width, -1))


def test_needs_nothing_heavy():
    code = (
        "import sys\n"
        "from typing import Annotated\n"
        "from annotated_types import Gt\n"
        "from genmod.options.schema import Doc, Text, validate\n"
        "def f(*, x: Annotated[int, Gt(0), Doc('x')] = 1): ...\n"
        "assert validate(f, {'x': Text('3')}, 'data') == {'x': 3}\n"
        "print(*sorted({'torch', 'numpy', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
