"""Rejections: reasons why a found photo was not collected."""

from enum import StrEnum

import httpx

from roadclear.errors import RoadclearError


class RejectionReason(StrEnum):
    """Reasons, as written in rejected.csv."""

    LICENCE = "licence"
    """The licence is not among the requested licences."""
    SAME_ADDRESS = "same-address"
    """The address was found before, under either label."""
    SAME_BYTES = "same-bytes"
    """The same file was collected before from another address, under either label."""
    UNREACHABLE = "unreachable"
    """No complete answer came. A later run tries again."""
    NOT_THERE = "not-there"
    """The host or page does not exist, or access is denied."""
    FORBIDDEN_ADDRESS = "forbidden-address"
    """The address, or a redirect, is not http(s) on the public internet."""
    UNTRUSTED = "untrusted"
    """The host's certificate is not valid."""
    REDIRECTS = "redirects"
    """The address has too many redirects."""
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    NOT_A_PHOTO = "not-a-photo"
    """The answer is a page, a placeholder, a document or a damaged picture."""
    TOO_SMALL = "too-small"
    REMOVED = "removed"
    """The photo was collected, and later removed from the folder."""

    @property
    def is_passing(self) -> bool:
        """Whether a later run tries again."""
        return self in (RejectionReason.UNREACHABLE, RejectionReason.LICENCE)


class FetchError(httpx.RequestError, RoadclearError):
    """An address must not, or cannot, be downloaded.

    Attributes:
        reason: reason for programs. The message is the reason for a person.
    """

    def __init__(self, reason: RejectionReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
