"""Which photos are one picture, and which of its copies is the best.

Copies are photos with the same pixels, whatever the format or the metadata, and photos that look alike by their
perceptual hashes: one picture in several sizes, qualities or colourings, or mirrored. What resembles a photo less, a
crop of it or another view of its scene, is no copy; that it stays on one side of a split is the split's business.

Frames of one scene in the manifest look alike because one camera took them, and differ in what matters; so that two of
them look alike says nothing. That two have the very same pixels does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from roadclear.clean.inspection import LOSSLESS, Picture
from roadclear.duplicates import COPY, look_alikes
from roadclear.split import group_ids

# Under both labels it takes more to be one picture, since an error loses the photos that tell most: frames of a fixed
# camera with and without people. In 61 labelled frames of one, 10% of the pairs with different labels differ in at
# most 6 bits and none in less than 4; 98% of 131 pictures halved, or saved at JPEG quality 20, differ in at most 3.
_UNDER_BOTH_LABELS = replace(COPY, bits=3)

Group = list[Picture]
"""Pictures that are copies of each other, the best first."""


def copy_groups(pictures: Sequence[Picture], with_look_alikes: bool) -> list[Group]:
    """Group the copies among pictures.

    Args:
        pictures: of a folder.
        with_look_alikes: whether pictures that look alike are copies too.

    Returns:
        The groups of two pictures and more, in the order of the pictures. What is the best of a group does
        not depend on the order. If one of each group stays, or none where the labels of the group differ, then
        no group is left among what stays.
    """
    if not pictures:
        return []
    ties: list[list[tuple[object, ...]]] = [[("pixels", picture.look.pixels)] for picture in pictures]
    groups = _grouped(pictures, ties)
    candidates = groups
    # Links within a scene are not followed. That may part others that they hold together, hence the loop.
    while with_look_alikes and (links := list(_links(pictures, [group[0] for group in candidates]))):
        for link in links:
            for i in link:
                ties[i].append(("link", *link))
        groups = _grouped(pictures, ties)
        candidates = [group for group in groups if not _labels_differ(pictures, group)]
    return [[pictures[i] for i in group] for group in groups if len(group) > 1]


def labels_differ(group: Group) -> bool:
    """Whether a picture has copies under both labels."""
    return len({picture.photo.label for picture in group}) > 1


def same_scene(a: Picture, b: Picture) -> bool:
    """Whether the manifest gives both pictures one scene."""
    return a.photo.scene is not None and a.photo.scene == b.photo.scene


def _labels_differ(pictures: Sequence[Picture], group: list[int]) -> bool:
    return labels_differ([pictures[i] for i in group])


def _grouped(pictures: Sequence[Picture], ties: list[list[tuple[object, ...]]]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for i, group in enumerate(group_ids(ties).tolist()):
        groups.setdefault(group, []).append(i)
    return [sorted(group, key=lambda i: _rank(pictures[i])) for group in groups.values()]


def _links(pictures: Sequence[Picture], candidates: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs of candidates that look alike and are not of one scene."""
    hashes = np.array([picture.look.fingerprint for picture in pictures])
    labels = {pictures[i].photo.label for i in candidates}
    of_a_label = [(COPY, [i for i in candidates if pictures[i].photo.label == label]) for label in sorted(labels)]
    for rule, among in [*of_a_label, (_UNDER_BOTH_LABELS, candidates)]:
        for a, b in look_alikes(hashes[among], None, rule).tolist():
            if not same_scene(pictures[among[a]], pictures[among[b]]):
                yield among[a], among[b]


def _rank(picture: Picture) -> tuple[object, ...]:
    """The best copy sorts first: more pixels, then lossless, then more bytes, then by name.

    Before all that comes a file before a link, which shows nothing once the file it leads to is moved.
    """
    look = picture.look
    pixels = look.width * look.height
    return picture.is_link, -pixels, look.format not in LOSSLESS, -picture.bytes, picture.photo.file
