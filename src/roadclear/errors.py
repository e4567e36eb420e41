"""All errors of the package, as one tree. The ground of the house: imports nothing.

    RoadclearError
    ├── PhotoError       one photo cannot be used; the run goes on without it
    ├── DatasetError     a folder of photos cannot be trained or evaluated on
    ├── OptionError      an option's value is wrong (the command line exits with 2)
    ├── WeightsError     a backbone weights file is missing, wrong, truncated or hostile
    ├── EngineError      an inference engine is not installed or cannot run a graph
    ├── ModelFileError   a file is not a roadclear model, or is of a later format
    ├── ProviderError    a photo provider refuses, is rate-limited, or breaks its documented interface
    └── OutputError      a result cannot be written (full disk, read-only folder, name taken)

Every message is one line that says what was expected, what was found and what to do.

Example:
    >>> from roadclear.errors import PhotoError, RoadclearError
    >>> try:
    ...     raise PhotoError("the file is empty")
    ... except RoadclearError as error:
    ...     print(error)
    the file is empty
"""


class RoadclearError(Exception):
    """Base of every error that roadclear raises on purpose."""


class PhotoError(RoadclearError):
    """A photo cannot be used.

    Attributes:
        reason: reason in words for a person, without the file's name
            ("the file is empty", "truncated: 1,024 of 9,310 bytes could be decoded").
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DatasetError(RoadclearError):
    """A folder of photos cannot be trained or evaluated on."""


class OptionError(RoadclearError):
    """An option has a value that cannot work."""


class WeightsError(RoadclearError):
    """A backbone weights file is missing, wrong, truncated or hostile."""


class EngineError(RoadclearError):
    """An inference engine is not installed, or cannot run a graph."""


class ModelFileError(RoadclearError):
    """A file is not a roadclear model, or is of a later format."""


class ProviderError(RoadclearError):
    """A photo provider cannot be searched. The search goes on with the other providers."""


class OutputError(RoadclearError):
    """A result cannot be written."""


class CacheWarning(UserWarning):
    """The feature cache cannot be used, and the run goes on without it. The results are the same."""
