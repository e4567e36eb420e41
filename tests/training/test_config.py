"""Every option of a training has a default, a type and a range, and says in one line what was wrong."""

import math
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.data.settings import GroupSettings, LabelSettings, SourceSettings, SplitSettings
from roadclear.errors import OptionError
from roadclear.features.settings import EngineSettings, FeatureSettings
from roadclear.images.settings import AugmentSettings
from roadclear.model.settings import DecisionSettings, HeadSettings
from roadclear.training.config import FinetuneSettings, TrainSettings
from roadclear.utils.settings import SeedSettings, Settings, options_of

ROOMS = (
    LabelSettings,
    SourceSettings,
    SeedSettings,
    FeatureSettings,
    SplitSettings,
    GroupSettings,
    AugmentSettings,
    HeadSettings,
    FinetuneSettings,
    DecisionSettings,
    EngineSettings,
)

ALLOWED: dict[str, list[Any]] = {
    "positive": [None, "crossing"],
    "seed": [0, 2**32 - 1],
    "size": [None, 32, 96, 224, 448],
    "views": [0, 64],
    "rotation": [0, 0.0, 180],
    "zoom": [0, 0.999],
    "flip": [0, 1],
    "head": ["dense", "linear"],
    "learning_rate": [1e-9, 1],
    "batch_size": [1, 100_000],
    "epochs": [1, 10_000],
    "patience": [1, 10_000],
    "min_recall": [None, 1e-9, 0.95, 1],
    "engine": ["openvino", "onnxruntime"],
    "precision": ["auto", "f32", "mixed", "bf16"],
    "group_by_page": [False, True],
    "weights_file": [None, "weights.pt"],
}
OUT_OF_RANGE: dict[str, list[Any]] = {
    "seed": [-1, 2**32],
    "size": [0, -32, 31, 100, 225, 2080],
    "views": [-1, 65],
    "rotation": [-0.1, 180.1, math.nan, math.inf],
    "zoom": [-0.1, 1, math.nan],
    "flip": [-0.1, 1.1, math.nan],
    "head": ["deep", ""],
    "learning_rate": [0, -1e-4, 1.1, math.nan],
    "batch_size": [0],
    "epochs": [0, 10_001],
    "patience": [0],
    "min_recall": [0, -0.5, 1.1, math.nan],
    "engine": ["tensorflow", "OpenVINO"],
    "precision": ["f16", "F32"],
}
WRONG_TYPE: dict[str, list[Any]] = {
    "positive": [1, True],
    "seed": [1.0, "1", None, True],
    "size": [224.0, "224"],
    "rotation": ["10", None, True, [10]],
    "head": [None, 1],
    "download_weights": [1, "yes", None],
    "min_recall": ["0.9", True],
    "weights_file": [3],
}


def cases(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(ALLOWED))
def test_allowed_values(name: str, value: Any) -> None:
    assert getattr(TrainSettings(**{name: value}), name) == value
    assert TrainSettings.from_mapping({name: value}) == TrainSettings(**{name: value})


@pytest.mark.parametrize(("name", "value"), cases(OUT_OF_RANGE))
def test_values_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        TrainSettings(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} must be ")
    assert message.endswith(f", got {value!r}")
    assert "\n" not in message


@pytest.mark.parametrize(("name", "value"), cases(WRONG_TYPE))
def test_values_of_a_wrong_type(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{name} must be of type .*, got "):
        TrainSettings.from_mapping({name: value})


def test_unknown_names() -> None:
    with pytest.raises(
        OptionError, match=r"^unknown option 'learningrate': expected one of positive, label_column, .*precision$"
    ):
        TrainSettings.from_mapping({"learningrate": 0.1})


def test_the_defaults_are_the_recipe() -> None:
    settings = TrainSettings()
    assert (settings.size, settings.weights, settings.head) == (None, "imagenet", "dense")
    assert (settings.learning_rate, settings.batch_size, settings.min_recall) == (1e-4, 32, None)
    assert (settings.engine, settings.precision) == ("openvino", "auto")


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_a_room_s_options_are_the_training_s(room: type[Settings]) -> None:
    """One declaration: the same range, default and help everywhere, and no conversion between them."""
    assert isinstance(TrainSettings(), room)
    assert set(options_of(room)) <= set(options_of(TrainSettings))


def test_every_option_is_of_a_room() -> None:
    assert set(options_of(TrainSettings)) == {option for room in ROOMS for option in options_of(room)}


def test_every_option_has_help_and_a_panel() -> None:
    for option in options_of(TrainSettings):
        assert option.setting.help.endswith("."), option.name
        assert option.panel, option.name


def test_the_order_is_that_of_config_toml() -> None:
    names = [option.name for option in options_of(TrainSettings)]
    assert names == list(asdict(TrainSettings()))
    assert names[:4] == ["positive", "label_column", "image_column", "seed"]
    assert names[-2:] == ["engine", "precision"]


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32 - 1),
    rotation=st.floats(0, 180) | st.integers(0, 180),
    min_recall=st.none() | st.floats(0, 1, exclude_min=True) | st.just(1),
    positive=st.none() | st.text(),
    group_by_page=st.booleans(),
)
def test_settings_survive_a_mapping(**values: Any) -> None:
    settings = TrainSettings(**values)
    assert TrainSettings.from_mapping(asdict(settings)) == settings
