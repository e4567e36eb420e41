"""Specification of settings: what a declaration allows, what it says of itself, and what it refuses."""

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.errors import OptionError
from roadclear.utils.settings import Setting, Settings, options_of, to_toml


@dataclass(kw_only=True)
class Oven(Settings):
    """Options of a room."""

    panel: ClassVar[str] = "Oven"

    heat: Annotated[float, Setting("Heat of the oven.", ge=0, le=250, unit="degrees")] = 180.0
    trays: Annotated[int, Setting("Trays in the oven.", ge=1)] = 2
    fan: Annotated[bool, Setting("Use the fan.")] = False


@dataclass(kw_only=True)
class Dough(Settings):
    """Options of another room."""

    panel: ClassVar[str] = "Dough"

    flour: Annotated[str, Setting("Kind of flour.", choices=("wheat", "rye"))] = "wheat"
    label: Annotated[str | None, Setting("Name of the dough.")] = None
    share: Annotated[float | None, Setting("Share of water.", gt=0, lt=1)] = None
    rests: Annotated[int | str, Setting("Number of rests.", ge=0, le=9, choices=("auto",), unit="rests")] = 0


@dataclass(kw_only=True)
class Bread(Oven, Dough):
    """All options. The bases stand in reverse of their order."""


RANGES = [
    (Setting("x"), "", ["", "any", 0, -1.5, None, math.nan, True], []),
    (Setting("x", ge=0), "at least 0", [0, 0.0, 7, 1e300], [-1, -0.001, math.nan, math.inf, -math.inf]),
    (Setting("x", gt=0), "above 0", [1e-9, 7], [0, -1, math.nan, math.inf]),
    (Setting("x", le=10_000), "at most 10,000", [10_000, -5], [10_001, math.inf]),
    (Setting("x", lt=1), "below 1", [0.999, -1], [1, 1.0]),
    (Setting("x", ge=0, le=64), "between 0 and 64", [0, 64], [-1, 65, 64.5]),
    (Setting("x", ge=0.5, le=1.5), "between 0.5 and 1.5", [0.5, 1.5], [0.4, 1.6]),
    (Setting("x", ge=0, lt=1), "at least 0 and below 1", [0, 0.9], [1, -0.1]),
    (Setting("x", gt=0, le=1), "above 0 and at most 1", [0.1, 1], [0, 1.1]),
    (Setting("x", ge=0, le=180, unit="degrees"), "between 0 and 180 degrees", [5], [181]),
    (Setting("x", ge=1, unit="photos"), "at least 1 photos", [1], [0]),
    (Setting("x", multiple_of=32), "a multiple of 32", [0, 32, -64], [1, 33]),
    (Setting("x", ge=32, multiple_of=32), "a multiple of 32, at least 32", [32, 224], [0, 16, 33]),
    (Setting("x", choices=("cpu", "cuda")), "one of cpu, cuda", ["cpu", "cuda"], ["CPU", "", "gpu", 0]),
    (
        Setting("x", ge=0, le=17, choices=("auto",), unit="blocks"),
        "between 0 and 17 blocks, or 'auto'",
        [0, 17, "auto"],
        [-1, 18, "all", "4", ""],
    ),
    (
        Setting("x", ge=1, choices=("few", "many")),
        "at least 1, or 'few' or 'many'",
        [1, "few", "many"],
        [0, "none"],
    ),
]


