"""A smoke test against the real providers; off unless asked for: `pytest -m live`.

It wants a network, ROADCLEAR_CONTACT for Wikimedia, and FLICKR_API_KEY for Flickr. Every provider is asked one query,
for its first results only, and those that tell licences for the first photo too.
"""

from itertools import islice

import pytest

from roadclear.collect.client import ClientPolicy, open_client
from roadclear.collect.downloader import download
from roadclear.collect.providers import PROVIDERS, make_provider
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError

pytestmark = [pytest.mark.live, pytest.mark.slow]  # `-m "not slow"` leaves them out as well

WITH_LICENCES = ("openverse", "wikimedia", "flickr")


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "urls"])
def test_a_provider_finds_photos_of_streets(name: str) -> None:
    settings = Settings()
    try:
        provider = make_provider(name, settings)
    except OptionError as error:
        pytest.skip(str(error))
    with open_client(ClientPolicy(contact=settings.variable("ROADCLEAR_CONTACT"))) as client:
        found = list(islice(provider.search("people crossing the road", client), 5))
        if name in WITH_LICENCES:
            assert download(found[0].image_url, client).width > 0
    assert [candidate.provider for candidate in found] == [name] * 5
    for candidate in found:
        assert candidate.image_url.startswith(("http://", "https://"))
        assert candidate.query == "people crossing the road"
    if name in WITH_LICENCES:
        assert all(candidate.licence != "unknown" and candidate.page_url for candidate in found)
