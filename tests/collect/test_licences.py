import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.collect.licences import CODES, Licence, licence_codes
from roadclear.errors import OptionError

LICENCES = st.builds(
    Licence,
    st.sampled_from(CODES),
    st.sampled_from(["1.0", "2.0", "3.0", "4.0"]),
    st.sampled_from(["", "de", "us", "igo"]),
)


@given(LICENCES)
def test_an_address_and_a_name_say_all_of_a_licence(licence: Licence) -> None:
    assert Licence.at(licence.url) == licence
    assert Licence.called(licence.name) == licence


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "CC BY 4.0"),
        ("http://creativecommons.org/licenses/by-sa/3.0", "CC BY-SA 3.0"),
        ("https://creativecommons.org/licenses/by-sa/2.0/de/deed.en", "CC BY-SA 2.0 DE"),
        ("https://creativecommons.org/licenses/by-nc-nd/2.0/legalcode", "CC BY-NC-ND 2.0"),
        ("https://creativecommons.org/licenses/by/4.0/deed", "CC BY 4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/deed.en", "CC0 1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "PDM 1.0"),
    ],
)
def test_addresses(url: str, name: str) -> None:
    licence = Licence.at(url)
    assert licence is not None
    assert licence.name == name


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://www.gnu.org/copyleft/fdl.html",
        "https://creativecommons.org/licenses/sampling+/1.0/",
        "https://creativecommons.org/licenses/by-evil/1.0/",
        "https://creativecommons.org.evil.example/licenses/by/4.0/",
        "https://evil.example/https://creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/licenses/",
    ],
)
def test_other_addresses_are_of_no_licence_that_is_known(url: str) -> None:
    assert Licence.at(url) is None


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("CC BY-SA 4.0", Licence("by-sa", "4.0")),
        ("cc-by-sa-4.0", Licence("by-sa", "4.0")),
        ("by-nc 2.0", Licence("by-nc", "2.0")),
        ("CC BY 3.0 us", Licence("by", "3.0", "us")),
        ("CC BY", Licence("by")),
        ("CC0", Licence("cc0")),
        ("CC0 1.0", Licence("cc0", "1.0")),
        ("CC-Zero", Licence("cc0")),
        ("pdm 1.0", Licence("pdm", "1.0")),
        ("Public domain", Licence("pdm")),
        ("PD-old-70", Licence("pdm")),
        (" cc  by ", Licence("by")),
        ("GFDL", None),
        ("FAL", None),
        ("CC BY-SA 4.0,3.0,2.5", None),
        ("CC sampling+ 1.0", None),
        ("by-sa-nc 1.0", None),
        ("bypass", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_names(name: str, licence: Licence | None) -> None:
    assert Licence.called(name) == licence


@pytest.mark.parametrize("licence", [Licence("by"), Licence("cc0")])
def test_without_a_version_there_is_no_address(licence: Licence) -> None:
    assert licence.url == ""


@pytest.mark.parametrize("names", ["cc0,by,by-sa", " CC0 , by,BY-SA,"])
def test_a_list_of_codes(names: str) -> None:
    assert licence_codes(names) == {"cc0", "by", "by-sa"}


@pytest.mark.parametrize(("names", "found"), [("", "none"), (",", "none"), ("by,gfdl", "gfdl"), ("CC BY", "cc by")])
def test_a_code_that_does_not_exist_is_told(names: str, found: str) -> None:
    with pytest.raises(OptionError, match=f"must be of cc0, .*, found {found}: correct it"):
        licence_codes(names)
