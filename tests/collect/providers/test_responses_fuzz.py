"""Whatever stands in one place of an answer, a search gives candidates or says what is wrong, and never breaks."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_apis import Answer, as_json
from provider_server import FLICKR, OPENVERSE, WIKIMEDIA, Asked, ProviderServer, provider_server
from searching import provider, search

from roadclear.errors import ProviderError

PATHS = {"openverse": OPENVERSE, "wikimedia": WIKIMEDIA, "flickr": FLICKR}
JUNK = st.sampled_from([None, True, -1, 1.5, "", "x", "12", [], [None], ["x"], [[]], {}, {"x": None}, {"value": 7}])


@pytest.fixture(scope="module")
def server() -> Iterator[ProviderServer]:
    with provider_server(size=3) as running:
        yield running


def places(node: object, way: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The ways to all places in a JSON value, the value itself first."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [way, *(place for key, child in children for place in places(child, (*way, key)))]


def replaced(node: object, way: tuple[str | int, ...], junk: object) -> object:
    if not way:
        return junk
    copy = dict(node) if isinstance(node, dict) else list(node)  # type: ignore[call-overload]
    copy[way[0]] = replaced(copy[way[0]], way[1:], junk)
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("name", PATHS)
@given(data=st.data(), junk=JUNK)
@settings(max_examples=50, deadline=None)
def test_no_answer_breaks_a_search(server: ProviderServer, name: str, data: st.DataObject, junk: object) -> None:
    server.faults.clear()
    server.asked.clear()
    usual = search(provider(name, server))
    answers = [truthful(server, request) for request in server.asked]
    changed = data.draw(st.integers(0, len(answers) - 1))
    way = data.draw(st.sampled_from(places(answers[changed])))
    server.fail(PATHS[name], as_json(replaced(answers[changed], way, junk)), times=1, after=changed)
    try:
        found = search(provider(name, server))
    except ProviderError as error:
        assert str(error).startswith(f"{name}: expected ")
    else:
        assert len(found) <= len(usual)
        for candidate in found:
            texts = (candidate.title, candidate.author, candidate.licence, candidate.licence_url, candidate.page_url)
            assert all(isinstance(text, str) for text in (candidate.image_url, *texts))
            assert all(size is None or size >= 0 for size in (candidate.width, candidate.height))


def truthful(server: ProviderServer, request: Asked) -> object:
    answer: Answer = server.sites[request.path].answer(request.params, request.headers)
    return json.loads(answer.body)
