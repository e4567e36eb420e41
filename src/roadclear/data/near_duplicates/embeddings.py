"""Links between photos whose embeddings are alike, or both embeddings and hashes.

Up to 100,000 photos are compared all with all, in tiles of a matrix product. The search is exact: no matching pair is
missed, except pairs whose photos are in one set already. docs/adr/0042-look-alikes-in-tiles.md has the measurements.
More photos are compared within overlapping cells, and pairs that no cell holds are missed:
docs/adr/0056-a-million-photos.md.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.near_duplicates.cells import find_cells
from roadclear.data.near_duplicates.rules import MOST_COMPARED, Rule, hash_distance
from roadclear.data.near_duplicates.union_find import NO_LINKS, DisjointSets, Items
from roadclear.utils.arrays import unit
from roadclear.utils.rows import Rows
from roadclear.utils.threads import available_cores, one_thread, ordered_map

_TILE = 1024
_SKETCH_DIMENSIONS = 192
_SKETCH_SAMPLE = 768
# Bounds and products in float32 are off by less.
_ROUNDING = 1e-4
# A product of whole embeddings costs as much as so many exact comparisons of pairs.
_PAIRS_WORTH_A_PRODUCT = _TILE * _TILE // 64
_PAIRS_AT_A_TIME = 512
_STRIP = 128
_SHORTEST = np.float32(1e-30)


@dataclass(frozen=True, eq=False)
class Looks:
    """What is compared of n photos.

    Attributes:
        fingerprints: uint64 [n, k], see `roadclear.images.phash`.
        embeddings: float32 [at least n, d]. A row of zeros is like no other row.
        rows: int [n], rows of the photos in `embeddings`.
    """

    fingerprints: NDArray[np.uint64]
    embeddings: Rows
    rows: Items

    def of(self, photos: Items) -> NDArray[np.float32]:
        """Return embeddings of photos, float32 [m, d]."""
        found: NDArray[np.float32] = self.embeddings[self.rows[photos]]
        return found

    def units(self, photos: Items) -> NDArray[np.float32]:
        """Return embeddings of photos at length 1, float32 [m, d]."""
        return unit(self.of(photos))

    def bits(self, i: Items, j: Items) -> NDArray[np.uint8]:
        """Count the bits in which the hashes of pairs differ, uint8 [m]."""
        return hash_distance(self.fingerprints[i], self.fingerprints[j])


@dataclass(frozen=True, eq=False)
class _Tile:
    """Pairs of some photos with others.

    Attributes:
        above, beside: photos of the tile's rows and columns, int [h] and [w].
        above_sketch, beside_sketch: sketches of the photos, float32 [h, s] and [w, s].
        sets: number of each photo's set, int [h + w]. Pairs of one set are not compared.
    """

    above: Items
    beside: Items
    above_sketch: NDArray[np.float32]
    beside_sketch: NDArray[np.float32]
    sets: Items


def embedding_links(looks: Looks, rule: Rule, sets: DisjointSets) -> Items:
    """Link photos that match by their embeddings, and join their sets.

    Memory beside the arguments: 0.8 KB a photo, and at most some 100 MB a core.

    Args:
        looks: photos.
        rule: when two photos look alike.
        sets: sets of photos that are known to belong together. Pairs with near hashes are in one set already.

    Returns:
        int [m, 2], links that joined two sets.
    """
    links = [NO_LINKS]
    # One thread a tile: the threads of a small product would wait for each other longer than they work.
    with one_thread():
        compare = _Comparison(looks, rule)
        tiles = (_tiles if len(looks.rows) <= MOST_COMPARED else _cell_tiles)(looks, sets)
        # Few tiles are taken ahead: what a tile connects makes later tiles cheaper.
        with closing(ordered_map(compare, tiles, available_cores(), lookahead=1)) as found:
            links += [sets.link(pairs[:, 0], pairs[:, 1]) for pairs in found]
    return np.concatenate(links)


def _tiles(looks: Looks, sets: DisjointSets) -> Iterator[_Tile]:
    """Cut the table of all pairs into tiles. Tiles of photos of one set are left out."""
    order = np.argsort(sets.roots(np.arange(len(looks.rows))), kind="stable")
    sketch = _sketch(looks, order)
    for top in range(0, len(order), _TILE):
        for left in range(top, len(order), _TILE):
            above, beside = order[top : top + _TILE], order[left : left + _TILE]
            roots = sets.roots(np.concatenate([above, beside]))
            if (roots != roots[0]).any():
                yield _Tile(above, beside, sketch[top : top + _TILE], sketch[left : left + _TILE], roots)


def _cell_tiles(looks: Looks, sets: DisjointSets) -> Iterator[_Tile]:
    """Make a tile of every cell. Cells of photos of one set are left out."""
    sketch = _sketch(looks, np.arange(len(looks.rows)))
    for cell in find_cells(sketch):
        roots = sets.roots(np.concatenate([cell, cell]))
        if (roots != roots[0]).any():
            yield _Tile(cell, cell, sketch[cell], sketch[cell], roots)


def _sketch(looks: Looks, order: Items) -> NDArray[np.float32]:
    """Compute short vectors whose inner products are never below the cosines of the embeddings.

    Let P project on orthonormal directions, and let r be the rest of a unit vector. Then x.y = Px.Py + r_x.r_y, which
    is at most Px.Py + |r_x| |r_y| (Cauchy-Schwarz). The directions are the principal directions of a sample, so the
    rest is small. Bad directions would cost time, and no pair.

    Returns:
        float32 [n, 193], in the given order: Px and |r_x|; the unit vectors themselves if they are few or not longer.
    """
    n, dimensions = len(order), looks.embeddings.shape[1]
    if n <= 2 * _TILE or dimensions <= _SKETCH_DIMENSIONS:
        return looks.units(order)
    sample = looks.units(np.arange(0, n, -(-n // _SKETCH_SAMPLE)))
    # Combinations of the sample's rows by the largest eigenvalues. QR makes them orthonormal, whatever the rank.
    combined = sample.T @ np.linalg.eigh(sample @ sample.T)[1][:, -_SKETCH_DIMENSIONS:]
    directions = np.linalg.qr(combined)[0]
    sketch = np.empty((n, directions.shape[1] + 1), dtype=np.float32)
    for start in range(0, n, _TILE):
        part = sketch[start : start + _TILE]
        part[:, :-1] = looks.units(order[start : start + _TILE]) @ directions
        part[:, -1] = np.sqrt(np.maximum(1 - np.einsum("ij,ij->i", part[:, :-1], part[:, :-1]), 0))
    return sketch


class _Comparison:
    """Comparison of all pairs of a tile. Several threads may call an object at once.

    Args:
        looks: photos.
        rule: when two photos look alike.
    """

    def __init__(self, looks: Looks, rule: Rule) -> None:
        self._looks = looks
        self._rule = rule
        self._least = rule.joint_cosine - _ROUNDING
        self._lengths = np.empty(len(looks.rows), dtype=np.float32)
        for start in range(0, len(looks.rows), _TILE):
            part = np.arange(start, min(start + _TILE, len(looks.rows)))
            self._lengths[part] = np.maximum(np.linalg.norm(looks.of(part), axis=1), _SHORTEST)

    def __call__(self, tile: _Tile) -> Items:
        """Return links int [m, 2] that connect what all matching pairs of the tile connect."""
        bounds = tile.above_sketch @ tile.beside_sketch.T
        near = bounds >= self._least
        whole = self._is_product_worth(tile, near)
        if whole:
            bounds = self._looks.units(tile.above) @ self._looks.units(tile.beside).T
            near &= bounds >= self._least
        sets, places = _sets_of(tile)
        links = [NO_LINKS]
        # Strips keep memory flat where many pairs are near. Pairs that a strip has connected are skipped by the next.
        for top in range(0, len(near), _STRIP if whole else _TILE):
            strip = slice(top, top + (_STRIP if whole else _TILE))
            i, j = np.divmod(np.flatnonzero(near[strip]), near.shape[1])
            i += top
            apart = sets.roots(places[i]) != sets.roots(places[len(near) + j])
            i, j = i[apart], j[apart]
            alike = (self._match if whole else self._compare)(tile.above[i], tile.beside[j], bounds[i, j])
            i, j = i[alike], j[alike]
            joined = sets.join(places[i], places[len(near) + j])
            links.append(np.column_stack([tile.above[i[joined]], tile.beside[j[joined]]]))
        return np.concatenate(links)

    def _is_product_worth(self, tile: _Tile, near: NDArray[np.bool_]) -> bool:
        """Whether a product of all pairs costs less than the comparison of the near pairs of different sets."""
        if np.count_nonzero(near) <= _PAIRS_WORTH_A_PRODUCT:
            return False
        apart = tile.sets[: len(near), np.newaxis] != tile.sets[len(near) :]
        return bool(np.count_nonzero(near & apart) > _PAIRS_WORTH_A_PRODUCT)

    def _compare(self, a: Items, b: Items, bounds: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Decide which pairs match, bool [m], from upper bounds of their cosines."""
        # The hashes come first: they are shorter.
        alike = self._rule.matches(self._looks.bits(a, b), bounds + _ROUNDING)
        a, b = a[alike], b[alike]
        cosines = _products(self._looks.of, a, b) / (self._lengths[a] * self._lengths[b])
        alike[alike] = self._match(a, b, cosines)
        return alike

    def _match(self, a: Items, b: Items, cosines: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Decide which pairs match, bool [m]. Cosines that are too near a limit are computed by the definition."""
        bits = self._looks.bits(a, b)
        alike = self._rule.matches(bits, cosines - _ROUNDING)
        doubtful = np.flatnonzero(self._rule.matches(bits, cosines + _ROUNDING) & ~alike)
        exact = _products(self._looks.units, a[doubtful], b[doubtful])
        alike[doubtful] = self._rule.matches(bits[doubtful], exact)
        return alike


def _sets_of(tile: _Tile) -> tuple[DisjointSets, Items]:
    """Make sets for the photos of a tile, and return each photo's item in them, int [h + w]."""
    places = np.unique(tile.sets, return_inverse=True)[1]
    return DisjointSets(len(places)), places


def _products(vectors: Callable[[Items], NDArray[np.float32]], a: Items, b: Items) -> NDArray[np.float32]:
    """Compute inner products of the vectors of pairs, float32 [m]."""
    products = np.empty(len(a), dtype=np.float32)
    for start in range(0, len(a), _PAIRS_AT_A_TIME):
        some = slice(start, start + _PAIRS_AT_A_TIME)
        products[some] = np.einsum("ij,ij->i", vectors(a[some]), vectors(b[some]))
    return products
