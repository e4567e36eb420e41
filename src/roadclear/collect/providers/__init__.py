"""Photo providers: one module per provider, and one row per provider here."""

from collections.abc import Callable, Mapping

from roadclear.collect.candidate import Provider
from roadclear.collect.providers.duckduckgo import DuckDuckGo
from roadclear.collect.providers.flickr import Flickr
from roadclear.collect.providers.google import Google
from roadclear.collect.providers.openverse import Openverse
from roadclear.collect.providers.settings import Settings
from roadclear.collect.providers.urls import Urls
from roadclear.collect.providers.wikimedia import Wikimedia
from roadclear.errors import OptionError

__all__ = ["BY_LABEL", "DEFAULT", "PROVIDERS", "Settings", "make_provider"]

PROVIDERS: Mapping[str, Callable[[Settings], Provider]] = {
    "openverse": Openverse,
    "wikimedia": Wikimedia,
    "flickr": Flickr,
    "google": Google,
    "duckduckgo": DuckDuckGo,
    "urls": Urls,
}
"""Constructors of providers by name."""

DEFAULT = ("openverse", "wikimedia")
"""Providers without a key and without an extra."""

BY_LABEL = frozenset({"urls"})
"""Providers that are searched by label instead of a phrase."""


def make_provider(name: str, settings: Settings) -> Provider:
    """Make a provider by name.

    Raises:
        OptionError: the name is unknown, or the provider lacks a key, a contact, a file or an extra.
    """
    make = PROVIDERS.get(name)
    if make is None:
        raise OptionError(f"a provider must be one of {', '.join(PROVIDERS)}, found {name!r}: choose one of these")
    return make(settings)
