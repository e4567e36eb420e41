"""A file that is no photo is called by its kind."""

import pytest

from roadclear.images.sniff import describe

HEIC = (
    "a HEIC picture, which is not supported without the extra heif: run `pip install 'roadclear[heif]'`, or convert it "
    "to JPEG"
)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", HEIC),
        (b"\0\0\0\x18ftypisom", "a video, not a photo"),
        (b"RIFF\x10\0\0\0AVI ", "a video, not a photo"),
        (b"RIFF\x10\0\0\0WAVE", "a sound, not a photo"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer, not the photo itself: run `git lfs pull`"),
        (b"<!doctype html><title>Not found</title>", "an HTML page, not a photo"),
        (b"\xef\xbb\xbf  <!-- hello --><HTML>", "an HTML page, not a photo"),
        (b'<?xml version="1.0"?><svg>', "an SVG drawing, not a photo"),
        (b'<?xml version="1.0"?><feed>', "an XML document, not a photo"),
        (b'{"error": 404}', "a JSON document, not a photo"),
        (b"%PDF-1.7", "a PDF document, not a photo"),
        (b"\x1f\x8b\x08", "a compressed file, not a photo"),
        (b"PK\x03\x04", "an archive, not a photo"),
        (b"\x7fELF", "a program, not a photo"),
        (b"\0" * 40, "blank: it begins with zeros"),
        ("Straße frei".encode(), "a text file, not a photo"),
    ],
)
def test_kinds(head: bytes, words: str) -> None:
    assert describe(head) == words


@pytest.mark.parametrize("head", [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"\x01\x02\x03"])
def test_photos_and_noise_are_nothing_known(head: bytes) -> None:
    assert describe(head) is None


@pytest.mark.parametrize("end", range(12))
def test_a_character_that_is_cut_off_is_still_text(end: int) -> None:
    """The first bytes of a file may end inside a character."""
    assert describe("ab横断歩道".encode()[: 3 + end]) == "a text file, not a photo"
