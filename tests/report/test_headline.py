"""The headline does not flatter: seen test photos, unequal labels, few photos and lucky splits change its words."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trained import FAST, train_folder

from roadclear.metrics.classification import evaluate
from roadclear.metrics.intervals import Estimate, share_of
from roadclear.report.headline import closing_lines, headline
from roadclear.report.messages import beside_sentence, time_limit_sentence, validate_sentence
from roadclear.report.words import plus_minus, several, share
from roadclear.training.finetune.blocks import DepthTrial
from roadclear.training.leakage import measure_leakage
from roadclear.training.result import CrossValidated, TrainingResult

CROSSED = CrossValidated(5, Estimate(0.949, (0.933, 0.965), 200), Estimate(0.70, (0.6, 0.8), 200))


@pytest.fixture(scope="module")
def training(drawn_photos: Path) -> TrainingResult:
    return train_folder(drawn_photos)


@pytest.fixture(scope="module")
def seen(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A training whose three folders hold the same photos."""
    photos = tmp_path_factory.mktemp("seen")
    for split in ("train", "valid", "test"):
        shutil.copytree(drawn_photos, photos / split)
    return train_folder(photos)


def on_test_split(training: TrainingResult, positive: list[bool], probability: list[float]) -> TrainingResult:
    """The training with another result on its test split."""
    test = evaluate(np.array(positive), np.array(probability), 0.5)
    return replace(training, evaluations={**training.evaluations, "test": test})


class TestSeenPhotos:
    def test_a_headline_of_seen_photos_says_so_first(self, seen: TrainingResult) -> None:
        top = headline(seen, CROSSED)
        n = seen.evaluations["test"].metrics["accuracy"].n
        assert f"{n} of {n} test photos are in training too" in top.lead
        assert "shows memory, not skill" in top.lead
        assert top.sentences[0].startswith(f"{n} of {n} test photos are in training too")
        assert not any("held back" in sentence for sentence in top.sentences)
        assert top.accuracy == CROSSED.accuracy
        assert "because every test photo is in training too" in top.caption

    def test_without_cross_validation_the_number_is_no_test(self, seen: TrainingResult) -> None:
        top = headline(seen, None)
        assert top.lead.endswith("shows memory, not skill.")
        assert top.caption.endswith("but every test photo is in training too")

    @pytest.mark.slow
    def test_where_some_are_seen_the_others_count(self, training: TrainingResult) -> None:
        data = training.data
        groups, test = data.groups.copy(), data.numbers("test")
        groups[test[:3]] = groups[data.numbers("train")[0]]
        leaky = replace(data, groups=groups)
        changed = replace(training, data=leaky, leakage=measure_leakage(leaky, 0))
        top = headline(changed, CROSSED)
        right = (training.probabilities >= training.facts.threshold) == (data.targets == 1)
        assert changed.leakage.leaking_test_photos == 3
        assert top.accuracy == share_of(right[test[3:]], groups[test[3:]])
        assert "on the test photos that share nothing with training" in top.lead
        assert f"3 of {len(test)} test photos are in training too" in top.lead


class TestNumbers:
    def test_the_cross_validated_number_stands_beside_that_of_the_split(self, training: TrainingResult) -> None:
        test = Estimate(0.992, (0.954, 0.999), 120)
        assert beside_sentence(test, training, CROSSED, "+-") == (
            "94.9% +- 1.6 in cross-validation of the linear head; 99.2% on this split (95% interval 95.4% to 99.9%, "
            "120 test photos)."
        )

    def test_of_a_fine_tuned_model_it_is_another_recipe_s(self, training: TrainingResult) -> None:
        settings = replace(training.settings, unfreeze=4)
        tuned = replace(training, settings=settings, timing={**training.timing, "finetune_s": 48.0})
        said = beside_sentence(Estimate(0.992, (0.954, 0.999), 120), tuned, CROSSED, "+-")
        assert said.startswith("99.2% on this split")
        assert said.endswith("the linear head on the frozen base reaches 94.9% +- 1.6 in cross-validation.")
        assert "roadclear validate PHOTOS --unfreeze 4 does so, in about 12 minutes." in validate_sentence(tuned)
        assert validate_sentence(tuned) in headline(tuned, CROSSED).warnings
        assert "PHOTOS --unfreeze 4 does so." in validate_sentence(replace(tuned, workers=2))
        assert validate_sentence(training) == ""

    def test_few_photos_are_a_count(self, training: TrainingResult) -> None:
        top = headline(on_test_split(training, [True, False], [0.9, 0.8]), None)
        assert top.lead == "1 of 2 photos right on this split, too few to say more (95% interval 9.5% to 90.5%)."
        assert "the model was right 1 time." in top.sentences[0]
        assert not any("%" in sentence for sentence in top.sentences[:1])

    def test_of_unequal_labels_the_balanced_accuracy_is_said(self, training: TrainingResult) -> None:
        top = headline(on_test_split(training, [True] * 3 + [False] * 60, [0.1] * 63), CROSSED)
        assert (
            "Balanced accuracy, in which both labels count the same: 70.0% {sign} 10.0 in cross-validation" in top.lead
        )
        assert "; 50.0% on this split; always giving one answer reaches 50.0%." in top.lead
        assert top.warnings[0] == "The model recognised none of the 3 crossing photos."

    def test_of_equal_labels_it_is_not(self, training: TrainingResult) -> None:
        assert "Balanced" not in headline(training, CROSSED).lead

    def test_a_split_above_cross_validation_may_be_lucky(self, training: TrainingResult) -> None:
        lucky = on_test_split(training, [True] * 60 + [False] * 60, [0.9] * 60 + [0.1] * 60)
        assert any("may be a lucky one" in warning for warning in headline(lucky, CROSSED).warnings)
        assert not any("lucky" in warning for warning in headline(lucky, None).warnings)


