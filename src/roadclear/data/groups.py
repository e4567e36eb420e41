"""Groups: photos that stay in one split, because they share content, look, scene or a link that the user names."""

import re
from array import array
from collections.abc import Collection, Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.near_duplicates.union_find import DisjointSets
from roadclear.data.settings import GroupSettings

Link = tuple[str, str]


def links_of(photo: LabelledPhoto, settings: GroupSettings) -> list[Link]:
    """List the links of a photo. Photos that share a link belong to one group."""
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
    """Number the groups that a split must keep together: the connected components of all links.

    Args:
        photos: [n] photos.
        hashes: [n] SHA-256 of the photos' files.
        look_alikes: int [n], components of near-duplicates.
        settings: further links between photos.

    Returns:
        int [n], group numbers in order of first appearance.
    """
    contents = ((("content", sha256), *links_of(photo, settings)) for photo, sha256 in zip(photos, hashes, strict=True))
    return group_ids(contents, look_alikes)


def scene_groups(photos: Sequence[LabelledPhoto]) -> NDArray[np.intp] | None:
    """Number the groups of photos that share a scene: int [n]; None where no scene is named."""
    if all(photo.scene is None for photo in photos):
        return None
    return group_ids([links_of(photo, GroupSettings()) for photo in photos])


def sample_groups(groups: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    """Draw groups at random until there are so many photos. Of a group of more than a tenth of them, a tenth is drawn.

    Args:
        groups: int [n], group numbers.
        most: number of photos to draw.
        seed: random seed.

    Returns:
        int [most], positions of the photos in ascending order; all positions where n is not above `most`.
    """
    draw = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    turn = draw.permutation(group.max(initial=-1) + 1)[group]
    order = np.lexsort((draw.random(len(groups)), turn))
    starts = np.flatnonzero(np.diff(turn[order], prepend=-1))
    within = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    kept = order if len(order) <= most else order[within < max(most // 10, 1)]
    return np.sort(kept[:most])


def one_sided_sources(photos: Iterable[LabelledPhoto]) -> dict[str, str]:
    """Find sources with photos of one label only: a model may learn the source instead of the label.

    A single source distinguishes nothing, so the result is then empty.

    Returns:
        Source -> its only label.
    """
    labels: dict[str, set[str]] = {}
    for photo in photos:
        if photo.source is not None:
            labels.setdefault(photo.source, set()).add(photo.label)
    if len(labels) < 2:
        return {}
    return {source: next(iter(found)) for source, found in sorted(labels.items()) if len(found) == 1}


def group_ids(links: Iterable[Collection[Hashable]], known: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
    """Number the connected components of photos that share links.

    Args:
        links: [n] links of every photo. Two photos with a common link are in one group.
        known: int [n], numbers of groups that are known already; None for none.

    Returns:
        int [n], group numbers in order of first appearance. A photo without links is a group of its own.
    """
    firsts: dict[Hashable, int] = {}
    later, earlier, photos = array("q"), array("q"), 0
    for photo, keys in enumerate(links):
        photos = photo + 1
        for link in keys:
            first = firsts.setdefault(link, photo)
            if first != photo:
                later.append(photo)
                earlier.append(first)
    sets = DisjointSets(photos)
    sets.join(np.array(later, dtype=np.intp), np.array(earlier, dtype=np.intp))
    if known is not None:
        _, first_of, group = np.unique(known, return_index=True, return_inverse=True)
        sets.join(np.arange(photos), first_of[group])
    return sets.numbered()