@pytest.mark.parametrize(("setting", "words", "allowed", "refused"), RANGES, ids=[words for _, words, _, _ in RANGES])
def test_a_range_in_words_and_what_it_allows(
    setting: Setting, words: str, allowed: list[Any], refused: list[Any]
) -> None:
    assert setting.expected == words
    assert [value for value in allowed if not setting.allows(value)] == []
    assert [value for value in refused if setting.allows(value)] == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"heat": 251}, "heat must be between 0 and 250 degrees, got 251"),
        ({"trays": 0}, "trays must be at least 1, got 0"),
        ({"flour": "oat"}, "flour must be one of wheat, rye, got 'oat'"),
        ({"share": 1.0}, "share must be above 0 and below 1, got 1.0"),
        ({"rests": "many"}, "rests must be between 0 and 9 rests, or 'auto', got 'many'"),
    ],
)
def test_values_out_of_range_are_refused_when_the_object_is_made(values: dict[str, Any], message: str) -> None:
    for make in (lambda: Bread(**values), lambda: Bread.from_mapping(values)):
        with pytest.raises(OptionError) as caught:
            make()
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"heat": "hot"}, "heat must be of type float, got 'hot'"),
        ({"heat": True}, "heat must be of type float, got True"),
        ({"heat": None}, "heat must be of type float, got None"),
        ({"trays": 2.0}, "trays must be of type int, got 2.0"),
        ({"trays": True}, "trays must be of type int, got True"),
        ({"fan": 1}, "fan must be of type bool, got 1"),
        ({"flour": None}, "flour must be of type str, got None"),
        ({"label": 3}, "label must be of type str | None, got 3"),
        ({"share": "much"}, "share must be of type float | None, got 'much'"),
        ({"rests": 1.5}, "rests must be of type int | str, got 1.5"),
        ({"rests": None}, "rests must be of type int | str, got None"),
    ],
)
def test_values_of_a_wrong_type_are_refused_in_a_mapping(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Bread.from_mapping(values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "values", [{}, {"heat": 200}, {"share": 0.6, "label": None}, {"rests": "auto"}, {"rests": 3}, {"fan": True}]
)
def test_a_mapping_has_the_rest_by_default(values: dict[str, Any]) -> None:
    assert Bread.from_mapping(values) == Bread(**values)


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(OptionError) as caught:
        Oven.from_mapping({"heta": 200})
    assert str(caught.value) == "unknown option 'heta': expected one of heat, trays, fan"


class TestOptions:
    def test_they_are_found_in_the_order_of_the_fields_with_panels_of_their_rooms(self) -> None:
        found = {option.name: option.panel for option in options_of(Bread)}
        assert list(found) == [field.name for field in fields(Bread)]
        assert found == {
            **dict.fromkeys(("flour", "label", "share", "rests"), "Dough"),
            **dict.fromkeys(("heat", "trays", "fan"), "Oven"),
        }

    def test_one_has_the_type_the_default_and_the_declaration(self) -> None:
        heat = next(option for option in options_of(Bread) if option.name == "heat")
        assert (heat.type, heat.default, heat.setting.help) == (float, 180.0, "Heat of the oven.")
        assert heat in options_of(Oven)

    def test_a_field_without_a_setting_is_no_option(self) -> None:
        @dataclass(kw_only=True)
        class Bakery(Oven):
            """An object that has settings, and more."""

            open: bool = True

        assert options_of(Bakery) == options_of(Oven)
        with pytest.raises(OptionError, match=r"^unknown option 'open'"):
            Bakery.from_mapping({"open": False})


class TestToml:
    @pytest.mark.parametrize(
        ("values", "lines"),
        [
            ({}, ""),
            ({"a": 1, "b": 0.5, "c": True, "d": "x"}, 'a = 1\nb = 0.5\nc = true\nd = "x"\n'),
            ({"a": None, "b": 1}, "b = 1\n"),
            ({"a": 'a "quote", a \\ and a\nline'}, 'a = "a \\"quote\\", a \\\\ and a\\nline"\n'),
        ],
    )
    def test_table(self, values: dict[str, Any], lines: str) -> None:
        assert to_toml(values) == lines

    @given(
        heat=st.floats(0, 250) | st.integers(0, 250),
        trays=st.integers(1),
        fan=st.booleans(),
        flour=st.sampled_from(["wheat", "rye"]),
        label=st.none() | st.text(),
        share=st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True),
        rests=st.integers(0, 9) | st.just("auto"),
    )
    def test_any_settings_come_back_from_a_file(self, **values: Any) -> None:
        settings = Bread(**values)
        assert Bread.from_mapping(tomllib.loads(to_toml(asdict(settings)))) == settings
