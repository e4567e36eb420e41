"""An option is declared once: one line in a settings class, and it is everywhere."""

import importlib.util
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from typer.testing import CliRunner

from roadclear.cli.options import PANELS, takes
from roadclear.errors import OptionError
from roadclear.model.settings import HeadSettings
from roadclear.training.config import TrainSettings
from roadclear.training.run_files import config
from roadclear.utils.settings import Setting, Settings, options_of

REFERENCE = Path(__file__).parents[2] / "scripts" / "write_reference.py"
CONSOLE = {"COLUMNS": "200", "TERMINAL_WIDTH": "200", "NO_COLOR": "1"}


@dataclass(kw_only=True)
class MoreHeadSettings(HeadSettings):
    """The options of the head with one more, declared in this one line."""

    dropout: Annotated[float, Setting("Share of channels to drop in training.", ge=0, lt=1)] = 0.25


@dataclass(kw_only=True)
class MoreTrainSettings(MoreHeadSettings, TrainSettings):
    """A training with the option that its room has."""


@dataclass(kw_only=True, eq=False, repr=False)
class MoreClassifier(MoreTrainSettings, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator with the option that its training has."""


def command_with(*kinds: type[Settings], given: dict[str, Any], **extras: Any) -> typer.Typer:
    """A command that notes what it was given."""
    app = typer.Typer()

    @app.command()
    @takes(*kinds, **extras)
    def train(chosen: dict[str, Any], photos: Path, out: Annotated[Path | None, typer.Option()] = None) -> None:
        given.update(chosen, photos=photos, out=out)

    return app


def invoke(app: typer.Typer, *arguments: str) -> str:
    ended = CliRunner().invoke(app, arguments, env=CONSOLE)
    assert ended.exit_code == 0, ended.output
    return ended.output


class TestOneMoreOption:
    """What one line brings."""

    def test_the_command_line_shows_it_in_its_panel_with_help_range_and_default(self) -> None:
        shown = invoke(command_with(MoreTrainSettings, given={}), "--help")
        panels = dict(re.findall(r"─ (\S+) ─+╮\n(.*?)╰", shown, flags=re.DOTALL))
        (line,) = [line for line in panels["Head"].splitlines() if "--dropout" in line]
        assert "Share of channels to drop in training. (at least 0 and below 1)" in line
        assert "[default: 0.25]" in line
        assert "--learning-rate" in panels["Head"]

    def test_the_command_takes_it(self) -> None:
        given: dict[str, Any] = {}
        invoke(command_with(MoreTrainSettings, given=given), "photos", "--dropout", "0.5")
        assert given == {"photos": Path("photos"), "out": None, "dropout": 0.5}
        del given["photos"], given["out"]
        assert MoreTrainSettings.from_mapping(given).dropout == 0.5

    def test_it_is_checked(self) -> None:
        with pytest.raises(OptionError, match=r"^dropout must be at least 0 and below 1, got 1\.0$"):
            MoreTrainSettings.from_mapping({"dropout": 1.0})

    def test_config_toml_has_it(self) -> None:
        text = config("photos", MoreTrainSettings(dropout=0.5)).decode()
        assert "\ndropout = 0.5\n" in text
        values = tomllib.loads(text)
        del values["photos"]
        assert MoreTrainSettings.from_mapping(values) == MoreTrainSettings(dropout=0.5)

    def test_an_estimator_has_it(self) -> None:
        assert MoreClassifier().get_params()["dropout"] == 0.25
        assert clone(MoreClassifier(dropout=0.5)).get_params()["dropout"] == 0.5
        assert MoreClassifier().set_params(dropout=0.75).dropout == 0.75

    def test_the_table_of_options_has_it(self) -> None:
        spec = importlib.util.spec_from_file_location("write_reference", REFERENCE)
        assert spec is not None and spec.loader is not None
        reference = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(reference)
        table = reference.option_table(MoreTrainSettings)
        (row,) = [line for line in table.splitlines() if "dropout" in line]
        for words in ("0.25", "at least 0 and below 1", "Share of channels to drop in training."):
            assert words in row
        # It stands among the options of the head, before the next heading.
        head = table.split("## Head")[1].split("## ")[0]
        assert row in head


class TestTakes:
    def test_only_what_the_user_named_is_given(self) -> None:
        given: dict[str, Any] = {}
        invoke(command_with(TrainSettings, given=given), "photos", "--seed", "0", "--out", "x")
        assert given == {"photos": Path("photos"), "out": Path("x"), "seed": 0}

    def test_a_command_may_leave_some_out(self) -> None:
        shown = invoke(command_with(TrainSettings, given={}, without=("split", "seed")), "--help")
        assert "--split" not in shown and "--seed" not in shown
        assert "--size" in shown

    def test_a_command_may_have_another_default(self) -> None:
        given: dict[str, Any] = {}
        app = command_with(TrainSettings, given=given, head="linear")
        assert "[default: linear]" in invoke(app, "--help")
        invoke(app, "photos")
        assert given["head"] == "linear"
        invoke(app, "photos", "--head", "dense")
        assert given["head"] == "dense"

    @pytest.mark.parametrize(("word", "value"), [("4", 4), ("auto", "auto"), ("-1", -1), ("many", "many")])
    def test_a_number_or_a_word(self, word: str, value: int | str) -> None:
        """The settings say which of them are allowed, in one place for all ways in."""
        given: dict[str, Any] = {}
        invoke(command_with(TrainSettings, given=given), "photos", "--unfreeze", word)
        assert given["unfreeze"] == value

    def test_a_switch_has_no_opposite(self) -> None:
        given: dict[str, Any] = {}
        app = command_with(TrainSettings, given=given)
        invoke(app, "photos", "--group-by-page")
        assert given["group_by_page"] is True
        assert "--no-group-by-page" not in invoke(app, "--help")


def test_every_option_is_in_a_panel_that_the_help_shows() -> None:
    assert {option.panel for option in options_of(TrainSettings)} <= set(PANELS)
