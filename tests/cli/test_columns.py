"""Tables on a terminal: whole numbers, whole names, no line that is too long, and nothing left out."""

import pytest

from genmod.cli.columns import laid_out, wrapped

HEAD = ["test", "value", "standard error", "unit", "examples", "details"]
ROWS = [
    ["elbo", "-45.219", "0.018", "nats", "1,000,000", "samples 10"],
    [
        "bits_per_dim[100]",
        "1.016",
        "0.000351",
        "bits",
        "250",
        "samples 100, effective 73.422, of draws 1,234,567",
    ],
    ["active_units", "nan", "-", "", "250", "of 16, at 1e-05; see results/2026/table.csv"],
]
WIDTHS = (60, 80, 120)


@pytest.mark.parametrize("width", [20, 34, *WIDTHS])
def test_nothing_is_cut_and_no_line_is_too_long(width):
    head, body = laid_out(HEAD, ROWS, width)
    lines = [*head, *body]
    assert max(map(len, lines)) <= width
    shown = " ".join(lines)
    for cell in (cell for row in ROWS for cell in row[:5] if cell):
        if len(cell) <= width // 2:
            assert cell in shown
    for number in ("73.422,", "1,234,567", "1e-05;"):
        assert number in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_stays_a_table_where_there_is_room(width):
    head, body = laid_out(HEAD[:5], [row[:5] for row in ROWS], width)
    assert head[0].split()[:2] == ["test", "value"]
    assert len(body) == len(ROWS)
    ends = {line.index(row[1]) + len(row[1]) for line, row in zip(body, ROWS, strict=True)}
    assert len(ends) == 1, "numbers end in one column"


def test_without_room_a_table_is_a_list_of_names_and_values():
    head, body = laid_out(["directory", "status"], [["a" * 30, "finished"], ["b", ""]], 34)
    assert head == []
    assert body == ["directory  " + "a" * 23, " " * 11 + "a" * 7, "status     finished", "", "directory  b"]


def test_columns_without_values_are_left_out_and_wide_letters_take_two_columns():
    head, body = laid_out(["name", "empty", "what"], [["模型", "", "x"], ["abcd", "", "y"]], 80)
    assert [*head, *body] == ["name  what", "模型  x", "abcd  y"]


@pytest.mark.parametrize("rows", [[], [["", ""]]])
def test_a_table_of_nothing_has_a_head(rows):
    assert laid_out(["a", "b"], rows, 80)[0] == ["a  b"]
    laid_out(["a", "b"], rows, 3)


@pytest.mark.parametrize("width", range(1, 40))
def test_wrapped_text_loses_no_letter(width):
    text = "one of silu, relu, in runs/a/long-path/model or 1,234,567 of 模型模型"
    lines = wrapped(text, width, cut=True)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(map(len, lines)) <= width
    if width > 10:
        assert any("1,234,567" in line for line in lines)


def test_a_word_that_is_longer_than_the_line_stays_whole_in_a_text():
    assert wrapped("see /a/path/to/it there", 8) == ["see", "/a/path/to/it", "there"]
