"""Rules: which files do not belong in a folder of training photos, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from roadclear.curation.copies import Group, copy_groups, labels_differ
from roadclear.curation.inspection import InspectedPhoto, inspect
from roadclear.data.dataset import LabelledPhoto
from roadclear.errors import OptionError, PhotoError
from roadclear.features.cache import FeatureCache
from roadclear.features.extractor import default_extractor
from roadclear.images.augment import PLAIN_VIEW
from roadclear.images.decode import PHOTO_FORMATS
from roadclear.utils.progress import ProgressCallback, no_progress

# How `roadclear.images.sniff` speaks of a whole picture in a format that is not read.
_NOT_READ = "which is not supported"

# Measured on photos of one colour: JPEG, PNG, GIF and AVIF deviate by less than 1 level of 255, WebP by 2 at quality
# 30. A spot of 5 x 5 of the 224 x 224 pixels that the network sees, in strong contrast, already deviates more.
_BLANK_DEVIATION = 2.0


class CleanReason(StrEnum):
    """Why a file is set aside, in the order in which the reasons are tried."""

    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"
    TOO_SMALL = "too-small"
    BLANK = "blank"
    CONFLICTING_LABEL = "conflicting-label"
    DUPLICATE = "duplicate"
    LOOK_ALIKE = "look-alike"


@dataclass(frozen=True)
class CleanRules:
    """Rules for photos that may stay.

    Attributes:
        formats: permitted formats, keys of `PHOTO_FORMATS`. The content of a file decides its format, not the name.
        min_side: minimum length of the shorter side, in pixels.
        look_alikes: whether photos that look alike are copies, too, not only photos with equal pixels.

    Raises:
        OptionError: a format is unknown, or `min_side` is below 1.
    """

    formats: tuple[str, ...] = tuple(PHOTO_FORMATS)
    min_side: int = 64
    look_alikes: bool = True

    def __post_init__(self) -> None:
        unknown = sorted(set(self.formats) - set(PHOTO_FORMATS))
        if unknown or not self.formats:
            found = ", ".join(map(repr, unknown)) or "none"
            raise OptionError(f"formats must be some of {', '.join(PHOTO_FORMATS)}, got {found}")
        if self.min_side < 1:
            raise OptionError(f"min_side must be at least 1 pixel, got {self.min_side}")


def parse_formats(text: str) -> tuple[str, ...]:
    """Read formats from a list with commas, such as "jpeg,png". Extensions ("jpg") and capitals are accepted.

    Raises:
        OptionError: a format is unknown, or the list is empty.
    """
    names = {name.lower(): name for name in PHOTO_FORMATS}
    names |= {extension.removeprefix("."): name for name, those in PHOTO_FORMATS.items() for extension in those}
    words = [word.strip().lower().removeprefix(".") for word in text.split(",")]
    return CleanRules(formats=tuple(dict.fromkeys(names.get(word, word) for word in words))).formats


@dataclass(frozen=True)
class Finding:
    """A file that does not belong.

    Attributes:
        photo: the file.
        reason: the reason for a program.
        detail: the reason in words for a person.
        sha256: SHA-256 of the file, in hex; "" where the file cannot be read.
        kept: path of the copy that stays, or None.
        copies: all copies of the picture with this file, the best first; empty where copies are not the reason.
    """

    photo: LabelledPhoto
    reason: CleanReason
    detail: str
    sha256: str = ""
    kept: str | None = None
    copies: tuple[LabelledPhoto, ...] = ()


def find(
    photos: Sequence[LabelledPhoto],
    rules: CleanRules,
    cache: FeatureCache,
    progress: ProgressCallback = no_progress,
) -> tuple[Finding, ...]:
    """Find the photos of a folder that do not belong. Nothing is moved.

    Of copies under one label the best stays: the copy with more pixels, else the lossless copy, else the larger file,
    else the first by name. A picture with copies under both labels is set aside with all its copies, because nobody can
    know which label is right. Frames of one scene in the manifest may look alike, under one label or both. Only frames
    with equal pixels are copies.

    Args:
        photos: all photos of the folder.
        rules: rules for photos that may stay.
        cache: cache of the statistics and embeddings of photos.
        progress: callback for progress, called after every photo.

    Returns:
        Findings sorted by file name. The same photos in the same order give the same findings.

    Raises:
        OutputError: the cache cannot be written.
    """
    findings: list[Finding] = []
    sound: list[InspectedPhoto] = []
    extractor = default_extractor(cache) if rules.look_alikes else None
    for photo, result in zip(photos, inspect(photos, cache, extractor, progress), strict=True):
        if isinstance(result, PhotoError):
            findings.append(_unreadable(photo, result))
        elif fault := _fault(result, rules):
            findings.append(Finding(photo, *fault, result.sha256))
        else:
            sound.append(result)
    embeddings = None
    if extractor is not None and sound:
        embeddings = extractor.load([picture.sha256 for picture in sound], PLAIN_VIEW)
    for group in copy_groups(sound, embeddings):
        findings.extend(_conflict(group) if labels_differ(group) else _worse_copies(group))
    return tuple(sorted(findings, key=lambda finding: finding.photo.file))


def _unreadable(photo: LabelledPhoto, error: PhotoError) -> Finding:
    reason = CleanReason.UNSUPPORTED if _NOT_READ in error.reason else CleanReason.UNREADABLE
    return Finding(photo, reason, error.reason)


def _fault(picture: InspectedPhoto, rules: CleanRules) -> tuple[CleanReason, str] | None:
    """Return what is wrong with a photo by itself, or None."""
    look = picture.look
    if look.format not in rules.formats:
        return CleanReason.UNSUPPORTED, f"{look.format}, expected {' or '.join(rules.formats)}"
    if min(look.width, look.height) < rules.min_side:
        size = f"{look.width:,} x {look.height:,} pixels"
        return CleanReason.TOO_SMALL, f"{size}, expected at least {rules.min_side:,} on the shorter side"
    if look.deviation <= _BLANK_DEVIATION:
        return CleanReason.BLANK, "one flat colour"
    return None


def _conflict(group: Group) -> Iterator[Finding]:
    copies = tuple(picture.photo for picture in group)
    for picture in group:
        rivals = [rival for rival in group if rival.photo.label != picture.photo.label]
        other = next((rival for rival in rivals if rival.look.pixels == picture.look.pixels), rivals[0])
        relation = _relation(picture, other, "the same picture as", "looks like")
        detail = f"{relation} {other.photo.file}, which is under {other.photo.label}"
        yield Finding(picture.photo, CleanReason.CONFLICTING_LABEL, detail, picture.sha256, copies=copies)


def _worse_copies(group: Group) -> Iterator[Finding]:
    copies = tuple(picture.photo for picture in group)
    best = group[0]
    for picture in group[1:]:
        same = picture.look.pixels == best.look.pixels
        detail = _relation(picture, best, "same pixels as", "looks like")
        if picture.sha256 == best.sha256:
            detail = "same bytes as"
        yield Finding(
            picture.photo,
            CleanReason.DUPLICATE if same else CleanReason.LOOK_ALIKE,
            f"{detail} {best.photo.file}",
            picture.sha256,
            kept=best.photo.file,
            copies=copies,
        )


def _relation(picture: InspectedPhoto, other: InspectedPhoto, same: str, alike: str) -> str:
    return same if picture.look.pixels == other.look.pixels else alike
