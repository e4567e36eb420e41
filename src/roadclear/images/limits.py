"""Limits of decoding: pixels, memory and scans, checked by the header before anything is decoded."""

from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from roadclear.errors import PhotoError

MAX_PIXELS = 250_000_000
"""Largest number of pixels, at any scale. The largest phone sensors have 200 million."""

MAX_WORKING_BYTES = 200_000_000
"""Largest memory for decoding one photo, in addition to the file: 25 megapixels of RGB at full size."""

# Peak memory in bytes per pixel, measured. For a picture and its copies on the way to RGB, by Pillow mode:
_MODE_BYTES = {"1": 2, "L": 1, "P": 9, "RGB": 4, "LA": 12, "PA": 12, "I": 22, "F": 22}
_OTHER_MODE_BYTES = 8
# For decoders that need more memory than the picture:
_DECODER_BYTES = {"WEBP": 16, "AVIF": 16, "TIFF": 8}
# For a result at full size:
_RESULT_BYTES = 8
# Pillow's two decoders in pure Python need about a microsecond per pixel.
_SLOW_DECODERS = {"bmp_rle", "ppm"}
_MAX_SLOW_PIXELS = 2_000_000
# Encoders write about ten scans. Every scan, even an empty one, costs a pass over the whole photo.
_MAX_SCANS = 1000


def check_pixels(image: ImageFile.ImageFile) -> None:
    """Refuse a picture with too many pixels, by its header.

    Raises:
        PhotoError: the picture has more pixels than `MAX_PIXELS`, or than the limit of a slow decoder.
    """
    slow = any(tile[0] in _SLOW_DECODERS for tile in image.tile)
    limit = _MAX_SLOW_PIXELS if slow else MAX_PIXELS
    if image.width * image.height > limit:
        raise PhotoError(
            f"too large: {image.width:,} x {image.height:,} pixels, expected at most {limit:,}"
            f" in {'this kind of' if slow else 'a'} {image.format} file; scale it down"
        )


def check_memory(image: Image.Image, decoder_bytes: int, full_size: bool) -> None:
    """Refuse a picture that needs too much memory to decode at its current scale.

    Args:
        image: picture, opened but not loaded.
        decoder_bytes: further memory of the decoder, from `whole_photo_buffer`.
        full_size: whether the result is as large as the picture.

    Raises:
        PhotoError: decoding needs more than `MAX_WORKING_BYTES`.
    """
    pixel_bytes = max(
        _MODE_BYTES.get(image.mode, _OTHER_MODE_BYTES),
        _DECODER_BYTES.get(str(image.format), 0),
        _RESULT_BYTES if full_size else 0,
    )
    need = image.width * image.height * pixel_bytes + decoder_bytes
    if need > MAX_WORKING_BYTES:
        raise PhotoError(
            f"too large: decoding this {image.format} file takes {need / 1e6:,.0f} MB of memory,"
            f" expected at most {MAX_WORKING_BYTES / 1e6:,.0f}; scale it down"
        )


def whole_photo_buffer(image: Image.Image, data: bytes) -> int:
    """Count the bytes that a decoder holds in addition to the decoded pixels, at any scale.

    Raises:
        PhotoError: a JPEG has more than 1,000 scans, which would take too long to decode.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tile_width, tile_height = (image.tag_v2.get(tag, 0) for tag in (322, 323))
        return int(tile_width) * int(tile_height) * 8
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.fp is None:
        return 0
    scan_header = image.fp.tell() - 8 - 2 * image.layers
    if data[scan_header : scan_header + 2] == b"\xff\xda" and "progressive" not in image.info:
        return 0  # a single scan with all components is decoded row by row
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise PhotoError(f"a damaged JPEG file (more than {_MAX_SCANS:,} scans); copy or download it again")
    samples = sum(across * down for _, across, down, _ in image.layer)
    largest = max(across for _, across, _, _ in image.layer) * max(down for _, _, down, _ in image.layer)
    return 2 * image.width * image.height * samples // max(largest, 1)  # 16-bit coefficients
