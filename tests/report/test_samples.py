"""Samples: which photos a grid shows, and which labels are known."""

from collections import Counter
from pathlib import Path

import pytest

from roadclear.errors import DatasetError
from roadclear.report.samples import SamplePhoto, choose, find_samples

SAMPLES = [
    SamplePhoto(Path(f"{label}/{k}.jpg"), label) for label, n in (("crossing", 30), ("empty", 5)) for k in range(n)
]


@pytest.mark.parametrize(
    ("count", "crossing", "empty"), [(1, 1, 0), (2, 1, 1), (8, 4, 4), (16, 11, 5), (35, 30, 5), (400, 30, 5)]
)
def test_labels_have_equal_shares_as_far_as_they_last(count: int, crossing: int, empty: int) -> None:
    chosen = Counter(sample.label for sample in choose(SAMPLES, count, 0))
    assert (chosen["crossing"], chosen["empty"]) == (crossing, empty)


def test_a_seed_draws_the_same_from_any_order() -> None:
    assert choose(SAMPLES, 8, 3) == choose(reversed(SAMPLES), 8, 3) != choose(SAMPLES, 8, 4)


def test_no_photo_is_drawn_twice() -> None:
    assert len(choose(SAMPLES + SAMPLES, 100, 0)) == len(SAMPLES)


@pytest.mark.parametrize("layout", ["plain", "train", "val"])
def test_a_labelled_folder_tells_the_labels(tmp_path: Path, layout: str) -> None:
    root = tmp_path if layout == "plain" else tmp_path / layout
    (root / "crossing").mkdir(parents=True)
    (root / "crossing" / "a.jpg").write_bytes(b"")
    assert find_samples([tmp_path], ("crossing", "empty")) == [SamplePhoto(root / "crossing" / "a.jpg", "crossing")]


def test_other_inputs_have_no_labels(drawn_photos: Path) -> None:
    inputs = [drawn_photos / "empty", drawn_photos / "crossing" / "crossing-000.jpg", "missing.jpg"]
    found = find_samples(inputs, ("crossing", "empty"))
    assert len(found) == 24 + 1 + 1 and {sample.label for sample in found} == {None}


def test_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found none"):
        find_samples([tmp_path], ("crossing", "empty"))
