"""Settings: one declaration an option, with its type, default, range and help text.

Every room declares its options as a dataclass of `Setting` annotations. From that one declaration come the checks,
the configuration file, the command line and the option table of the documentation.

Example:
    >>> @dataclass(kw_only=True)
    ... class AugmentSettings(Settings):
    ...     panel: ClassVar[str] = "Augmentation"
    ...     views: Annotated[int, Setting("Augmented views per training photo.", ge=0, le=64)] = 1
    >>> AugmentSettings(views=65)
    Traceback (most recent call last):
    roadclear.errors.OptionError: views must be between 0 and 64, got 65
"""

import json
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin, get_type_hints

from roadclear.errors import OptionError


@dataclass(frozen=True)
class Setting:
    """The help text and the range of an option. None is always allowed where the type has it.

    Attributes:
        help: one or two sentences that stand alone.
        ge: smallest number.
        gt: number that all must be above.
        le: largest number.
        lt: number that all must be below.
        multiple_of: what a number must be a multiple of.
        choices: the texts that are allowed; beside bounds, the texts that may stand in place of a number.
        unit: what a number counts, for the message ("degrees").
        metavar: what the help shows in place of a value ("FILE").
    """

    help: str
    _: KW_ONLY
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    metavar: str = ""

    @property
    def expected(self) -> str:
        """The range in words; empty where everything of the type is allowed."""
        if self.choices and self._limits():
            return f"{self._limits()}, or {' or '.join(map(repr, self.choices))}"
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return self._limits()

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type is in the range."""
        if isinstance(value, str):
            return not self.expected or value in self.choices
        if self.choices and not self._limits():
            return False
        if not isinstance(value, int | float) or not self._limits():
            return True
        return (
            math.isfinite(value)
            and (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
            and (self.multiple_of is None or value % self.multiple_of == 0)
        )

    def _limits(self) -> str:
        words = [f"a multiple of {self.multiple_of}"] if self.multiple_of is not None else []
        return ", ".join([*words, *self._bounds()])

    def _bounds(self) -> list[str]:
        unit = f" {self.unit}" if self.unit else ""
        if self.ge is not None and self.le is not None:
            return [f"between {_number(self.ge)} and {_number(self.le)}{unit}"]
        lower = [f"at least {_number(self.ge)}"] if self.ge is not None else []
        lower += [f"above {_number(self.gt)}"] if self.gt is not None else []
        upper = [f"at most {_number(self.le)}"] if self.le is not None else []
        upper += [f"below {_number(self.lt)}"] if self.lt is not None else []
        bounds = " and ".join(lower + upper)
        return [bounds + unit] if bounds else []


@dataclass(frozen=True)
class Option:
    """A declared option.

    Attributes:
        name: its name in Python and in the configuration file.
        type: its type, None included where it may be left out.
        default: its default value.
        setting: its help text and range.
        panel: the group of options in which the help shows it.
    """

    name: str
    type: Any
    default: Any
    setting: Setting
    panel: str


@dataclass(kw_only=True)
class Settings:
    """Base of all settings. Values are checked when the object is made, and are not changed after that.

    Raises:
        OptionError: a value is out of its range.
    """

    panel: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for option in options_of(type(self)):  # type: ignore[arg-type]
            value = getattr(self, option.name)
            if value is not None and not option.setting.allows(value):
                raise OptionError(f"{option.name} must be {option.setting.expected}, got {value!r}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Settings by name, as a configuration file has them.

        Raises:
            OptionError: a name is unknown, a value has the wrong type or is out of range.
        """
        known = {option.name: option for option in options_of(cls)}  # type: ignore[arg-type]
        for name, value in values.items():
            if name not in known:
                raise OptionError(f"unknown option {name!r}: expected one of {', '.join(known)}")
            expected = known[name].type
            if not isinstance(value, _accepted(expected)) or (isinstance(value, bool) and expected is not bool):
                raise OptionError(f"{name} must be of type {_type_name(expected)}, got {value!r}")
        return cls(**values)


@dataclass(kw_only=True)
class SeedSettings(Settings):
    """The seed of everything that is drawn at random."""

    panel: ClassVar[str] = "Data"

    seed: Annotated[int, Setting("Random seed of splits, folds, training and augmentation.", ge=0, lt=2**32)] = 0


@cache
def options_of(kind: type[Settings]) -> tuple[Option, ...]:
    """All options of a settings class, in the order of the configuration file."""
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for field in fields(kind):
        hint = hints[field.name]
        if get_origin(hint) is Annotated and isinstance(get_args(hint)[1], Setting):
            home = next(base for base in kind.__mro__ if field.name in vars(base).get("__annotations__", {}))
            value, setting = get_args(hint)[:2]
            found.append(Option(field.name, value, field.default, setting, home.panel))  # type: ignore[attr-defined]
    return tuple(found)


def to_toml(values: Mapping[str, str | float | None]) -> str:
    """Lines of TOML, one a value. Left out is what is None, which TOML cannot say."""
    return "".join(f"{name} = {_toml_value(value)}\n" for name, value in values.items() if value is not None)


def _toml_value(value: str | float) -> str:
    """A string, number or boolean in TOML; JSON writes them the same way, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _accepted(annotation: Any) -> Any:
    """An annotation's types; an integer also stands for a float."""
    return annotation | int if annotation is float or float in get_args(annotation) else annotation


def _type_name(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", annotation))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
