"""The check of an export: what is refused, what is counted, and what the table says."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from roadclear.data.dataset import LabelledPhoto
from roadclear.deploy.export.check import Check, CheckPhotos, check_export, check_values, refusal
from roadclear.deploy.export.runners import Answer
from roadclear.errors import DatasetError, PhotoError
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.metadata import ModelFacts
from roadclear.utils.progress import no_progress
from roadclear.utils.tables import to_json

FACTS = ModelFacts(
    positive="crossing",
    negative="empty",
    threshold=0.5,
    aim="balanced",
    temperature=1.0,
    band=UnsureBand(0.5, 0.5, 0.95),
    distance_limit=0.5,
    size=96,
    head="linear",
    weights_name="drawn",
    weights_sha256="0" * 64,
    weights_origin="drawn",
    training={},
)


class Scripted:
    """A runner that gives the k-th photo the k-th logit. None is a photo that cannot be read."""

    def __init__(self, logits: Sequence[float | None], residual: float = 0.0, unsure: bool = False) -> None:
        self.logits, self.residual, self.unsure = logits, residual, unsure

    def answer(self, photo: Path) -> Answer:
        logit = self.logits[int(photo.stem)]
        if logit is None:
            raise PhotoError("no photo")
        return Answer(1 / (1 + math.exp(-logit)), logit, self.residual, self.unsure, False, 0.01)

    def close(self) -> None:
        pass


def photos(count: int, groups: Sequence[int] | None = None) -> CheckPhotos:
    """Photos by turns of both labels."""
    labels = ("crossing", "empty")
    rows = [LabelledPhoto(Path(f"{k}.jpg"), f"{k}.jpg", labels[k % 2], "test") for k in range(count)]
    return CheckPhotos(rows, groups, "drawn photos")


def right(count: int, wrong: int = 0) -> list[float | None]:
    """Logits of which the first ones are wrong."""
    return [(-3.0 if k % 2 else 3.0) * (-1 if k < wrong else 1) for k in range(count)]


def checked(exported: Scripted, count: int = 200, original: Scripted | None = None) -> Check:
    first = original or Scripted(right(count))
    return check_export(FACTS, (first, 1.0), ("other", exported, 2.0), photos(count), no_progress)


@pytest.mark.parametrize(
    ("exported", "exact", "words"),
    [
        (Scripted(right(200)), True, None),
        (Scripted(right(200, wrong=3)), False, None),
        (Scripted(right(200, wrong=20)), False, "a drop of the accuracy of at most 1 points, found 10.0"),
        (Scripted([1.01 * (logit or 0.0) for logit in right(200)]), True, None),
        (Scripted([1.1 * (logit or 0.0) for logit in right(200)]), True, "logits within 0.05"),
        (Scripted([1.1 * (logit or 0.0) for logit in right(200)]), False, None),
        (Scripted(right(200), residual=0.1), False, "a map that adds up"),
        (Scripted([*right(199), math.nan]), False, "found NaN or infinity"),
    ],
)
def test_what_is_refused(exported: Scripted, exact: bool, words: str | None) -> None:
    said = refusal(checked(exported), 1.0, exact)
    assert (said is None) if words is None else (said is not None and words in said), said


def test_a_larger_drop_can_be_allowed() -> None:
    check = checked(Scripted(right(200, wrong=20)))
    drop, low, high = check.drop
    assert low < drop < high and drop == pytest.approx(10)
    assert refusal(check, low - 0.01, False) is not None
    assert refusal(check, low, False) is None


def test_frames_of_one_scene_prove_less() -> None:
    """Ten photos of one scene that all flip are one mistake, not ten."""
    one, other = Scripted(right(200)), Scripted(right(200, wrong=10))
    alone = check_export(FACTS, (one, 1.0), ("other", other, 2.0), photos(200), no_progress)
    groups = [0 if k < 10 else k for k in range(200)]
    grouped = check_export(FACTS, (one, 1.0), ("other", other, 2.0), photos(200, groups), no_progress)
    assert grouped.drop[1] < alone.drop[1]
    assert grouped.comparison.groups == 191


def test_rows_count_flips_changes_and_unsure() -> None:
    original = Scripted([3.0, -3.0, 0.2, -0.2])
    exported = Scripted([3.5, -3.0, -0.2, -0.2], residual=1e-6, unsure=True)
    check = check_export(FACTS, (original, 1.5), ("other", exported, 2.5), photos(4), no_progress)
    row = check.exported
    assert (row.format, row.flips, row.megabytes) == ("other", 1, 2.5)
    assert row.mean_change == pytest.approx((0.5 + 0.4) / 4) and row.largest_change == pytest.approx(0.5)
    assert row.residual == 1e-6 and row.milliseconds == pytest.approx(10)
    assert (check.original.accuracy.value, row.accuracy.value) == (1.0, 0.75)
    assert check.original.flips == 0 and check.changed == 4
    values = json.loads(to_json(check_values(check, "why")))
    assert values["formats"][1]["flips"] == 1 and values["refused"] == "why"
    assert values["drop_points"]["value"] == pytest.approx(25)


def test_unreadable_photos_are_named_and_left_out() -> None:
    check = checked(Scripted(right(4)), 4, Scripted([3.0, None, 3.0, -3.0]))
    assert check.comparison.n == 3 and [str(photo.file) for photo in check.skipped] == ["1.jpg"]
    with pytest.raises(DatasetError, match="found none that can be read"):
        checked(Scripted(right(2)), 2, Scripted([None, None]))
