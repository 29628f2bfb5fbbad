"""``genmod show --contract KIND``, as authors of components read it."""

import json

import pytest

from genmod.registry.component import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_command(genmod, kind):
    done = genmod("show", "--contract", kind)
    assert (done.code, done.err) == (0, "")
    document = json.loads(genmod("show", "--contract", kind, "--json").out)
    for each in (*document["attributes"], *document["methods"]):
        assert f"    {each['name']}{'(' if each['kind'] == 'method' else ':'}" in done.out
    for law in document["checks"]:
        assert law["law"].replace("``", "`") in done.out
    assert document["template"] in done.out
    assert ":class:" not in done.out.partition("example, by")[0]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("decoder", ["parameter_shape: tuple[int, ...]", "normalised", "Schedule", "Sequence[T]"]),
        ("posterior", ["support: Constraint | None", "has_density: bool = True"]),
        (
            "posterior",
            ["genmod.distributions.drawn_by_logit(logit: Tensor) -> Tensor", "finite at any finite logit"],
        ),
        ("dataset", ["genmod.data.tenths("]),
        (
            "divergence",
            ["batch_statistics: Literal['none', 'global', 'local'] = 'none'", "system.batch_mean(x"],
        ),
        ("metric", ["main: str = ''", "fid[pixel]", "better: `higher`, `lower`"]),
        ("dataset", ["missing: whether values may be missing", "everything() -> Split | None"]),
        (
            "encoder",
            ["migrate(options", "check_cases: Any", "expected_failures: check → why", "revision: raised"],
        ),
    ],
)
def test_what_authors_looked_for_in_the_source(genmod, kind, words):
    out = genmod("show", "--contract", kind).out
    for each in words:
        assert each in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("decoder", "no decoder is named"),
        ("decoder gaussian --contract", "--contract explains a kind, and 'gaussian' is a component"),
        ("--contract decodr", "did you mean decoder"),
    ],
)
def test_what_is_refused(genmod, line, said):
    done = genmod("show", *line.split())
    assert (done.code, done.out) == (2, "")
    assert said in done.err
