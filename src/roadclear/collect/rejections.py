"""Why a photo that was found is not among those collected."""

from enum import StrEnum

import httpx

from roadclear.errors import RoadclearError


class RejectionReason(StrEnum):
    """The reasons, as rejected.csv has them."""

    LICENCE = "licence"
    """It is under a licence that was not asked for."""
    SAME_ADDRESS = "same-address"
    """Its address came before, under either label."""
    SAME_BYTES = "same-bytes"
    """The same file came before from another address, under either label."""
    UNREACHABLE = "unreachable"
    """No whole answer came; it may come another time."""
    NOT_THERE = "not-there"
    """There is no such host or page, or no one may see it."""
    FORBIDDEN_ADDRESS = "forbidden-address"
    """Its address, or one that it leads to, is not http(s) on the public internet."""
    UNTRUSTED = "untrusted"
    """The host's certificate is not valid."""
    REDIRECTS = "redirects"
    """It leads on and on."""
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    NOT_A_PHOTO = "not-a-photo"
    """Something else came: a page, a placeholder, a document; or the picture is damaged."""
    TOO_SMALL = "too-small"
    REMOVED = "removed"
    """It was collected, and then taken out of the folder."""

    @property
    def is_passing(self) -> bool:
        """Whether a later run tries again."""
        return self in (RejectionReason.UNREACHABLE, RejectionReason.LICENCE)


class FetchError(httpx.RequestError, RoadclearError):
    """What an address leads to must not, or cannot, be fetched.

    Attributes:
        reason: why, for a program; the message says it for a person.
    """

    def __init__(self, reason: RejectionReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
