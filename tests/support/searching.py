"""Searches of a provider that is the server of the tests."""

from itertools import islice
from pathlib import Path

import httpx
from provider_server import ProviderServer

from roadclear.collect.candidate import Candidate, Provider
from roadclear.collect.providers import make_provider
from roadclear.collect.providers.settings import Settings

QUERY = "people crossing the road"
AGENT = "roadclear-tests/1"


def provider(
    name: str,
    server: ProviderServer,
    licences: str | None = None,
    contact: str = "",
    url_files: tuple[Path, ...] = (),
    **environment: str,
) -> Provider:
    settings = Settings(
        licences=None if licences is None else frozenset(licences.split(",")),
        contact=contact,
        url_files=url_files,
        environment={**server.environment, **environment},
    )
    return make_provider(name, settings)


def search(asked: Provider, query: str = QUERY, most: int | None = None) -> list[Candidate]:
    """What is found, at most so many."""
    with httpx.Client(headers={"User-Agent": AGENT}, trust_env=False, verify=False) as client:
        return list(islice(asked.search(query, client), most))
