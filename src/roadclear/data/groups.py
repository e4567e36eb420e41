"""What keeps photos together in a split: one content, one look, one scene, and what the user adds."""

import re
from collections.abc import Collection, Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.settings import GroupSettings

Link = tuple[str, str]


def links_of(photo: LabelledPhoto, settings: GroupSettings) -> list[Link]:
    """What links a photo to others: photos that share a link belong to one group."""
    links: list[Link] = []
    if photo.scene is not None:
        links.append(("scene", photo.scene))
    if settings.group_by_page and photo.page is not None:
        links.append(("page", photo.page))
    if settings.group_by_author and photo.author is not None:
        links.append(("author", photo.author))
    found = re.search(settings.group_by, photo.file) if settings.group_by is not None else None
    if found is not None:
        links.append(("name", found.group(1 if found.re.groups else 0) or ""))
    return links


def group_photos(
    photos: Sequence[LabelledPhoto], hashes: Sequence[str], look_alikes: NDArray[np.intp], settings: GroupSettings
) -> NDArray[np.intp]:
    """Number the groups that a split must not part (connected components of all ties).

    Args:
        photos: [n] photos.
        hashes: [n] SHA-256 of their files.
        look_alikes: int [n], components of photos that look alike.
        settings: what else links photos.

    Returns:
        int [n], numbered in order of first appearance.
    """
    everything = zip(photos, hashes, look_alikes.tolist(), strict=True)
    return group_ids([
        [("content", sha256), ("look", str(component)), *links_of(photo, settings)] for photo, sha256, component in everything
    ])  # fmt: skip


def one_sided_sources(photos: Iterable[LabelledPhoto]) -> dict[str, str]:
    """Source -> its only label, for sources with photos of one label only: a model may learn the source instead.

    With a single source there is nothing to learn from it, so none is named.
    """
    labels: dict[str, set[str]] = {}
    for photo in photos:
        if photo.source is not None:
            labels.setdefault(photo.source, set()).add(photo.label)
    if len(labels) < 2:
        return {}
    return {source: next(iter(found)) for source, found in sorted(labels.items()) if len(found) == 1}


def group_ids(ties: Sequence[Collection[Hashable]]) -> NDArray[np.intp]:
    """Number the groups of photos that are tied together, directly or through others.

    Args:
        ties: for every photo, what ties it to others: two photos that share a tie are in one group, and so
            are the photos tied to either (connected components).

    Returns:
        int [n], numbered in order of first appearance; a photo without ties is a group of its own.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    columns: dict[Hashable, int] = {}
    pairs = [(row, columns.setdefault(tie, len(columns))) for row, keys in enumerate(ties) for tie in keys]
    n = len(ties)
    rows = np.array([row for row, _ in pairs], dtype=np.intp)
    cols = np.array([n + col for _, col in pairs], dtype=np.intp)
    nodes = n + len(columns)
    graph = coo_array((np.ones(len(pairs), dtype=bool), (rows, cols)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component[:n], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
