"""Cross-checks: label issues and the learning curve, from the linear head on the frozen base."""

from dataclasses import replace

import numpy as np
import pytest

from roadclear.report.messages import cross_validation_sentence
from roadclear.training import crosschecks
from roadclear.training.cross_validation import CrossValidationData, cross_validate
from roadclear.training.crosschecks import FOLDS, SHARES, Crosschecks, crosscheck
from roadclear.training.learning_curve import learning_curve
from roadclear.training.result import CrossValidated, TrainingResult

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checks(small_training: TrainingResult) -> Crosschecks:
    found = crosscheck(small_training)
    assert found is not None
    return found


def test_accuracy_is_that_of_cross_validation(checks: Crosschecks, small_training: TrainingResult) -> None:
    data = small_training.data
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups)
    crossed = cross_validate(sample, replace(small_training.settings, head="linear"), FOLDS, repeats=1)
    metrics = crossed.metrics
    assert checks.cross_validated == CrossValidated(FOLDS, metrics["accuracy"], metrics["balanced_accuracy"])


def test_the_curve_has_a_point_a_share(checks: Crosschecks) -> None:
    assert [point.share for point in checks.curve] == [*SHARES, 1.0]
    assert [point.photos for point in checks.curve] == sorted(point.photos for point in checks.curve)


def test_the_last_point_is_what_a_curve_of_all_photos_would_measure(
    checks: Crosschecks, small_training: TrainingResult
) -> None:
    data = small_training.data
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups)
    settings = replace(small_training.settings, head="linear")
    (measured,) = learning_curve(sample, settings, (1.0,), FOLDS, repeats=1)
    assert checks.curve[-1].photos == measured.photos
    assert checks.curve[-1].accuracies == pytest.approx(measured.accuracies, abs=0.051)  # a photo may be at the limit
    assert checks.curve[-1].accuracy.value == pytest.approx(measured.accuracy.value, abs=0.02)


def test_without_the_curve_the_rest_is_the_same(checks: Crosschecks, small_training: TrainingResult) -> None:
    assert crosscheck(small_training, with_curve=False) == replace(checks, curve=())


def test_a_label_that_was_swapped_is_found(small_training: TrainingResult) -> None:
    """Embeddings that tell the labels, and two labels that are wrong where they are told most clearly."""
    data = small_training.data
    truth = np.arange(len(data.photos)) % 2 == 0
    embeddings = np.random.default_rng(0).normal(0, 1, (len(truth), 1280)).astype(np.float32)
    wrong = (4, 17)
    strength = np.where(np.isin(np.arange(len(truth)), wrong), 1, 0.5)
    embeddings[:, :300] += (strength * np.where(truth, 1, -1))[:, None]
    labels = ["crossing" if right ^ (number in wrong) else "empty" for number, right in enumerate(truth.tolist())]
    photos = tuple(replace(photo, label=label) for photo, label in zip(data.photos, labels, strict=True))
    clear = replace(data, photos=photos, embeddings=embeddings, groups=np.arange(len(truth)))
    found = crosscheck(replace(small_training, data=clear))
    assert found is not None
    assert {issue.number for issue in found.label_issues} == set(wrong)
    by_number = {issue.number: issue.probability for issue in found.label_issues}
    assert by_number[4] > 0.5 > by_number[17]


def test_photos_that_are_too_much_alike_have_none(small_training: TrainingResult) -> None:
    alike = replace(small_training.data, groups=small_training.data.targets.astype(np.intp))
    assert crosscheck(replace(small_training, data=alike)) is None


def test_progress_is_reported(small_training: TrainingResult) -> None:
    reported: list[tuple[str, int, int]] = []
    crosscheck(small_training, lambda *progress: reported.append(progress))
    assert reported[FOLDS - 1] == ("Cross-validating", FOLDS, FOLDS)
    assert reported[-1] == ("Learning curve", FOLDS * len(SHARES), FOLDS * len(SHARES))


def test_many_photos_are_sampled_and_the_result_says_so(
    small_training: TrainingResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crosschecks, "MOST_SAMPLED", 40)
    found = crosscheck(small_training, with_curve=False)
    assert found is not None
    assert (found.sample, found.cross_validated.sample, found.cross_validated.accuracy.n) == (40, 40, 40)
    assert "each of 40 sampled photos tested in turn" in cross_validation_sentence(found.cross_validated)
