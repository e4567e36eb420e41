"""Numbers for the page, and the rule by which one label's photos would help most."""

import json
from typing import Any

import numpy as np
import pytest

from roadclear.deploy.studio.library import photo_id
from roadclear.deploy.studio.numbers import advise, task_values, values
from roadclear.deploy.studio.ports import Numbers, Task
from roadclear.metrics.classification import evaluate
from roadclear.metrics.comparison import Answers, compare_answers
from roadclear.model.decision.promise import Promise


def numbers(positive: int, negative: int, missed: int, alarms: int, **others: Any) -> Numbers:
    """So many photos a label, and so many of them that are answered wrongly."""
    truth = np.arange(positive + negative) < positive
    predicted = truth.copy()
    predicted[:missed] = False
    predicted[positive : positive + alarms] = True
    probability = np.where(predicted, 0.9, 0.1)
    groups = np.arange(len(truth))
    accuracy = evaluate(truth, probability, 0.5, groups).metrics["accuracy"]
    given: dict[str, Any] = {
        "labels": ("empty", "crossing"),
        "files": tuple(f"{'crossing' if one else 'empty'}/{number}.jpg" for number, one in enumerate(truth)),
        "positive": truth,
        "probability": probability,
        "predicted": predicted,
        "groups": groups,
        "accuracy": accuracy,
        "unsure": accuracy,
        "promise": None,
        "change": None,
        "seen": 0,
        "skipped": (),
        "seconds": 0.1,
    }
    return Numbers(**{**given, **others})


@pytest.mark.parametrize(
    ("counts", "rule", "label"),
    [
        pytest.param((100, 100, 20, 2), "errors", "crossing", id="many crossings are missed"),
        pytest.param((100, 100, 1, 15), "errors", "empty", id="many false alarms"),
        pytest.param((100, 100, 6, 3), "none", None, id="a difference that may be chance"),
        pytest.param((100, 100, 0, 0), "none", None, id="no error"),
        pytest.param((30, 100, 2, 5), "few", "crossing", id="few crossings"),
        pytest.param((100, 49, 3, 1), "few", "empty", id="few empty roads"),
        pytest.param((100, 50, 3, 1), "none", None, id="half as many are enough"),
        pytest.param((20, 100, 1, 30), "errors", "empty", id="errors before counts"),
    ],
)
def test_which_photos_would_help_most(counts: tuple[int, int, int, int], rule: str, label: str | None) -> None:
    advice = advise(numbers(*counts))
    assert (advice["rule"], advice["label"]) == (rule, label)
    assert advice["labels"]["crossing"]["photos"] == counts[0]
    assert advice["labels"]["empty"]["wrong"]["value"] == counts[3] / counts[1]


def test_frames_of_one_scene_are_little_evidence() -> None:
    alone = numbers(60, 60, 12, 4)
    assert advise(alone)["label"] == "crossing"
    scenes = np.concatenate([np.zeros(12), np.arange(1, 109)]).astype(np.intp)
    assert advise(numbers(60, 60, 12, 4, groups=scenes))["label"] is None


def test_values_are_plain_and_count_every_photo() -> None:
    before = numbers(10, 10, 3, 1)
    now = numbers(10, 10, 1, 1)
    change = compare_answers(
        now.positive, Answers(before.probability, before.predicted), Answers(now.probability, now.predicted), now.groups
    )
    found = json.loads(json.dumps(values(numbers(10, 10, 1, 1, change=change), 7), allow_nan=False))
    assert found["version"] == 7
    assert found["confusion"] == {"empty": {"empty": 9, "crossing": 1}, "crossing": {"empty": 1, "crossing": 9}}
    assert (found["change"]["better"], found["change"]["worse"], found["change"]["photos"]) == (2, 0, 20)
    assert found["change"]["told_apart"] is False and found["change"]["accuracy"]["value"] == pytest.approx(0.1)
    assert found["promise"] is None
    assert found["answers"][photo_id("crossing/0.jpg")] == [0.1, False]
    assert found["answers"][photo_id("crossing/5.jpg")] == [0.9, True]


@pytest.mark.parametrize(("bound", "stated", "kept"), [(0.048, 0.048, False), (0.004, 0.01, True)])
def test_the_promise_says_what_is_missing(bound: float, stated: float, kept: bool) -> None:
    promise = Promise(0.01, 0.9, bound, 255, 192, 5, 1.0, "cross-validation")
    found = values(numbers(10, 10, 1, 1, promise=promise), 1)["promise"]
    assert found == {
        "wanted": 0.01,
        "stated": stated,
        "kept": kept,
        "confidence": 0.9,
        "wrong": 5,
        "answered": 192,
        "needed": 230,
    }


def test_an_unlabelled_photo_is_called_as_in_its_folder() -> None:
    found = task_values(Task("label-next", ".unlabelled/frames/a.jpg", ""))
    assert (found["name"], found["label"], found["id"]) == ("frames/a.jpg", "", photo_id(".unlabelled/frames/a.jpg"))
    assert task_values(Task("unsure", "empty/a.jpg", "empty"))["name"] == "empty/a.jpg"
