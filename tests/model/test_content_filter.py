"""The filter of the training photos: all of them are found, others almost never, and it is small."""

import hashlib
import json
from pathlib import Path

import pytest

from roadclear.data.dataset import LabelledPhoto
from roadclear.errors import OptionError
from roadclear.model.content_filter import FALSE_POSITIVES, ContentFilter, hash_file, largest_chance


def hashes(count: int, kind: str = "photo") -> list[str]:
    return [hashlib.sha256(f"{kind} {number}".encode()).hexdigest() for number in range(count)]


@pytest.mark.parametrize("count", [1, 7, 786, 20_000])
def test_every_photo_of_the_training_is_found(count: int) -> None:
    known = ContentFilter.from_hashes(hashes(count))
    assert known.photos == count
    assert all(sha256 in known for sha256 in hashes(count))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 20, 786])
def test_others_are_found_as_rarely_as_stated(count: int) -> None:
    known = ContentFilter.from_hashes(hashes(count))
    tested = 40_000
    assert sum(sha256 in known for sha256 in hashes(tested, "other")) <= largest_chance(tested)


def test_it_takes_two_kilobytes_for_usual_trainings() -> None:
    assert len(ContentFilter.from_hashes(hashes(786)).to_json()) < 2_800


def test_the_same_photos_give_the_same_filter_in_any_order() -> None:
    assert ContentFilter.from_hashes(hashes(50)) == ContentFilter.from_hashes([*hashes(50)[::-1], *hashes(9)])


def test_other_photos_have_another_salt_and_other_places() -> None:
    """A photo in two filters does not have the same bits in both."""
    first, second = (ContentFilter.from_hashes([*hashes(20), *hashes(20, kind)]) for kind in ("a", "b"))
    assert first.salt != second.salt
    assert first.bits != second.bits


def test_it_comes_back_from_json() -> None:
    known = ContentFilter.from_hashes(hashes(30))
    assert ContentFilter.from_json(known.to_json()) == known


@pytest.mark.parametrize(
    "change",
    [
        {"photos": 31_000_000},
        {"photos": 0},
        {"photos": True},
        {"photos": 900},
        {"salt": "x" * 32},
        {"salt": ""},
        {"salt": 7},
        {"bits": "*"},
        {"bits": "AAAA"},
        {"bits": None},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_no_filter_is_refused(change: dict[str, object]) -> None:
    values = json.loads(ContentFilter.from_hashes(hashes(30)).to_json()) | change
    with pytest.raises(ValueError, match=r"filter|base64|Base64|padding"):
        ContentFilter.from_json(json.dumps(values))


class TestEarlierTrainings:
    FIRST = ContentFilter.from_hashes(hashes(30, "first"))
    SECOND = ContentFilter.from_hashes(hashes(20, "second"), FIRST)
    THIRD = ContentFilter.from_hashes(hashes(10, "third"), SECOND)

    def test_their_photos_are_found_too(self) -> None:
        assert all(sha256 in self.THIRD for kind in ("first", "second", "third") for sha256 in hashes(10, kind))
        assert not any(sha256 in self.THIRD for sha256 in hashes(300, "other"))
        assert [each.photos for each in (self.THIRD, *self.THIRD.earlier)] == [10, 20, 30]
        assert self.THIRD.filters == 3

    def test_they_come_back_from_json(self) -> None:
        assert ContentFilter.from_json(self.THIRD.to_json()) == self.THIRD

    def test_a_training_without_a_start_is_written_as_ever(self) -> None:
        assert json.loads(self.FIRST.to_json()).keys() == {"photos", "salt", "bits"}

    def test_more_of_them_find_more_by_chance(self) -> None:
        assert largest_chance(20_000, 3) > largest_chance(20_000)

    @pytest.mark.parametrize("earlier", ["none", [{}], [None], [{"photos": 1}]], ids=str)
    def test_what_is_no_list_of_filters_is_refused(self, earlier: object) -> None:
        values = json.loads(self.FIRST.to_json()) | {"earlier": earlier}
        with pytest.raises(ValueError, match="filter of the training photos"):
            ContentFilter.from_json(json.dumps(values))

    def test_filters_are_not_nested(self) -> None:
        nested = json.loads(self.THIRD.to_json())
        nested["earlier"][0]["earlier"] = nested["earlier"][1:]
        with pytest.raises(ValueError, match="inside of earlier"):
            ContentFilter.from_json(json.dumps(nested))

    def test_too_many_are_refused_and_the_advice_is_another_start(self) -> None:
        known = self.FIRST
        for number in range(50):
            known = ContentFilter.from_hashes([hashlib.sha256(b"%d" % number).hexdigest()], known)
        with pytest.raises(OptionError, match=r"fewer than 50 other trainings.*: start from an older model$"):
            ContentFilter.from_hashes(hashes(1), known)


def test_photos_are_found_by_content_whatever_their_names(tmp_path: Path) -> None:
    photos = []
    for number in range(6):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"photo %d" % (number % 3))
        photos.append(LabelledPhoto(path, path.name, "a"))
    gone = LabelledPhoto(tmp_path / "gone.jpg", "gone.jpg", "a")
    known = ContentFilter.from_hashes([hashlib.sha256(b"photo 1").hexdigest()])
    assert known.find([*photos, gone]) == {"1.jpg", "4.jpg"}
    assert hash_file(gone.path) is None


@pytest.mark.parametrize(("photos", "most"), [(0, 0), (50, 0), (150, 1), (20_000, 6)])
def test_how_many_are_found_by_chance(photos: int, most: int) -> None:
    assert largest_chance(photos) == most
    assert largest_chance(photos) >= int(photos * FALSE_POSITIVES)
