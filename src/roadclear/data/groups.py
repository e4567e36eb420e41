"""What keeps photos together in a split: one content, one look, one scene, and what the user adds."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.split import group_ids
from roadclear.errors import OptionError

Tie = tuple[str, str]


@dataclass(frozen=True)
class GroupingRule:
    """What ties photos together beside their content, look and scene.

    Attributes:
        pattern: a regular expression searched in file names: photos in which it finds the same text (its first
            group, where it has one) belong together, as frames of one video do.
        page: whether photos from one page belong together.
        author: whether photos by one author belong together.

    Raises:
        OptionError: the pattern is no regular expression.
    """

    pattern: str | None = None
    page: bool = False
    author: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise OptionError(f"group_by must be a regular expression, got {self.pattern!r}: {error}") from error

    def ties(self, photo: LabelledPhoto) -> list[Tie]:
        """What ties a photo to others."""
        ties: list[Tie] = []
        if photo.scene is not None:
            ties.append(("scene", photo.scene))
        if self.page and photo.page is not None:
            ties.append(("page", photo.page))
        if self.author and photo.author is not None:
            ties.append(("author", photo.author))
        found = re.search(self.pattern, photo.file) if self.pattern is not None else None
        if found is not None:
            ties.append(("name", found.group(1 if found.re.groups else 0) or ""))
        return ties


def group_photos(
    photos: Sequence[LabelledPhoto], hashes: Sequence[str], look_alikes: NDArray[np.intp], rule: GroupingRule
) -> NDArray[np.intp]:
    """Number the groups that a split must not part (connected components of all ties).

    Args:
        photos: [n] photos.
        hashes: [n] SHA-256 of their files.
        look_alikes: int [n], components of photos that look alike.
        rule: what else ties photos.

    Returns:
        int [n], numbered in order of first appearance.
    """
    everything = zip(photos, hashes, look_alikes.tolist(), strict=True)
    return group_ids([
        [("content", sha256), ("look", str(component)), *rule.ties(photo)] for photo, sha256, component in everything
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
