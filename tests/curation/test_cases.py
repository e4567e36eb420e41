"""What is listed, why, and in which order."""

from pathlib import Path

import numpy as np

from roadclear.curation.cases import UNSURE_LISTED, Case, OutOfFold, TriageReason, list_cases
from roadclear.data.dataset import LabelledPhoto
from roadclear.metrics.label_issues import find_label_issues

LABELS = ("empty", "crossing")


def listed(*rows: tuple[str, float] | tuple[str, float, int]) -> tuple[Case, ...]:
    """The cases among photos given as (file, probability, component of look-alikes), and 60 that nobody doubts."""
    sure = [("crossing/sure.jpg", 0.99), ("empty/sure.jpg", 0.01)] * 30
    everything = [*rows, *sure]
    photos = [LabelledPhoto(Path(row[0]), row[0], row[0].split("/")[0]) for row in everything]
    probability = np.array([row[1] for row in everything])
    judged = OutOfFold(
        photos,
        [f"{number:064x}" for number in range(len(everything))],
        np.array([row[2] if len(row) == 3 else 1000 + number for number, row in enumerate(everything)]),
        LABELS,
        probability,
        np.full(len(everything), 0.5),
        find_label_issues(np.array([photo.label == "crossing" for photo in photos]), probability),
    )
    return list_cases(judged)


def files(cases: tuple[Case, ...], reason: TriageReason) -> list[list[str]]:
    return [[entry.photo.file for entry in case.entries] for case in cases if case.reason == reason]


def test_doubtful_labels_come_first_the_most_doubtful_before_all() -> None:
    cases = listed(("empty/b.jpg", 0.97), ("crossing/a.jpg", 0.01), ("empty/c.jpg", 0.4))
    assert files(cases, TriageReason.WRONG_LABEL) == [["crossing/a.jpg"], ["empty/b.jpg"]]
    first, second = cases[0].entries[0], cases[1].entries[0]
    assert (first.rank, first.suggested, first.probability, first.sha256[-1]) == (1, "empty", 0.01, "1")
    assert (second.rank, second.suggested, second.reason) == (2, "crossing", TriageReason.WRONG_LABEL)
    assert "the label is probably wrong" in first.why


def test_look_alikes_that_disagree_are_side_by_side() -> None:
    cases = listed(
        ("crossing/x.jpg", 0.9, 7), ("empty/x.jpg", 0.2, 7), ("empty/y.jpg", 0.1, 8), ("empty/z.jpg", 0.1, 8)
    )
    assert files(cases, TriageReason.LOOK_ALIKES_DISAGREE) == [["empty/x.jpg", "crossing/x.jpg"]]
    entry = cases[0].entries[0]
    assert (entry.suggested, entry.why) == (None, "looks like crossing/x.jpg, which has the other label")


def test_a_doubtful_photo_stands_beside_its_look_alikes() -> None:
    cases = listed(("empty/x.jpg", 0.01, 7), ("crossing/x.jpg", 0.0, 7))
    assert files(cases, TriageReason.WRONG_LABEL) == [["crossing/x.jpg", "empty/x.jpg"]]
    assert [entry.reason for entry in cases[0].entries] == [TriageReason.WRONG_LABEL, TriageReason.LOOK_ALIKES_DISAGREE]
    assert cases[0].entries[0].why == "the label is probably wrong, looks like empty/x.jpg, which has the other label"
    assert files(cases, TriageReason.LOOK_ALIKES_DISAGREE) == []


def test_of_many_look_alikes_the_most_doubtful_of_each_label_are_listed() -> None:
    frames = [(f"empty/{number}.jpg", 0.1 + number / 100, 7) for number in range(9)]
    cases = listed(*frames, ("crossing/x.jpg", 0.9, 7))
    assert files(cases, TriageReason.LOOK_ALIKES_DISAGREE) == [
        ["empty/8.jpg", "empty/7.jpg", "empty/6.jpg", "empty/5.jpg", "crossing/x.jpg"]
    ]


def test_every_doubtful_label_is_listed_however_many_look_alike() -> None:
    frames = [(f"crossing/{number}.jpg", 0.01, 7) for number in range(6)]
    cases = listed(*frames, ("empty/x.jpg", 0.01, 7), *((f"crossing/more-{number}.jpg", 0.99) for number in range(60)))
    doubtful = {
        entry.photo.file for case in cases for entry in case.entries if entry.reason == TriageReason.WRONG_LABEL
    }
    assert doubtful == {file for file, _, _ in frames}


def test_the_most_unsure_are_nearest_to_the_decision() -> None:
    cases = listed(*((f"empty/{number:02d}.jpg", 0.49 - number / 100) for number in range(30)))
    assert files(cases, TriageReason.UNSURE)[:2] == [["empty/00.jpg"], ["empty/01.jpg"]]
    assert len(files(cases, TriageReason.UNSURE)) == UNSURE_LISTED


def test_every_photo_is_listed_once_in_the_order_of_ranks() -> None:
    cases = listed(
        ("empty/a.jpg", 0.99, 7), ("crossing/a.jpg", 0.5, 7), ("crossing/b.jpg", 0.02, 7), ("empty/c.jpg", 0.5, 8),
        ("crossing/c.jpg", 0.5, 8), ("crossing/d.jpg", 0.5),
    )  # fmt: skip
    entries = [entry for case in cases for entry in case.entries]
    assert [entry.rank for entry in entries] == list(range(1, len(entries) + 1))
    chosen = [entry.sha256 for entry in entries]
    assert len(chosen) == len(set(chosen))


def test_what_the_model_calls_otherwise_is_suggested() -> None:
    cases = listed(("empty/a.jpg", 0.5), ("empty/b.jpg", 0.49))
    by_file = {entry.photo.file: entry.suggested for case in cases for entry in case.entries}
    assert (by_file["empty/a.jpg"], by_file["empty/b.jpg"]) == ("crossing", None)
