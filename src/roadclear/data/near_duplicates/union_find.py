"""Disjoint sets of numbered items, joined by many links at a time."""

import numpy as np
from numpy.typing import NDArray

Items = NDArray[np.intp]

NO_LINKS: Items = np.empty((0, 2), dtype=np.intp)


class DisjointSets:
    """Forest over the items 0 to n - 1, in which every tree is a set (Tarjan 1975), on whole arrays.

    Every item points to an item of its set with a lower number. The root of a set points to itself.

    Args:
        n: number of items. Each item is a set of its own at first.
    """

    def __init__(self, n: int) -> None:
        self._parent = np.arange(n)

    def roots(self, items: Items) -> Items:
        """Return the root of every item's set, int [m]."""
        while True:
            parents = self._parent[items]
            grandparents = self._parent[parents]
            if np.array_equal(parents, grandparents):
                return parents
            self._parent[items] = grandparents

    def join(self, i: Items, j: Items) -> Items:
        """Join the sets of i[l] and j[l] for every link l.

        Args:
            i: int [m], items.
            j: int [m], items.

        Returns:
            int [at most m], numbers of the links that joined two sets: a spanning forest.
        """
        joined = [np.empty(0, dtype=np.intp)]
        links = np.arange(len(i))
        while len(links):
            a, b = self.roots(i[links]), self.roots(j[links])
            apart = a != b
            links, low, high = links[apart], np.minimum(a, b)[apart], np.maximum(a, b)[apart]
            # A root is joined to one other root in a round. The remaining links are tried again in the next round.
            hung, first = np.unique(high, return_index=True)
            self._parent[hung] = low[first]
            self.roots(hung)
            joined.append(links[first])
        return np.concatenate(joined)

    def link(self, i: Items, j: Items) -> Items:
        """Join the sets of i and j, see `join`. Return the links that joined two sets, int [m, 2], lower item first."""
        joined = self.join(i, j)
        return np.column_stack([np.minimum(i, j)[joined], np.maximum(i, j)[joined]])

    def numbered(self) -> Items:
        """Return the set of every item, int [n], numbered from 0 in the order of first items."""
        # A root has the lowest number in its set.
        return np.asarray(np.unique(self.roots(np.arange(len(self._parent))), return_inverse=True)[1], dtype=np.intp)
