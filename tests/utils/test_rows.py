"""Rows in a file are the rows in memory, however they are chosen, written and computed."""

import os
import tempfile
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from roadclear.errors import OutputError
from roadclear.utils import rows as module
from roadclear.utils.rows import StoredRows, by_blocks, new_rows, take

N = 40
HELD = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
places = st.lists(st.integers(0, N - 1), max_size=2 * N).map(lambda found: np.array(found, dtype=np.intp))
slices = st.builds(slice, *[st.none() | st.integers(-N, N)] * 2, st.none() | st.integers(1, 4))


def stored(held: np.ndarray) -> StoredRows:
    made = StoredRows.create((len(held), held.shape[1]))
    made[:] = held
    return made


@given(places | slices | arrays(np.bool_, N))
def test_chosen_rows_are_those_of_the_array(chosen: np.ndarray | slice) -> None:
    np.testing.assert_array_equal(stored(HELD)[chosen], HELD[chosen])


@given(places, places)
def test_rows_of_chosen_rows(first: np.ndarray, second: np.ndarray) -> None:
    second = second[second < len(first)]
    chosen = stored(HELD).take(first)
    assert chosen.shape == (len(first), 3)
    np.testing.assert_array_equal(chosen[second], HELD[first][second])


@given(st.permutations(range(N)))
def test_rows_are_written_in_any_order(order: list[int]) -> None:
    made = StoredRows.create(HELD.shape)
    for part in np.array_split(np.array(order), 5):
        made[part] = HELD[part]
    np.testing.assert_array_equal(made[:], HELD)


def test_many_rows_are_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 20)
    assert isinstance(new_rows((20, 3)), np.ndarray)
    whole = new_rows((N, 3))
    assert isinstance(whole, StoredRows)
    whole[:] = HELD
    few, many = take(whole, np.arange(20)), take(whole, np.arange(21))
    assert isinstance(few, np.ndarray)
    assert isinstance(many, StoredRows)
    np.testing.assert_array_equal(few, HELD[:20])
    np.testing.assert_array_equal(many[:], HELD[:21])


@pytest.mark.parametrize("hold", [lambda held: held, stored])
@pytest.mark.parametrize("size", [1, 7, N, 2 * N])
def test_blocks_give_the_whole(hold: Callable[[np.ndarray], np.ndarray | StoredRows], size: int) -> None:
    np.testing.assert_array_equal(by_blocks(lambda part: part.sum(axis=1), hold(HELD), size), HELD.sum(axis=1))


def test_a_file_that_finds_no_room_is_refused() -> None:
    free = os.statvfs(tempfile.gettempdir())
    with pytest.raises(OutputError, match="room"):
        StoredRows.create((free.f_bavail * free.f_frsize // 4, 2))


def test_a_file_that_was_cut_short_is_an_error() -> None:
    made = stored(HELD)
    os.ftruncate(made._file.fileno(), 100)
    with pytest.raises(OutputError, match="cut short"):
        made[:]
