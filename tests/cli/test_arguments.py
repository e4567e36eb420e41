"""Arguments in the wrong order, short options, quiet commands, and what is chosen where the user names nothing."""

import json
import re
from pathlib import Path

import pytest

from roadclear.cli.commands import app
from roadclear.errors import DatasetError, OptionError


def run(*words: object) -> None:
    """Run a command in this process. Errors of ours are raised."""
    try:
        app([str(word) for word in words], standalone_mode=False)
    except SystemExit as end:
        assert end.code in (None, 0)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in ("cats", "dogs"):
        (tmp_path / "photos" / label).mkdir(parents=True)
    return tmp_path / "photos"


@pytest.fixture
def folder_of_a_run(tmp_path: Path) -> Path:
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run" / "model.onnx").write_bytes(b"")
    return tmp_path / "a run"


class TestOrder:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            (("predict", "{photos}", "{run}"), "predict '{run}' {photos}"),
            (("predict", "{photos}", "other.jpg", "{run}"), "predict '{run}' {photos} other.jpg"),
            (("predict", "{photos}", "stock"), "predict stock {photos}"),
            (("evaluate", "{photos}", "{run}"), "evaluate '{run}' {photos}"),
            (("evaluate", "{photos}", "stock"), "evaluate stock {photos}"),
            (("show", "{photos}", "{run}"), "show '{run}' {photos}"),
            (("compare", "{photos}", "{run}", "stock"), "compare '{run}' stock {photos}"),
            (("compare", "stock", "{photos}", "{run}"), "compare stock '{run}' {photos}"),
        ],
    )
    def test_photos_before_the_model(
        self, photos: Path, folder_of_a_run: Path, given: tuple[str, ...], meant: str
    ) -> None:
        places = {"photos": photos, "run": folder_of_a_run}
        with pytest.raises(OptionError, match=re.escape(f"first, then photos: roadclear {meant.format(**places)}")):
            run(*(word.format(**places) for word in given))

    @pytest.mark.parametrize("command", [("train",), ("validate",), ("triage",), ("clean",), ("split", "--out", "new")])
    def test_a_run_for_photos(self, folder_of_a_run: Path, command: tuple[str, ...]) -> None:
        with pytest.raises(DatasetError, match=r"found a run at .*: name the folder of photos"):
            run(*command, folder_of_a_run)


class TestPositive:
    """Of names that do not tell, one is chosen, and a line says which."""

    SAID = "The positive label, the one to find, is 'dogs': the last in alphabetical order. To find 'cats', add"

    @pytest.mark.parametrize("command", ["train", "validate"])
    @pytest.mark.parametrize(
        ("options", "said"), [((), True), (("--positive", "cats"), False), (("-q",), False), (("--quiet",), False)]
    )
    def test_the_choice(
        self, photos: Path, capsys: pytest.CaptureFixture[str], command: str, options: tuple[str, ...], said: bool
    ) -> None:
        with pytest.raises(DatasetError, match="readable photos of each label"):
            run(command, photos, *options)
        assert (self.SAID in capsys.readouterr().err) == said

    def test_names_that_tell_need_no_line(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (photos / "cats").rename(photos / "no dogs")
        with pytest.raises(DatasetError, match="readable photos of each label"):
            run("train", photos)
        assert capsys.readouterr().err == ""


class TestQuiet:
    def test_the_note_on_the_stock_model_is_a_remark(
        self, drawn_photos: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        photo = next(drawn_photos.glob("*/*.jpg"))
        run("predict", photo)
        told = capsys.readouterr()
        assert told.err.startswith("No run was named")
        run("predict", photo, "-q")
        assert capsys.readouterr() == (told.out, "")
        run("predict", photo)
        assert capsys.readouterr() == told


@pytest.mark.parametrize("command", ["train", "validate", "triage", "split", "show", "demo", "run"])
def test_out_has_a_short_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(command, "--help")
    assert re.search(r"--out +-o", capsys.readouterr().out)


class TestRule:
    """`predict --threshold` and `--unsure` change the answers, not the probabilities."""

    def lines(
        self, photos: Path, capsys: pytest.CaptureFixture[str], *options: str
    ) -> list[dict[str, str | float | bool]]:
        run("predict", "stock", photos, "--format", "jsonl", *options)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    @pytest.mark.slow
    def test_answers_follow_the_rule(self, drawn_photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        usual = self.lines(drawn_photos, capsys)
        ours = self.lines(drawn_photos, capsys, "--threshold", "0.9", "--unsure", "0.2", "0.95")
        assert [row["probability"] for row in ours] == [row["probability"] for row in usual]
        for row in ours:
            p = float(row["probability"])
            assert row["threshold"] == 0.9
            assert row["label"] == ("crossing" if p >= 0.9 else "empty")
            assert row["answer"] == ("unsure" if 0.2 <= p <= 0.95 else row["label"])
        none = self.lines(drawn_photos, capsys, "--threshold", "0.9", "--unsure", "0.9", "0.9")
        assert all(row["answer"] == row["label"] for row in none)

    @pytest.mark.slow
    def test_with_a_threshold_alone_no_answer_becomes_another(
        self, drawn_photos: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The band is stretched, so an answer stays or becomes unsure, and the coverage still holds."""
        usual = self.lines(drawn_photos, capsys)
        for threshold in ("0", "0.3", "0.7", "1"):
            for row, before in zip(self.lines(drawn_photos, capsys, "--threshold", threshold), usual, strict=True):
                assert row["answer"] in ("unsure", before["answer"])

    @pytest.mark.parametrize(
        "options",
        [
            ("--threshold", "1.5"),
            ("--threshold", "nan"),
            ("--unsure", "0.9", "0.1"),
            ("--unsure", "nan", "1"),
            ("--unsure", "-1", "1"),
            ("--threshold", "0.9", "--unsure", "0.2", "0.4"),
        ],
    )
    def test_impossible_rules(self, drawn_photos: Path, options: tuple[str, ...]) -> None:
        with pytest.raises(OptionError, match="between 0 and 1"):
            run("predict", "stock", drawn_photos, *options)
