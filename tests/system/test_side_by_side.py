"""Pieces of work in several threads: the same numbers, everything as it was afterwards."""

import threading

import pytest
import torch

from genmod.model.evaluating import evaluating
from genmod.system.memory import all_rows_at_once, are_all_rows_at_once
from genmod.system.side_by_side import SideBySide


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_pieces_are_done_in_threads_that_have_what_is_set_here():
    seen = {}

    def work(piece):
        names = threading.current_thread().name, torch.is_grad_enabled(), are_all_rows_at_once()
        seen[piece] = (*names, torch.get_num_threads())

    with evaluating(torch.nn.Identity()), all_rows_at_once(), SideBySide(torch.device("cpu")) as side:
        side.start(work, range(20))()
    assert sorted(seen) == list(range(20))
    assert {each[1:] for each in seen.values()} == {(False, True, 1)}
    assert seen[0][0] == "MainThread"
    assert all(seen[i][0].startswith("piece") for i in range(1, 20))
    assert torch.get_num_threads() == 2


def test_what_draws_is_done_in_order():
    found = torch.zeros(50)
    with SideBySide(torch.device("cpu")) as side:
        torch.manual_seed(0)
        side.start(lambda i: found[i].copy_(torch.rand(())), range(50))()
    torch.manual_seed(0)
    assert torch.equal(found, torch.stack([torch.rand(()) for _ in range(50)]))


def test_an_error_in_a_piece_is_raised_and_threads_are_as_before():
    def work(piece):
        if piece == 3:
            raise ArithmeticError("piece 3")

    with pytest.raises(ArithmeticError, match="piece 3"), SideBySide(torch.device("cpu")) as side:
        side.start(work, range(9))()
    assert torch.get_num_threads() == 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("piece")]


def test_one_thread_where_others_would_not_be_seen_or_are_no_use():
    from torch.utils._python_dispatch import TorchDispatchMode

    assert SideBySide(torch.device("cpu")).workers == 2
    assert SideBySide(torch.device("meta")).workers == 1
    with TorchDispatchMode():
        assert SideBySide(torch.device("cpu")).workers == 1
    torch.set_num_threads(1)
    assert SideBySide(torch.device("cpu")).workers == 1
