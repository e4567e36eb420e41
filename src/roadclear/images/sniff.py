"""Kinds of files that are not photos, for error messages.

A failed download is usually an error page. A photo that was never fetched is usually a Git LFS pointer.
"""

import re

_UNSUPPORTED = "which is not supported: convert it to JPEG"
_NEEDS_HEIF = (
    "which is not supported without the extra heif: run `pip install 'roadclear[heif]'`, or convert it to JPEG"
)
_KINDS: tuple[tuple[str, bytes], ...] = (
    (f"a HEIC picture, {_NEEDS_HEIF}", rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)"),
    (f"a JPEG 2000 picture, {_UNSUPPORTED}", rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"),
    (f"a JPEG XL picture, {_UNSUPPORTED}", rb"\x00\x00\x00\x0cJXL |\xff\x0a"),
    (f"a Photoshop document, {_UNSUPPORTED}", rb"8BPS"),
    ("a Windows icon, not a photo", rb"\x00\x00[\x01\x02]\x00[^\x00]\x00"),
    ("a video, not a photo", rb".{4}ftyp|RIFF.{4}AVI |\x1a\x45\xdf\xa3"),
    ("a sound, not a photo", rb"RIFF.{4}WAVE|ID3|OggS|fLaC"),
    ("a Git LFS pointer, not the photo itself: run `git lfs pull`", rb"version https://git-lfs"),
    ("an HTML page, not a photo", rb"\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body|script)\b"),
    ("an SVG drawing, not a photo", rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!doctype svg[^>]*>\s*)?<svg\b"),
    ("an XML document, not a photo", rb"\s*<\?xml"),
    ("a JSON document, not a photo", rb"\s*(\{\s*[\"}]|\[\s*[\[\]{\"\d-])"),
    ("a PDF document, not a photo", rb"%PDF-"),
    ("a PostScript document, not a photo", rb"%!PS|\xc5\xd0\xd3\xc6"),
    ("a compressed file, not a photo", rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd"),
    ("an archive, not a photo", rb"PK\x03\x04|Rar!|7z\xbc\xaf|.{257}ustar"),
    ("a program, not a photo", rb"\x7fELF|MZ|#!"),
    ("blank: it begins with zeros", rb"\x00{16}"),
    (
        "a text file, not a photo",
        rb"([\t-\r\x1b -~]|[\xc2-\xf4][\x80-\xbf]{1,3})+[\xc2-\xf4]?[\x80-\xbf]{0,2}$",
    ),
)
_PATTERNS = tuple((kind, re.compile(pattern, re.DOTALL | re.IGNORECASE)) for kind, pattern in _KINDS)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def describe(head: bytes) -> str | None:
    """Name the kind of a file by its first bytes (about 1,000); None for an unknown kind."""
    head = head.removeprefix(_BYTE_ORDER_MARK)
    return next((kind for kind, pattern in _PATTERNS if pattern.match(head)), None)
