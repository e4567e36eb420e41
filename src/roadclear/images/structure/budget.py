"""What a walk finds, and the refusal of a file with too many parts."""

from dataclasses import dataclass

from roadclear.errors import PhotoError


@dataclass(frozen=True)
class Structure:
    """What a walk through a file found.

    Attributes:
        frames: number of frames or pages; None where the decoder counts them at no cost.
        decoder_bytes: memory that a decoder holds in addition to the pixels, in bytes.
    """

    frames: int | None = None
    decoder_bytes: int = 0


def spend(format_name: str, used: int, limit: int, what: str) -> None:
    """Refuse a file that has more of something than a limit.

    Args:
        format_name: format of the file.
        used: number that was found so far.
        limit: largest number that is accepted.
        what: what is counted, in the plural.

    Raises:
        PhotoError: `used` is larger than `limit`.
    """
    if used > limit:
        raise PhotoError(
            f"a damaged or hostile {format_name} file (more than {limit:,} {what}); save it anew with a photo editor"
        )
