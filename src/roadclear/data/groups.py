"""What keeps photos together in a split: one content, one look, one scene, and what the user adds."""

import re
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import LabelledPhoto
from roadclear.errors import OptionError
from roadclear.utils.settings import Setting, Settings

Tie = tuple[str, str]


@dataclass(kw_only=True)
class GroupSettings(Settings):
    """What links photos beside their content, look and scene.

    Raises:
        OptionError: the pattern is no regular expression.
    """

    panel: ClassVar[str] = "Split"

    group_by: Annotated[
        str | None,
        Setting(
            "Regular expression for file names. Photos in whose names it finds the same text stay in one split, "
            "as frames of one video should.",
            metavar="REGEX",
        ),
    ] = None
    group_by_page: Annotated[bool, Setting("Keep photos from one web page in one split (sources.csv).")] = False
    group_by_author: Annotated[bool, Setting("Keep photos by one author in one split (sources.csv).")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise OptionError(f"group_by must be a regular expression, got {self.group_by!r}: {error}") from error

    def ties(self, photo: LabelledPhoto) -> list[Tie]:
        """What ties a photo to others."""
        ties: list[Tie] = []
        if photo.scene is not None:
            ties.append(("scene", photo.scene))
        if self.group_by_page and photo.page is not None:
            ties.append(("page", photo.page))
        if self.group_by_author and photo.author is not None:
            ties.append(("author", photo.author))
        found = re.search(self.group_by, photo.file) if self.group_by is not None else None
        if found is not None:
            ties.append(("name", found.group(1 if found.re.groups else 0) or ""))
        return ties


def group_photos(
    photos: Sequence[LabelledPhoto], hashes: Sequence[str], look_alikes: NDArray[np.intp], rule: GroupSettings
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
