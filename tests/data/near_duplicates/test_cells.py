"""Look-alikes of many photos: cells hold near pairs, work is bounded, and what is linked matches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadclear.data.near_duplicates import cells, embeddings, groups, search
from roadclear.data.near_duplicates.cells import MOST_IN_CELL, find_cells
from roadclear.data.near_duplicates.groups import group
from roadclear.data.near_duplicates.rules import COPY

DIMENSIONS = 24


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every number of photos as too many to compare all with all."""
    for module in (embeddings, groups, search):
        monkeypatch.setattr(module, "MOST_COMPARED", 0)


def crowd(n: int, seed: int, spread: float, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Fingerprints and embeddings around 5 centres; a share of the photos are copies of others, a little changed."""
    draw = np.random.default_rng(seed)
    made = draw.normal(size=(5, DIMENSIONS))[draw.integers(0, 5, n)] + spread * draw.normal(size=(n, DIMENSIONS))
    prints = draw.integers(0, 2**64, (n, 2), dtype=np.uint64)
    copies = np.flatnonzero(draw.random(n) < share)
    originals = draw.integers(0, n, len(copies))
    made[copies] = made[originals] + 0.02 * draw.normal(size=(len(copies), DIMENSIONS))
    prints[copies[::2]] = prints[originals[::2]] ^ (
        np.uint64(1) << draw.integers(0, 64, (len(copies[::2]), 1), np.uint64)
    )
    return prints, made.astype(np.float32)


@pytest.mark.parametrize(
    "vectors",
    [
        np.random.default_rng(0).normal(size=(6_000, DIMENSIONS)),
        np.zeros((6_000, DIMENSIONS)),  # nothing divides them
        np.arange(6_000.0)[:, None] ** 3 * np.ones(2),  # most of them near one end
        np.zeros((2, DIMENSIONS)),
        np.zeros((1, DIMENSIONS)),
        np.zeros((0, DIMENSIONS)),
    ],
    ids=["cloud", "one point", "a line", "two", "one", "none"],
)
def test_cells_hold_every_photo_and_grow_with_the_photos(vectors: np.ndarray) -> None:
    found = list(find_cells(vectors.astype(np.float32)))
    held = np.concatenate([np.empty(0, np.intp), *found])
    assert max(map(len, found), default=0) <= MOST_IN_CELL
    assert set(held.tolist()) == (set(range(len(vectors))) if len(vectors) > 1 else set())
    assert len(held) <= 2 * 2**cells._LEVELS * len(vectors)
    assert all((np.diff(cell) > 0).all() for cell in found)


def test_a_cloud_keeps_near_pairs_together() -> None:
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(3_000, DIMENSIONS))
    both = np.concatenate([vectors, vectors + 0.1 * draw.normal(size=vectors.shape)]).astype(np.float32)
    together = np.zeros(3_000, bool)
    for cell in find_cells(both):
        together[np.intersect1d(cell[cell < 3_000], cell[cell >= 3_000] - 3_000)] = True
    assert together.mean() > 0.97


@pytest.mark.usefixtures("many")
def test_the_same_photos_give_the_same_groups() -> None:
    photos = crowd(3_000, seed=0, spread=0.5, share=0.3)
    np.testing.assert_array_equal(group(*photos), group(*photos))


@settings(max_examples=12, deadline=None)
@given(n=st.integers(0, 900), seed=st.integers(0, 9), spread=st.sampled_from([0.0, 0.2, 1.0]))
def test_few_photos_in_one_cell_give_the_exact_groups(n: int, seed: int, spread: float) -> None:
    prints, vectors = crowd(n, seed, spread, share=0.4)
    exact = group(prints, vectors, COPY)
    with pytest.MonkeyPatch.context() as patch:
        for module in (embeddings, groups, search):
            patch.setattr(module, "MOST_COMPARED", 0)
        np.testing.assert_array_equal(group(prints, vectors), exact)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 99))
def test_groups_by_cells_part_exact_groups_and_join_none(seed: int) -> None:
    prints, vectors = crowd(4_000, seed, spread=1.0, share=0.3)
    exact = group(prints, vectors, COPY, largest=4_000)
    with pytest.MonkeyPatch.context() as patch:
        for module in (embeddings, groups, search):
            patch.setattr(module, "MOST_COMPARED", 0)
        found = group(prints, vectors, largest=4_000)
    # Every group lies in one exact group, and nearly all exact groups are found whole.
    assert len(np.unique(np.column_stack([found, exact]), axis=0)) == len(np.unique(found))
    assert len(np.unique(found)) <= 1.02 * len(np.unique(exact))


@pytest.mark.usefixtures("many")
def test_dark_photos_that_share_a_chunk_are_no_flood_of_pairs() -> None:
    draw = np.random.default_rng(0)
    n = 5_000
    prints = draw.integers(0, 2**64, (n, 1), dtype=np.uint64) & ~np.uint64(2**22 - 1)
    prints[n // 2 :] = prints[: n // 2] ^ np.uint64(1 << 40)  # copies with one bit changed
    pairs = 0
    sets = search.DisjointSets(n)
    for a, b in search.near_hashes(prints, COPY.bits, sets):
        pairs += len(a)
        alike = np.bitwise_count(prints[a, 0] ^ prints[b, 0]) <= COPY.bits
        sets.link(a[alike], b[alike])
    assert pairs < 200 * n  # of 12.5 million pairs with that chunk
    roots = sets.roots(np.arange(n))
    np.testing.assert_array_equal(roots[: n // 2], roots[n // 2 :])
