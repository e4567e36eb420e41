"""The credits, as a reader of Markdown shows them."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from roadclear.collect.candidate import Candidate
from roadclear.collect.credits import credits_of, write_credits
from roadclear.collect.records import SourceRecord, write_sources
from roadclear.errors import DatasetError

PHOTO = replace(
    SourceRecord.of(
        Candidate(
            provider="openverse",
            query="empty road",
            rank=1,
            image_url="https://a.example/1.jpg",
            page_url="https://a.example/1",
            title="A road",
            author="Ann Lee",
            author_url="https://a.example/ann",
            licence="CC BY 4.0",
            licence_url="https://creativecommons.org/licenses/by/4.0/",
        ),
        "empty",
    ),
    file="empty/openverse-0123456789ab.jpg",
    bytes="1234",
    sha256="0123456789ab" + 52 * "0",
    retrieved_at="2026-11-23T10:00:00+00:00",
)


def printable(markdown: str) -> list[Token]:
    tokens = MarkdownIt().enable("table").parse(markdown)
    return [child for token in tokens for child in [token, *(token.children or [])]]


def entry(source: SourceRecord) -> tuple[str, list[str]]:
    """The text and the links of a photo's credit."""
    tokens = printable(credits_of([source]))
    assert {token.type for token in tokens}.isdisjoint({"html_inline", "html_block", "image", "code_inline", "em_open"})
    inline = next(token for token in tokens if token.type == "inline" and token.content.startswith("**empty"))
    children = inline.children or []
    text = "".join(token.content for token in children)
    return text, [str(token.attrs["href"]) for token in children if token.type == "link_open"]


def test_a_photo_has_title_author_source_and_licence_with_their_links() -> None:
    assert entry(PHOTO) == (
        "empty/openverse-0123456789ab.jpg: “A road” by Ann Lee, licence: CC BY 4.0",
        ["https://a.example/1", "https://a.example/ann", "https://creativecommons.org/licenses/by/4.0/"],
    )


@pytest.mark.parametrize(
    ("missing", "text", "links"),
    [
        ({"title": ""}, "Untitled by Ann Lee, licence: CC BY 4.0", ["/1", "/ann"]),
        ({"author": ""}, "“A road” by an unknown author, licence: CC BY 4.0", ["/1"]),
        ({"author_url": ""}, "“A road” by Ann Lee, licence: CC BY 4.0", ["/1"]),
        ({"page_url": ""}, "“A road” by Ann Lee, licence: CC BY 4.0", ["/1.jpg", "/ann"]),
        ({"licence": "unknown", "licence_url": ""}, "“A road” by Ann Lee, licence unknown", ["/1", "/ann"]),
        ({"licence": ""}, "“A road” by Ann Lee, licence unknown", ["/1", "/ann"]),
        ({"author_url": "javascript:alert(1)"}, "“A road” by Ann Lee, licence: CC BY 4.0", ["/1"]),
    ],
)
def test_what_is_missing_is_not_linked(missing: dict[str, str], text: str, links: list[str]) -> None:
    found, addresses = entry(replace(PHOTO, **missing))
    assert found.partition(": ")[2] == text
    ours = [address for address in addresses if address.startswith("https://a.example")]
    assert ours == [f"https://a.example{link}" for link in links]


def test_photos_are_counted_and_listed_by_licence_the_unknown_last() -> None:
    names = ["unknown", "Public domain", "CC BY 4.0", "CC BY 4.0", "", "wtfpl"]
    tokens = printable(
        credits_of([replace(PHOTO, licence=name, file=f"empty/{n}.jpg") for n, name in enumerate(names)])
    )
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    cells = [after.content for token, after in pairwise(tokens) if token.type == "td_open"]
    assert headings == ["Credits", "CC BY 4.0", "Public domain", "wtfpl", "Licence unknown"]
    assert cells == ["CC BY 4.0", "2", "Public domain", "1", "wtfpl", "1", "unknown", "2"]


def test_a_photo_of_unknown_licence_comes_with_a_warning() -> None:
    assert "do not publish them" in credits_of([replace(PHOTO, licence="unknown")])
    assert "do not publish them" not in credits_of([PHOTO])


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_title_and_no_author_can_be_taken_for_markup(title: str, author: str) -> None:
    source = replace(PHOTO, title=f"a{title}z", author=f"a{author}z")
    text, links = entry(replace(source, title=one_line(source.title), author=one_line(source.author)))
    assert text.endswith(f": “{one_line(source.title)}” by {one_line(source.author)}, licence: CC BY 4.0")
    assert len(links) == 3


def one_line(text: str) -> str:
    """As a table of sources holds it, and Markdown shows it."""
    held = SourceRecord.of(Candidate("p", "q", 1, "u", title=text), "empty").title
    return " ".join(held.split()).replace("\0", "")


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://a.example/a(b).jpg", "https://a.example/a(b).jpg"),
        ("https://a.example/<b> c", "https://a.example/%3Cb%3E%20c"),
        ("https://a.example/%C3%A9?x=1&y=2#z", "https://a.example/%C3%A9?x=1&y=2#z"),
        ("https://a.example/é", "https://a.example/%C3%A9"),
        ('https://a.example/"a`b\\c', "https://a.example/%22a%60b%5Cc"),
    ],
)
def test_an_address_stays_one(url: str, linked: str) -> None:
    assert entry(replace(PHOTO, page_url=url))[1][0] == linked


def test_the_file_is_written_beside_the_sources(tmp_path: Path) -> None:
    write_sources(tmp_path, [PHOTO])
    path = write_credits(tmp_path)
    assert path == tmp_path / "CREDITS.md"
    assert path.read_text("utf-8") == credits_of([PHOTO])


def test_without_sources_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected collected photos in .*, found none: collect some first"):
        write_credits(tmp_path)
    assert list(tmp_path.iterdir()) == []
