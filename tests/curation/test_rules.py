"""What does not belong, and why."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from corpus import make_corpus
from drawings import Outcome
from folders import encoded, photo, picture, write_folder
from PIL import Image

from roadclear.curation.clean import clean, examine
from roadclear.curation.rules import CleanRules, Finding, parse_formats
from roadclear.errors import OptionError
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.images.decode import PHOTO_FORMATS, decode, read_bytes

pytestmark = pytest.mark.slow


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    with open_cache(tmp_path / "cache.sqlite") as opened:
        yield opened


def found(root: Path, cache: FeatureCache, **rules: object) -> dict[str, Finding]:
    """File -> finding, by the rules without look-alikes, but for those that are given."""
    chosen = CleanRules(**{"look_alikes": False, **rules})  # type: ignore[arg-type]
    return {finding.photo.file: finding for finding in examine(root, chosen, cache).findings}


def reasons(root: Path, cache: FeatureCache, **rules: object) -> dict[str, str]:
    return {file: finding.reason.value for file, finding in found(root, cache, **rules).items()}


def flat(colour: int, format_name: str, **options: object) -> bytes:
    return encoded(np.full((90, 110, 3), colour, np.uint8), format_name, **options)


def speck() -> bytes:
    pixels = np.full((224, 224, 3), 100, np.uint8)
    pixels[100:110, 100:106] = 250
    return encoded(pixels)


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        pytest.param(photo(1), None, "", id="a photo"),
        pytest.param(b"", "unreadable", "the file is empty", id="empty"),
        pytest.param(photo(1)[:300], "unreadable", "truncated|damaged", id="truncated"),
        pytest.param(b"<!doctype html><p>404", "unreadable", "an HTML page", id="not an image"),
        pytest.param(b"\0" * 999, "unreadable", "begins with zeros", id="zeros"),
        pytest.param(b"\0\0\0\x18ftypheic" + bytes(90), "unsupported", "a HEIC picture", id="HEIC"),
        pytest.param(photo(1, width=63, height=900), "too-small", "63 x 900 pixels, expected at least 64", id="narrow"),
        pytest.param(photo(1, width=64, height=64), None, "", id="just large enough"),
        pytest.param(flat(0, "PNG"), "blank", "one flat colour", id="black"),
        pytest.param(flat(130, "JPEG", quality=20), "blank", "one flat colour", id="grey, JPEG"),
        pytest.param(flat(77, "WEBP", quality=50), "blank", "one flat colour", id="grey, WebP"),
        pytest.param(flat(77, "AVIF", quality=50), "blank", "one flat colour", id="grey, AVIF"),
        pytest.param(speck(), None, "", id="one figure in a fog"),
    ],
)
def test_one_file(tmp_path: Path, cache: FeatureCache, content: bytes, reason: str | None, detail: str) -> None:
    root = write_folder(tmp_path / "photos", {"crossing/x.jpg": content, "empty/y.png": photo(99)})
    findings = found(root, cache)
    if reason is None:
        assert findings == {}
    else:
        (finding,) = findings.values()
        assert (finding.photo.file, finding.reason) == ("crossing/x.jpg", reason)
        assert re.search(detail, finding.detail)


@pytest.mark.parametrize("format_name", sorted(PHOTO_FORMATS.keys() - {"HEIF"}))
def test_content_decides_the_format_and_the_name_does_not(
    tmp_path: Path, cache: FeatureCache, format_name: str
) -> None:
    root = write_folder(tmp_path / "photos", {"crossing/x.jpg": photo(1, format_name)})
    assert reasons(root, cache) == {}
    classic = ("JPEG", "PNG")
    expected = {} if format_name in classic else {"crossing/x.jpg": "unsupported"}
    assert reasons(root, cache, formats=classic) == expected


def scaled(seed: int, width: int, height: int) -> bytes:
    large = Image.fromarray(picture(seed, 400, 300))
    return encoded(np.asarray(large.resize((width, height), Image.Resampling.LANCZOS)), "JPEG", quality=85)


@pytest.mark.parametrize(
    ("copies", "kept"),
    [
        pytest.param({"b.png": photo(1), "a.png": photo(1)}, "a.png", id="same bytes: the first by name"),
        pytest.param({"a.bmp": photo(1, "BMP"), "b.png": photo(1)}, "a.bmp", id="both lossless: more bytes"),
        pytest.param({"z.jpg": photo(1), "a.bmp": photo(1, "BMP"), "m": photo(1)}, "a.bmp", id="names do not count"),
        pytest.param({"a.gif": photo(1, "PPM"), "b.webp": photo(1, "WEBP", lossless=True)}, "a.gif", id="lossless"),
    ],
)
def test_the_best_of_the_same_pixels_stays(
    tmp_path: Path, cache: FeatureCache, copies: dict[str, bytes], kept: str
) -> None:
    root = write_folder(tmp_path / "photos", {f"empty/{name}": content for name, content in copies.items()})
    findings = found(root, cache)
    assert set(findings) == {f"empty/{name}" for name in copies if name != kept}
    assert {(finding.reason, finding.kept) for finding in findings.values()} == {("duplicate", f"empty/{kept}")}


def test_same_pixels_are_found_behind_format_metadata_and_orientation(tmp_path: Path, cache: FeatureCache) -> None:
    pixels = picture(3)
    turned = Image.fromarray(np.rot90(pixels))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    jpeg = photo(4, "JPEG", quality=90)
    root = write_folder(
        tmp_path / "photos",
        {
            "crossing/plain.bmp": encoded(pixels, "BMP"),
            "crossing/turned.png": (tmp_path / "turned.png").read_bytes(),
            "empty/plain.jpg": jpeg,
            "empty/commented.jpg": jpeg[:2] + b"\xff\xfe\x00\x06nice" + jpeg[2:],
            "empty/decoded.png": encoded(decode(jpeg)),
        },
    )
    assert reasons(root, cache) == {
        "crossing/turned.png": "duplicate",
        "empty/plain.jpg": "duplicate",
        "empty/commented.jpg": "duplicate",
    }


def test_of_look_alikes_the_largest_stays(tmp_path: Path, cache: FeatureCache) -> None:
    root = write_folder(
        tmp_path / "photos",
        {
            "empty/small.jpg": scaled(5, 120, 90),
            "empty/large.jpg": scaled(5, 360, 270),
            "empty/middle.jpg": scaled(5, 200, 150),
            "empty/other.jpg": scaled(6, 360, 270),
        },
    )
    findings = found(root, cache, look_alikes=True)
    assert {file: (finding.reason, finding.kept) for file, finding in findings.items()} == {
        "empty/small.jpg": ("look-alike", "empty/large.jpg"),
        "empty/middle.jpg": ("look-alike", "empty/large.jpg"),
    }
    assert found(root, cache) == {}


def test_a_link_never_stays_in_place_of_the_file_it_leads_to(tmp_path: Path, cache: FeatureCache) -> None:
    root = write_folder(tmp_path / "photos", {"empty/file.png": photo(1)})
    (root / "empty" / "a link.png").symlink_to("file.png")
    assert reasons(root, cache) == {"empty/a link.png": "duplicate"}


A_FRAME, THE_NEXT, EXACTLY_IT = scaled(7, 300, 225), scaled(7, 290, 218), scaled(7, 300, 225)


@pytest.mark.parametrize(
    ("files", "scenes", "expected"),
    [
        pytest.param(
            {"crossing/a.jpg": A_FRAME, "empty/b.jpg": EXACTLY_IT},
            {"crossing/a.jpg": "s", "empty/b.jpg": "s"},
            {"crossing/a.jpg": "conflicting-label", "empty/b.jpg": "conflicting-label"},
            id="the same pixels under both labels conflict, one scene or not",
        ),
        pytest.param(
            {"crossing/a.jpg": A_FRAME, "empty/b.jpg": THE_NEXT},
            {},
            {"crossing/a.jpg": "conflicting-label", "empty/b.jpg": "conflicting-label"},
            id="look-alikes under both labels conflict",
        ),
        pytest.param(
            {"crossing/a.jpg": A_FRAME, "empty/b.jpg": THE_NEXT},
            {"crossing/a.jpg": "s"},
            {"crossing/a.jpg": "conflicting-label", "empty/b.jpg": "conflicting-label"},
            id="one with a scene and one without conflict",
        ),
        pytest.param(
            {"crossing/a.jpg": A_FRAME, "empty/b.jpg": THE_NEXT},
            {"crossing/a.jpg": "s", "empty/b.jpg": "other"},
            {"crossing/a.jpg": "conflicting-label", "empty/b.jpg": "conflicting-label"},
            id="look-alikes of two scenes conflict",
        ),
        pytest.param(
            {"crossing/a.jpg": A_FRAME, "empty/b.jpg": THE_NEXT},
            {"crossing/a.jpg": "s", "empty/b.jpg": "s"},
            {},
            id="look-alikes of one scene do not",
        ),
        pytest.param(
            {"empty/a.jpg": A_FRAME, "empty/b.jpg": THE_NEXT},
            {"empty/a.jpg": "s", "empty/b.jpg": "s"},
            {},
            id="frames of one scene and label are no copies",
        ),
        pytest.param(
            {"empty/a.jpg": A_FRAME, "empty/b.jpg": EXACTLY_IT},
            {"empty/a.jpg": "s", "empty/b.jpg": "s"},
            {"empty/b.jpg": "duplicate"},
            id="the same pixels are, one scene or not",
        ),
        pytest.param(
            {"crossing/a.jpg": A_FRAME, "empty/b.jpg": EXACTLY_IT, "empty/c.jpg": THE_NEXT},
            {},
            dict.fromkeys(("crossing/a.jpg", "empty/b.jpg", "empty/c.jpg"), "conflicting-label"),
            id="all copies of a conflict are set aside",
        ),
        pytest.param(
            {"crossing/a.jpg": A_FRAME, "empty/b.jpg": A_FRAME[:-900]},
            {},
            {"empty/b.jpg": "unreadable"},
            id="a broken copy is no conflict",
        ),
        pytest.param(
            {"train/crossing/a.jpg": A_FRAME, "test/empty/b.jpg": EXACTLY_IT, "train/empty/c.png": photo(8)},
            {},
            {"train/crossing/a.jpg": "conflicting-label", "test/empty/b.jpg": "conflicting-label"},
            id="in train and test folders",
        ),
    ],
)
def test_labels_and_scenes(
    tmp_path: Path, cache: FeatureCache, files: dict[str, bytes], scenes: dict[str, str], expected: dict[str, str]
) -> None:
    root = tmp_path / "photos"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    if not (root / "train").is_dir():
        write_folder(root, {})
    rows = "".join(f"{file},{scene}\n" for file, scene in scenes.items())
    (root / "manifest.csv").write_text(f"file,scene\n{rows}")
    assert reasons(root, cache, look_alikes=True) == expected


def test_what_stays_of_a_cleaned_folder_is_clean(tmp_path: Path, cache: FeatureCache) -> None:
    """Frames of a scene hold others together that are not of it; once they are gone, nothing may surface."""
    files = {f"empty/{side:03}.jpg": scaled(9, side, side * 3 // 4) for side in (340, 330, 300, 290, 120)}
    root = write_folder(tmp_path / "photos", files)
    (root / "manifest.csv").write_text("file,scene\nempty/340.jpg,s\nempty/330.jpg,s\n")
    assert clean(root, CleanRules(), cache).findings
    assert clean(root, CleanRules(), cache).findings == ()
    assert sorted(path.name for path in (root / "empty").iterdir()) in (["330.jpg", "340.jpg"], ["340.jpg"])


def test_rules_are_applied_to_what_was_seen_and_not_kept_with_it(tmp_path: Path, cache: FeatureCache) -> None:
    files = {"crossing/a.jpg": A_FRAME, "empty/b.jpg": THE_NEXT, "empty/c.png": photo(2, width=50)}
    root = write_folder(tmp_path / "photos", files)
    first = found(root, cache, look_alikes=True)
    assert len(first) == 3
    assert found(root, cache, look_alikes=True) == first
    assert len(found(root, cache, look_alikes=True, min_side=40)) == 2


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"formats": ("HEIC",)}, "formats must be some of JPEG, .*, got 'HEIC'"),
        ({"formats": ()}, "formats must be some of .* got none"),
        ({"min_side": 0}, "min_side must be at least 1 pixel, got 0"),
    ],
)
def test_rules_out_of_range(rules: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        CleanRules(**rules)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "formats"),
    [("jpeg,png", ("JPEG", "PNG")), (" .JPG, tif ", ("JPEG", "TIFF")), ("png,apng", ("PNG",)), ("WebP", ("WEBP",))],
)
def test_formats_by_any_name(text: str, formats: tuple[str, ...]) -> None:
    assert parse_formats(text) == formats


@pytest.mark.parametrize(("text", "found"), [("jpeg,jxl", "'jxl'"), ("", "''"), ("jpeg png", "'jpeg png'")])
def test_unknown_formats(text: str, found: str) -> None:
    with pytest.raises(OptionError, match=f"formats must be some of JPEG, .*, got {found}"):
        parse_formats(text)


@pytest.mark.slow
def test_in_a_set_that_was_cleaned_by_hand_everything_belongs(roads: Path, cache: FeatureCache) -> None:
    """Real photos and frames, 138 pairs of which show one scene under both labels; the manifest names the scenes."""
    assert found(roads, cache, look_alikes=True) == {}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Outcome]]:
    """A folder with the whole corpus under one label, and what must come of reading each file."""
    root = write_folder(tmp_path_factory.mktemp("corpus"), {})
    cases = make_corpus(root / "crossing")
    return root, {f"crossing/{case.path.name}": case.outcome for case in cases if os.path.lexists(case.path)}


def test_of_the_corpus_what_cannot_be_read_is_set_aside_for_its_reason(
    corpus: tuple[Path, dict[str, Outcome]], cache: FeatureCache
) -> None:
    root, outcomes = corpus
    findings = found(root, cache)
    refused = {file: str(outcome.reason) for file, outcome in outcomes.items() if outcome.reason is not None}
    for file, reason in refused.items():
        assert re.search(reason, findings[file].detail, re.IGNORECASE)
        unsupported = "not supported" in findings[file].detail
        assert findings[file].reason == ("unsupported" if unsupported else "unreadable")
    for file in set(outcomes) - set(refused):
        assert file not in findings or findings[file].reason not in ("unreadable", "unsupported")
        if min(outcomes[file].width, outcomes[file].height) < 64:
            assert findings[file].reason == "too-small"


def test_of_the_corpus_one_stays_of_every_set_of_equal_pixels(
    corpus: tuple[Path, dict[str, Outcome]], cache: FeatureCache
) -> None:
    root, outcomes = corpus
    copies: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for file, outcome in outcomes.items():
        if outcome.reason is None:
            pixels = decode(read_bytes(root / file))
            copies[pixels.shape, pixels.tobytes()].append(file)
    findings = reasons(root, cache, min_side=1)
    for files in copies.values():
        verdicts = sorted(findings.get(file, "stays") for file in files)
        assert verdicts == ["duplicate"] * (len(files) - 1) + ["stays"] or set(verdicts) == {"blank"}
    assert max(map(len, copies.values())) > 20