class TestWarnings:
    def test_a_photo_under_both_labels_is_named(self, drawn_photos: Path, tmp_path: Path) -> None:
        photos = shutil.copytree(drawn_photos, tmp_path / "photos")
        shutil.copy(photos / "empty/empty-003.jpg", photos / "crossing/twice.jpg")
        conflicted = train_folder(photos, replace(FAST, epochs=1))
        assert [set(files) for files in conflicted.label_conflicts] == [{"crossing/twice.jpg", "empty/empty-003.jpg"}]
        said = " ".join(headline(conflicted, None).warnings)
        assert "1 photo lies under both labels, for example crossing/twice.jpg and empty/empty-003.jpg." in said

    def test_without_one_there_is_none(self, training: TrainingResult) -> None:
        assert training.label_conflicts == ()

    def test_a_coverage_that_cannot_be_promised_has_its_reason(self, training: TrainingResult) -> None:
        """n photos of a label promise at most n / (n + 1)."""
        assert not any("can promise no more" in w for w in headline(training, None).warnings)
        scores = training.head.scores
        band = scores.band(0.5, 0.999)
        asked = replace(
            training,
            settings=replace(training.settings, coverage=0.999),
            facts=replace(training.facts, band=band, promise=None),
        )
        (warning,) = (w for w in headline(asked, None).warnings if "can promise no more" in w)
        fewest = min(scores.photos)
        assert f"at least {fewest / (fewest + 1):.1%} of the photos of each label" in warning
        assert f"{fewest} " in warning and "not for the requested 99.9%" in warning

    def test_a_time_limit_that_was_reached_is_said(self, training: TrainingResult) -> None:
        trials = (DepthTrial(0, 0.3, 0.0), DepthTrial(4, 0.2, 20.0))
        said = time_limit_sentence(replace(training, trials=trials))
        assert said == (
            "Time ran out: 8 and 11 fine-tuned blocks were not tried within 50 s. To try them, raise "
            "--finetune-seconds."
        )
        assert time_limit_sentence(training) == ""


def test_words() -> None:
    assert plus_minus(CROSSED.accuracy) == "94.9% ± 1.6"
    assert plus_minus(Estimate(0.99, (0.95, 1.0), 50), "+-") == "99.0% +- 4.0"
    assert plus_minus(Estimate(0.99, (float("nan"), float("nan")), 50)) == "99.0%"
    assert share(Estimate(1.0, (0.2, 1.0), 1)) == "1 of 1 photo"
    assert share(Estimate(float("nan"), (0.0, 1.0), 0)) == "not defined"
    assert (several(["a"]), several(["a", "b"]), several(["a", "b", "c"])) == ("a", "a and b", "a, b and c")


class TestClosingLines:
    """What `evaluate` and `run` say last: the words of a training, for other photos."""

    def test_equal_labels(self) -> None:
        positive = np.arange(200) % 2 == 0
        lead, warnings = closing_lines(evaluate(positive, np.where(positive, 0.9, 0.1), 0.5), "crossing", "empty")
        assert lead == "100.0% (95% interval 98.1% to 100.0%, 200 photos)."
        assert warnings == ()

    def test_unequal_labels_and_few_photos(self) -> None:
        positive = np.arange(63) % 21 == 0
        lead, warnings = closing_lines(evaluate(positive, np.full(63, 0.1), 0.5), "crossing", "empty")
        assert "Balanced accuracy, in which both labels count the same: 50.0% (95% interval " in lead
        assert lead.endswith("); always giving one answer reaches 50.0%.")
        assert [warning.split(" ")[0] for warning in warnings] == ["The", "The", "Only"]
        assert warnings[0] == "The model recognised none of the 3 crossing photos."
        assert warnings[2].startswith("Only 63 photos: ")
