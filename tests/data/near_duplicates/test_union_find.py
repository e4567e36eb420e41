"""Disjoint sets, against a graph search."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from roadclear.data.near_duplicates.union_find import DisjointSets

Links = list[tuple[int, int]]


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, list[Links]]:
    n = draw(st.integers(1, 30))
    link = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    return n, draw(st.lists(st.lists(link, max_size=40), max_size=4))


def join(sets: DisjointSets, links: Links) -> np.ndarray:
    array = np.array(links, dtype=np.intp).reshape(-1, 2)
    return array[sets.join(array[:, 0], array[:, 1])]


def components(n: int, links: Links) -> np.ndarray:
    array = np.array(links, dtype=np.intp).reshape(-1, 2)
    graph = coo_array((np.ones(len(array)), (array[:, 0], array[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1]


@given(batches())
def test_sets_are_connected_components(case: tuple[int, list[Links]]) -> None:
    n, rounds = case
    sets = DisjointSets(n)
    for links in rounds:
        join(sets, links)
    expected = components(n, [link for links in rounds for link in links])
    numbers = sets.numbered()
    assert np.array_equal(numbers[:, None] == numbers, expected[:, None] == expected)


@given(batches())
def test_numbers_come_in_the_order_of_first_items(case: tuple[int, list[Links]]) -> None:
    n, rounds = case
    sets = DisjointSets(n)
    for links in rounds:
        join(sets, links)
    numbers = sets.numbered().tolist()
    assert list(dict.fromkeys(numbers)) == list(range(len(set(numbers))))


@given(batches())
def test_the_links_that_joined_are_a_spanning_forest(case: tuple[int, list[Links]]) -> None:
    n, rounds = case
    sets = DisjointSets(n)
    joined = np.concatenate([np.empty((0, 2), np.intp), *(join(sets, links) for links in rounds)])
    assert len(joined) == n - len(set(sets.numbered().tolist()))
    forest = DisjointSets(n)
    forest.join(joined[:, 0], joined[:, 1])
    assert np.array_equal(forest.numbered(), sets.numbered())


@given(batches())
def test_a_root_is_the_lowest_item(case: tuple[int, list[Links]]) -> None:
    n, rounds = case
    sets = DisjointSets(n)
    for links in rounds:
        join(sets, links)
    numbers, roots = sets.numbered(), sets.roots(np.arange(n))
    for number in np.unique(numbers):
        members = np.flatnonzero(numbers == number)
        assert (roots[members] == members.min()).all()


def test_a_chain_of_a_million() -> None:
    n = 1_000_000
    sets = DisjointSets(n)
    assert len(sets.join(np.arange(n - 1), np.arange(1, n))) == n - 1
    assert (sets.roots(np.arange(n)) == 0).all()


def test_no_items() -> None:
    assert DisjointSets(0).numbered().tolist() == []
