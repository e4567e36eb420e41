"""Copies: which photos are one picture, and which copy is the best.

Copies are photos with the same pixels, whatever the format or the metadata. Under one label, copies are also photos
that look alike by perceptual hash or embedding: one picture in several sizes, qualities or colours, mirrored, lightly
cropped, turned or framed. If more than a tenth of the photos resemble each other to the network, one camera took them
or one hand drew them. Among such photos only the hashes count.

Frames of one scene in the manifest look alike because one camera took them, and differ in what matters. Two frames of
a scene are copies only if their pixels are the same.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from roadclear.curation.inspection import LOSSLESS, InspectedPhoto
from roadclear.data.groups import group_ids
from roadclear.data.near_duplicates.groups import group, largest_expected
from roadclear.data.near_duplicates.rules import COPY, SAME_SHOT, hash_distance
from roadclear.utils.arrays import unit

# Under both labels it takes more to be one picture, since an error loses the photos that tell most: frames of a fixed
# camera with and without people. In 61 labelled frames of one, 10% of the pairs with different labels differ in at
# most 6 bits and none in less than 4; 97% of 131 pictures halved, or saved at JPEG quality 20, differ in at most 2.
_BITS_UNDER_BOTH_LABELS = SAME_SHOT.bits

Group = list[InspectedPhoto]
"""Copies of one picture, the best copy first."""


def copy_groups(pictures: Sequence[InspectedPhoto], embeddings: NDArray[np.float32] | None) -> list[Group]:
    """Group the copies among pictures.

    Within a label, a group is one picture and its direct copies. Likeness is not transitive: in a clip each frame
    resembles the next, but not the last.

    Args:
        pictures: pictures of a folder [n].
        embeddings: float32 [n, 1280], embeddings of the plain pictures; None if only equal pixels make copies.

    Returns:
        The groups of two and more pictures. The groups do not depend on the order of the pictures. Suppose the best
        picture of each group stays, or none where the labels in the group differ: then no copies are left.
    """
    same = _same_pixels(pictures)
    if embeddings is not None and same:
        row = {id(picture): i for i, picture in enumerate(pictures)}
        best = [copies[0] for copies in same]
        likeness = _Likeness(best, embeddings[[row[id(picture)] for picture in best]])
        conflicts = list(_conflicts(same, likeness))
        stars = _stars(likeness, taken={number for numbers in conflicts for number in numbers})
        same = [[picture for number in numbers for picture in same[number]] for numbers in [*conflicts, *stars]]
    return [sorted(copies, key=_rank) for copies in same if len(copies) > 1]


def labels_differ(copies: Group) -> bool:
    """Whether a picture has copies under both labels."""
    return len({picture.photo.label for picture in copies}) > 1


def _same_pixels(pictures: Sequence[InspectedPhoto]) -> list[Group]:
    """Group pictures with equal pixels, the group with the best picture first. A group may have one picture."""
    groups: dict[bytes, Group] = {}
    for picture in sorted(pictures, key=_rank):
        groups.setdefault(picture.look.pixels, []).append(picture)
    return list(groups.values())


class _Likeness:
    """Likeness among n pictures."""

    def __init__(self, pictures: Sequence[InspectedPhoto], embeddings: NDArray[np.float32]) -> None:
        self.labels = np.array([picture.photo.label for picture in pictures])
        self._hashes = np.array([picture.look.fingerprint for picture in pictures])
        self._embeddings = unit(embeddings)
        self._scenes = np.array([picture.photo.scene or "" for picture in pictures])

    def of(self, i: int) -> NDArray[np.intp]:
        """Return the pictures that look like picture i, as indices."""
        others = self._blocks[self._block_of[i]]
        distance = hash_distance(np.broadcast_to(self._hashes[i], self._hashes[others].shape), self._hashes[others])
        same_label = self.labels[others] == self.labels[i]
        copies = distance <= COPY.bits
        if len(others) <= largest_expected(len(self.labels)):
            copies = COPY.matches(distance, self._embeddings[others] @ self._embeddings[i])
        alike = np.where(same_label, copies, distance <= _BITS_UNDER_BOTH_LABELS)
        one_scene = (self._scenes[others] == self._scenes[i]) & (self._scenes[i] != "")
        chosen: NDArray[np.intp] = others[alike & ~one_scene & (others != i)]
        return chosen

    @cached_property
    def _block_of(self) -> NDArray[np.intp]:
        """Number of each picture's block. Pictures of two blocks never look alike."""
        return group(self._hashes, self._embeddings, COPY, largest=len(self._hashes))

    @cached_property
    def _blocks(self) -> list[NDArray[np.intp]]:
        order = np.argsort(self._block_of, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self._block_of))[:-1])


def _conflicts(same: Sequence[Group], likeness: _Likeness) -> Iterator[list[int]]:
    """Yield groups of pictures under both labels, with all pictures that look like them."""
    links: list[list[int]] = [[] for _ in same]
    for i, copies in enumerate(same):
        alike = likeness.of(i)
        if labels_differ(copies) or (likeness.labels[alike] != likeness.labels[i]).any():
            for j in (i, *alike.tolist()):
                links[j].append(i)
    groups = group_ids(links)
    for number in dict.fromkeys(groups[i] for i, linked in enumerate(links) if linked):
        yield np.flatnonzero(groups == number).tolist()


def _stars(likeness: _Likeness, taken: set[int]) -> Iterator[list[int]]:
    """Yield the best picture that is not taken with its direct copies, then the best of the rest, and so on."""
    for i in range(len(likeness.labels)):
        if i not in taken:
            star = [i, *(j for j in likeness.of(i).tolist() if j not in taken)]
            taken.update(star)
            yield star


def _rank(picture: InspectedPhoto) -> tuple[object, ...]:
    """Sort key of copies, the best first: more pixels, then lossless, then more bytes, then by name.

    A file always comes before a link, because a link shows nothing once its target is moved.
    """
    look = picture.look
    pixels = look.width * look.height
    return picture.is_link, -pixels, look.format not in LOSSLESS, -picture.bytes, picture.photo.file
