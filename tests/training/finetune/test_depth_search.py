"""train --unfreeze auto: the number of blocks that does best on validation, of what there is time for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from process import QUICK, roadclear

from roadclear.data.dataset import load_folder
from roadclear.features.cache import open_cache
from roadclear.report.messages import depth_sentences, time_limit_sentence
from roadclear.report.page import build_report
from roadclear.training.config import AUTO, TrainSettings
from roadclear.training.finetune.depth_search import DEPTHS, clearly_lower, is_preferred
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.utils.progress import ProgressCallback, no_progress

pytestmark = pytest.mark.slow

MUCH, NONE = 1e6, 1e-6
EPOCHS = 2


class EndedError(Exception):
    """Stands in for whatever ends a training."""


def trained(photos: Path, cache: Path, progress: ProgressCallback = no_progress, **options: object) -> TrainingResult:
    values = {"size": 96, "epochs": 5, "finetune_epochs": EPOCHS, "finetune_views": 1, "finetune_seconds": MUCH}
    with open_cache(cache) as features:
        return train(load_folder(photos), TrainSettings(**values, **options), features, progress)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the first training fills."""
    return tmp_path_factory.mktemp("warm") / "features.sqlite"


@pytest.fixture(scope="module")
def chosen(drawn_photos: Path, warm: Path) -> TrainingResult:
    return trained(drawn_photos, warm, unfreeze=AUTO)


@pytest.fixture
def cache(chosen: TrainingResult, warm: Path, tmp_path: Path) -> Path:
    """A cache with the features of all photos, in a folder of its own."""
    return Path(shutil.copy(warm, tmp_path))


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


LOW, SCATTERED, HIGH = [0.10, 0.12, 0.11, 0.09], [0.02, 0.30, 0.01, 0.28], [0.60, 0.62, 0.61, 0.59]


@pytest.mark.parametrize(
    ("losses", "others", "over_frozen", "few", "expected"),
    [
        (LOW, HIGH, True, True, True),
        (LOW, HIGH, True, False, True),
        (LOW, HIGH, False, False, True),
        (HIGH, LOW, True, True, False),
        (HIGH, LOW, True, False, False),
        (HIGH, LOW, False, False, False),
        # Higher by chance.
        (SCATTERED, LOW, True, True, False),
        (SCATTERED, LOW, True, False, True),
        (SCATTERED, LOW, False, False, False),
        # Lower by chance.
        (LOW, SCATTERED, True, True, True),
        (LOW, SCATTERED, True, False, True),
        (LOW, SCATTERED, False, False, False),
    ],
)
def test_many_photos_are_fine_tuned_unless_it_clearly_harms_and_few_only_where_it_helps(
    losses: list[float], others: list[float], over_frozen: bool, few: bool, expected: bool
) -> None:
    assert is_preferred(np.array(losses), np.array(others), over_frozen, few) is expected


def test_its_number_gives_the_same_model_again(chosen: TrainingResult, drawn_photos: Path, cache: Path) -> None:
    again = trained(drawn_photos, cache, unfreeze=chosen.settings.unfreeze)
    assert again.model == chosen.model
    np.testing.assert_array_equal(again.probabilities, chosen.probabilities)
    assert again.trials == ()


def test_where_fine_tuning_does_harm_the_base_stays_frozen(drawn_photos: Path, cache: Path) -> None:
    """A learning rate that destroys the network; and no checkpoint is left behind."""
    training = trained(drawn_photos, cache, unfreeze=AUTO, finetune_learning_rate=0.1)
    assert training.settings.unfreeze == 0
    frozen, *others = training.trials
    assert min(trial.validation_loss for trial in others) > frozen.validation_loss
    assert list(cache.parent.glob("checkpoint-*")) == []


def test_ended_it_goes_on_where_it_was(chosen: TrainingResult, drawn_photos: Path, cache: Path) -> None:
    """Numbers of blocks that are done are not trained again."""
    first, *_, last = (f"Fine-tuning {blocks} blocks" for blocks in DEPTHS)

    def end(stage: str, done: int, total: int) -> None:
        if (stage, done) == (last, EPOCHS - 1):
            raise EndedError

    told = set()
    with pytest.raises(EndedError):
        trained(drawn_photos, cache, end, unfreeze=AUTO)
    again = trained(drawn_photos, cache, lambda *of: told.add(of), unfreeze=AUTO)
    assert again.model == chosen.model
    epochs = {(stage, done) for stage, done, total in told if stage in (first, last)}
    assert epochs == {(last, EPOCHS)}
    assert list(cache.parent.glob("checkpoint-*")) == []


def test_without_time_the_fewest_blocks_are_tried_and_the_terminal_says_so(drawn_photos: Path, cache: Path) -> None:
    options = ("--unfreeze", "auto", "--finetune-epochs", "1", "--finetune-views", "1", "--finetune-seconds", str(NONE))
    own = {"ROADCLEAR_CACHE_DIR": str(cache.parent)}
    ended = roadclear("train", drawn_photos, "--out", cache.with_name("run"), *QUICK, *options, env=own)
    assert (ended.code, ended.err) == (0, "")
    metrics = json.loads((cache.with_name("run") / "metrics.json").read_text())
    trials = metrics["unfreezing_trials"]
    assert [trial["blocks"] for trial in trials] == [0, DEPTHS[0]]
    frozen, tuned = (trial["validation_loss"] for trial in trials)
    assert metrics["unfrozen"] == (DEPTHS[0] if tuned < frozen else 0)
    said = " ".join(ended.out.decode().split())
    assert all(f"{trial['validation_loss']:.3f} with {trial['blocks']} blocks" in said for trial in trials)
    last = ended.out.decode().splitlines()[-1]
    assert last.startswith("Time ran out: 8 and 11 fine-tuned blocks were not tried")
    assert last.endswith("To try them, raise --finetune-seconds.")


def test_the_terminal_and_the_report_say_how_it_was_chosen(chosen: TrainingResult, drawn_photos: Path) -> None:
    page, said = build_report(chosen, drawn_photos, None).decode(), depth_sentences(chosen)
    for trial in chosen.trials:
        losses = f"{trial.validation_loss:.3f} with {trial.blocks} blocks"
        assert losses in page and losses in said
    assert time_limit_sentence(chosen) == ""
