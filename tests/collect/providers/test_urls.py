from pathlib import Path

import pytest
from searching import search

from roadclear.collect.candidate import Candidate
from roadclear.collect.providers import make_provider
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError


def urls(*files: Path, licences: frozenset[str] | None = None) -> list[list[Candidate]]:
    """What is found for the labels crossing and empty."""
    provider = make_provider("urls", Settings(url_files=files, licences=licences))
    return [search(provider, label) for label in ("crossing", "empty")]


def addresses(candidates: list[Candidate]) -> list[str]:
    return [candidate.image_url for candidate in candidates]


def test_a_text_file_lists_photos_of_the_label_that_it_is_named_after(tmp_path: Path) -> None:
    crossing, empty = tmp_path / "crossing.txt", tmp_path / "empty.txt"
    crossing.write_text("\ufeff# seen in May\nhttps://a.example/1.jpg\r\n\n  http://a.example/2.jpg?x=1,2  \n", "utf-8")
    empty.write_text("HTTPS://b.example/é.png", "utf-8")
    found = urls(crossing, empty)
    assert [addresses(part) for part in found] == [
        ["https://a.example/1.jpg", "http://a.example/2.jpg?x=1,2"],
        ["HTTPS://b.example/é.png"],
    ]
    assert found[0][1] == Candidate("urls", "crossing", 2, "http://a.example/2.jpg?x=1,2")


def test_a_table_names_label_licence_and_author(tmp_path: Path) -> None:
    table = tmp_path / "crossing.csv"
    table.write_text(
        "Label, URL ,licence,author\n"
        'empty,"https://a.example/1,2.jpg",cc-by-sa-4.0,"Müller, Zoë"\n'
        ",https://a.example/3.jpg\n"
        "empty,https://a.example/4.jpg,ask me,\n",
        "utf-8",
    )
    (unlabelled,), empty = urls(table)
    assert (unlabelled.image_url, unlabelled.licence) == ("https://a.example/3.jpg", "unknown")
    assert empty == [
        Candidate(
            "urls",
            "empty",
            1,
            "https://a.example/1,2.jpg",
            author="Müller, Zoë",
            licence="CC BY-SA 4.0",
            licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
        ),
        Candidate("urls", "empty", 2, "https://a.example/4.jpg", licence="ask me"),
    ]


def test_other_licences_are_passed_over(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    rows = [
        f"{label},https://a.example/{label}-{code}.jpg,{code}"
        for label in ("crossing", "empty")
        for code in ("by", "cc0", "")
    ]
    table.write_text("\n".join(["label,url,licence", *rows]))
    assert [addresses(part) for part in urls(table, licences=frozenset({"cc0"}))] == [
        ["https://a.example/crossing-cc0.jpg"],
        ["https://a.example/empty-cc0.jpg"],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://a.example/1.jpg\nphotos/2.jpg\n", "line 2: expected an address .*, found 'photos/2.jpg': correct it"),
        ("file:///etc/passwd\n", "line 1: expected an address"),
        ("url,label\nhttps://a.example/1.jpg,empty\n,empty\n", "line 3: expected an address .*, found ''"),
        ("url\n" + 140_000 * "x", "found field larger than field limit"),
        (b"\xff\xfe\x00", "expected a list of addresses in UTF-8"),
    ],
)
def test_what_is_no_address_is_told_with_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(OptionError, match=message):
        urls(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"expected a list of addresses .*No such file"):
        urls(tmp_path / "none.txt")


def test_no_file_is_told() -> None:
    with pytest.raises(OptionError, match="found none: give --urls FILE"):
        make_provider("urls", Settings())


@pytest.mark.parametrize(("text", "labels"), [("https://a.example/1.jpg", "list"), ("", "of an empty list")])
def test_a_label_without_addresses_is_told(tmp_path: Path, text: str, labels: str) -> None:
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(ProviderError, match=f"for the label 'crossing', found the labels {labels}: correct"):
        urls(file)
