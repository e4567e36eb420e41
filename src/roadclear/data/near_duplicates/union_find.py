"""Disjoint sets of numbered items that are joined link by link, many links at a time."""

import numpy as np
from numpy.typing import NDArray

Items = NDArray[np.intp]


class DisjointSets:
    """A forest over the items 0 to n - 1, in which every tree is a set (Tarjan 1975), on whole arrays.

    Every item points to an item of its set with a lower number, or to itself: then it is the set's root.

    Args:
        n: the number of items, each a set of its own at first.
    """

    def __init__(self, n: int) -> None:
        self._parent = np.arange(n)

    def roots(self, items: Items) -> Items:
        """The root of every item's set, int [m]."""
        while True:
            parents = self._parent[items]
            grandparents = self._parent[parents]
            if np.array_equal(parents, grandparents):
                return parents
            self._parent[items] = grandparents

    def join(self, i: Items, j: Items) -> Items:
        """Join the sets of i[l] and j[l] for every link l.

        Args:
            i: int [m].
            j: int [m].

        Returns:
            The links that joined two sets, int [at most m]: a spanning forest of what was joined.
        """
        joined = [np.empty(0, dtype=np.intp)]
        links = np.arange(len(i))
        while len(links):
            a, b = self.roots(i[links]), self.roots(j[links])
            apart = a != b
            links, low, high = links[apart], np.minimum(a, b)[apart], np.maximum(a, b)[apart]
            # A root is hung below one other at a time; links that lose out meet again in the next round.
            hung, first = np.unique(high, return_index=True)
            self._parent[hung] = low[first]
            self.roots(hung)
            joined.append(links[first])
        return np.concatenate(joined)

    def numbered(self) -> Items:
        """The set of every item, int [n], numbered from 0 in the order of their first items."""
        # A root has the lowest number in its set.
        return np.asarray(np.unique(self.roots(np.arange(len(self._parent))), return_inverse=True)[1], dtype=np.intp)
