"""train --unfreeze auto: the number of blocks that does best on validation, of what there is time for."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from process import QUICK, roadclear

from roadclear.data.dataset import load_folder
from roadclear.features.cache import open_cache
from roadclear.report.page import build_report
from roadclear.training.config import AUTO, TrainSettings
from roadclear.training.finetune.depth_search import DEPTHS, clearly_lower
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.utils.progress import ProgressCallback, no_progress

pytestmark = pytest.mark.slow

MUCH, NONE = 1e6, 1e-6


class EndedError(Exception):
    """Stands in for whatever ends a training."""


def trained(
    photos: Path, cache: Path | None = None, progress: ProgressCallback = no_progress, **options: object
) -> TrainingResult:
    chosen = TrainSettings(size=96, epochs=5, finetune_epochs=3, finetune_views=1, **options)  # type: ignore[arg-type]
    with open_cache(cache) as features:
        return train(load_folder(photos), chosen, features, progress)


@pytest.fixture(scope="module")
def chosen(drawn_photos: Path) -> TrainingResult:
    return trained(drawn_photos, unfreeze=AUTO, finetune_seconds=MUCH)


def test_all_are_tried_and_what_is_taken_is_no_worse_than_the_frozen_base(chosen: TrainingResult) -> None:
    assert [trial.blocks for trial in chosen.trials] == [0, *DEPTHS]
    losses = {trial.blocks: trial.validation_loss for trial in chosen.trials}
    taken = chosen.settings.unfreeze
    assert chosen.facts.training["options"]["unfreeze"] == taken
    assert losses[int(taken)] <= losses[0]


@pytest.mark.parametrize(
    ("losses", "others", "expected"),
    [
        ([0.1, 0.2, 0.3], [0.3, 0.4, 0.5], True),  # the same gain everywhere
        ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], False),
        ([0.3, 0.4, 0.5], [0.1, 0.2, 0.3], False),
        ([0.0, 0.5, 0.5], [0.9, 0.4, 0.4], False),  # lower on average, by one photo: 0.23, standard error 0.33
        ([0.0, 0.0, 0.5, 0.5], [0.3, 0.3, 0.4, 0.6], True),  # 0.15, standard error 0.10
    ],
)
def test_what_is_better_by_chance_is_not_better(losses: list[float], others: list[float], expected: bool) -> None:
    assert clearly_lower(np.array(losses), np.array(others)) is expected


def test_its_number_gives_the_same_model_again(chosen: TrainingResult, drawn_photos: Path) -> None:
    again = trained(drawn_photos, unfreeze=chosen.settings.unfreeze, finetune_seconds=MUCH)
    assert again.model == chosen.model
    np.testing.assert_array_equal(again.probabilities, chosen.probabilities)
    assert again.trials == ()


def test_without_time_the_fewest_blocks_are_tried_all_the_same(drawn_photos: Path) -> None:
    training = trained(drawn_photos, unfreeze=AUTO, finetune_seconds=NONE)
    assert [trial.blocks for trial in training.trials] == [0, DEPTHS[0]]
    losses = [trial.validation_loss for trial in training.trials]
    assert training.settings.unfreeze == (DEPTHS[0] if losses[1] < losses[0] else 0)


def test_where_fine_tuning_does_harm_the_base_stays_frozen(drawn_photos: Path, tmp_path: Path) -> None:
    """A learning rate that destroys the network; and no checkpoint is left behind."""
    cache = tmp_path / "features.sqlite"
    training = trained(drawn_photos, cache, unfreeze=AUTO, finetune_seconds=MUCH, finetune_learning_rate=0.1)
    assert training.settings.unfreeze == 0
    frozen, *others = training.trials
    assert min(trial.validation_loss for trial in others) > frozen.validation_loss
    assert list(tmp_path.glob("checkpoint-*")) == []


def test_ended_it_goes_on_where_it_was(chosen: TrainingResult, drawn_photos: Path, tmp_path: Path) -> None:
    """Numbers of blocks that are done are not trained again."""
    first, *_, last = (f"Fine-tuning {blocks} blocks" for blocks in DEPTHS)

    def end(stage: str, done: int, total: int) -> None:
        if (stage, done) == (last, 2):
            raise EndedError

    cache, told = tmp_path / "features.sqlite", set()
    with pytest.raises(EndedError):
        trained(drawn_photos, cache, end, unfreeze=AUTO, finetune_seconds=MUCH)
    again = trained(drawn_photos, cache, lambda *of: told.add(of), unfreeze=AUTO, finetune_seconds=MUCH)
    assert again.model == chosen.model
    epochs = {(stage, done) for stage, done, total in told if stage in (first, last)}
    assert epochs == {(last, 3)}
    assert list(tmp_path.glob("checkpoint-*")) == []


@pytest.mark.parametrize("seconds", [MUCH, NONE])
def test_the_terminal_says_what_was_tried(drawn_photos: Path, tmp_path: Path, seconds: float) -> None:
    options = ("--unfreeze", "auto", "--finetune-epochs", "2", "--finetune-seconds", str(seconds))
    ended = roadclear("train", drawn_photos, "--out", tmp_path / "run", *QUICK, *options)
    assert (ended.code, ended.err) == (0, "")
    said = " ".join(ended.out.decode().split())
    trials = json.loads((tmp_path / "run" / "metrics.json").read_text())["unfreezing_trials"]
    assert [trial["blocks"] for trial in trials] == [0, *(DEPTHS[:1] if seconds == NONE else DEPTHS)]
    assert all(f"{trial['validation_loss']:.3f} with {trial['blocks']} blocks" in said for trial in trials)
    last = ended.out.decode().splitlines()[-1]
    if seconds == NONE:
        assert last.startswith("Time ran out: 8 and 11 fine-tuned blocks were not tried")
        assert last.endswith("To try them, raise --finetune-seconds.")
    else:
        assert "Time ran out" not in said


def test_the_report_says_how_it_was_chosen(chosen: TrainingResult, drawn_photos: Path) -> None:
    page = build_report(chosen, drawn_photos, None).decode()
    assert all(f"{trial.validation_loss:.3f} with {trial.blocks} blocks" in page for trial in chosen.trials)
