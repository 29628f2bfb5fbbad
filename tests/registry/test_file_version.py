"""The version of a file plugin: the same for the same program, another for any other."""

import hashlib

import pytest

from genmod.registry.file_version import file_version, same_program, shortened

PROGRAM = b"""
class Mine:
    def forward(self, x):
        return 2.0 * x + 1
"""

SAME = {
    "a comment": PROGRAM + b"# by me\n",
    "another layout": b"class Mine:\n\n  def forward(self, x,\n    ):\n      return (2.0*x) + 1\n",
    "a docstring": PROGRAM.replace(b":\n    def", b':\n    "Mine."\n    def'),
    "the explanation of an attribute": b"x = 1\n".join([b"", PROGRAM]).replace(b"x = 1\n", b"'what it is'\n"),
}
OTHER = {
    "a number": PROGRAM.replace(b"2.0", b"2.5"),
    "an int for a float": PROGRAM.replace(b"2.0", b"2"),
    "a sign": PROGRAM.replace(b"+", b"-"),
    "a text that is used": PROGRAM.replace(b"+ 1", b"+ len('one')"),
    "brackets that count": PROGRAM.replace(b"2.0 * x + 1", b"2.0 * (x + 1)"),
    "one more statement": PROGRAM + b"x = 1\n",
    "None for nothing": PROGRAM.replace(b"return 2.0 * x + 1", b"return None"),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_same_program(content):
    assert content != PROGRAM
    assert same_program(file_version(PROGRAM), file_version(content))


@pytest.mark.parametrize("content", OTHER.values(), ids=OTHER)
def test_other_program(content):
    assert not same_program(file_version(PROGRAM), file_version(content))


def test_a_record_of_bytes_alone_is_that_of_the_bytes():
    """As earlier versions of genmod wrote it."""
    old = f"sha256:{hashlib.sha256(PROGRAM).hexdigest()}"
    assert file_version(PROGRAM).startswith(old)
    assert same_program(old, file_version(PROGRAM))
    assert not same_program(old, file_version(SAME["a comment"]))


@pytest.mark.parametrize("content", [b"x = (", b"\x00", b"(" * 9000, b"a+" * 50_000 + b"a"])
def test_what_is_no_program_is_compared_by_its_bytes(content):
    version = file_version(content)
    assert "+code:" not in version
    assert same_program(version, version)
    assert not same_program(version, file_version(content + b" "))


def test_the_program_is_recorded_alike_by_every_python():
    """A fixed checksum: what newer versions of Python add to a syntax tree must not change it."""
    source = b"def f(x: int, *, y: float = 1.5) -> str:\n    return f'{x:>{y}}' if x else \"\"\n"
    assert file_version(source).partition("+code:")[2][:12] == "5dec1251a5d8"


def test_what_is_shown():
    assert shortened(file_version(b"x = 1")) == "sha256:" + hashlib.sha256(b"x = 1").hexdigest()[:12]
    assert shortened("1.0.0") == "1.0.0"
