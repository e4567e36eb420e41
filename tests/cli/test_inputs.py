"""`predict` of ZIP archives and https addresses, and commands on archives and tables of labels."""

import json
import shutil
import zipfile
from pathlib import Path

import httpx
import pytest
from misbehaving_server import picture
from process import QUICK, roadclear

from roadclear.cli.commands import app
from roadclear.cli.inputs import find_inputs
from roadclear.collect import downloader
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.errors import OptionError

pytestmark = pytest.mark.slow

ADDRESS = "https://photos.example/a//b.jpg?x=1"


def run(*words: object) -> int:
    """Run a command in this process. Errors of ours are raised."""
    try:
        app([str(word) for word in words], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def rows(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[dict[str, object]]]:
    code = run("predict", "stock", *words, "--format", "jsonl")
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def zipped(root: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as file:
        for path in sorted(root.rglob("*.jpg")):
            file.write(path, Path("inner") / path.relative_to(root))
    return target


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, httpx.Response]:
    """What the hosts of addresses answer."""
    known: dict[str, httpx.Response] = {}

    def client(*_: object) -> httpx.Client:
        transport = httpx.MockTransport(lambda request: known.get(str(request.url), httpx.Response(404)))
        return httpx.Client(transport=transport, follow_redirects=True)

    monkeypatch.setattr(downloader, "open_client", client)
    return known


class TestAddresses:
    @pytest.mark.parametrize("word", [ADDRESS, "HTTPS://photos.example/x.jpg"])
    def test_nothing_is_fetched_without_consent(self, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(downloader, "open_client", lambda *_: pytest.fail("fetched"))
        with pytest.raises(OptionError, match="add --allow-download to fetch it"):
            run("predict", "stock", word)
        with pytest.raises(OptionError, match="add --allow-download to fetch it"):
            run("predict", word)

    def test_http_is_refused(self) -> None:
        with pytest.raises(OptionError, match="expected an address with https"):
            run("predict", "stock", "http://photos.example/x.jpg", "--allow-download")

    def test_a_photo_is_named_by_its_address(
        self, answers: dict[str, httpx.Response], drawn_photos: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answers[ADDRESS] = httpx.Response(200, content=picture(1))
        photo = next(drawn_photos.glob("*/*.jpg"))
        code, found = rows(capsys, photo, ADDRESS, "https://gone.example/1.jpg", photo, "--allow-download")
        assert code == 3
        assert [row["file"] for row in found] == [str(photo), ADDRESS, "https://gone.example/1.jpg", str(photo)]
        assert found[0] == found[3] and "answer" in found[1]
        assert found[2]["error"] == "could not be fetched: status 404"

    def test_a_redirect_to_http_is_refused(self, answers: dict[str, httpx.Response]) -> None:
        answers[ADDRESS] = httpx.Response(302, headers={"Location": "http://photos.example/b.jpg"})
        answers["http://photos.example/b.jpg"] = httpx.Response(200, content=picture(1))
        (reason,) = find_inputs([ADDRESS], allow_download=True).failures.values()
        assert reason == "could not be fetched: expected https, found 'http'"

    @pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "localhost", "0x7f.1"])
    def test_the_guard_of_collect_holds(self, host: str) -> None:
        with pytest.raises(FetchError, match="is not a public address") as caught:
            downloader.fetch(f"https://{host}/x.jpg")
        assert caught.value.reason == RejectionReason.FORBIDDEN_ADDRESS


class TestArchives:
    def test_predict(self, drawn_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        archive = zipped(drawn_photos, tmp_path / "photos.zip")
        code, found = rows(capsys, archive)
        _, expected = rows(capsys, drawn_photos)
        assert code == 0
        assert [row["file"] for row in found] == [
            str(row["file"]).replace(str(drawn_photos), f"{archive}/inner") for row in expected
        ]
        assert [row["probability"] for row in found] == [row["probability"] for row in expected]

    def test_heatmaps_have_the_same_names_every_time(self, drawn_photos: Path, tmp_path: Path) -> None:
        shutil.copytree(drawn_photos / "empty", tmp_path / "few" / "empty", ignore=lambda _, names: names[2:])
        archive = zipped(tmp_path / "few", tmp_path / "photos.zip")
        for name in ("one", "two"):
            assert roadclear("predict", "stock", archive, "--heatmaps", tmp_path / name).code == 0
        first, second = (sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("one", "two"))
        assert first == second and len(first) == 2


@pytest.mark.slow
class TestCommands:
    """A training on an archive or a table is the training on the folder."""

    @pytest.fixture(scope="class")
    @staticmethod
    def sources(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
        root = tmp_path_factory.mktemp("sources")
        table = drawn_photos.name + "/{}"
        shutil.copytree(drawn_photos, root / drawn_photos.name)
        files = sorted(path.relative_to(drawn_photos) for path in drawn_photos.glob("*/*.jpg"))
        lines = [f"{table.format(file)},{file.parts[0]}" for file in files]
        (root / "labels.csv").write_text("file,label\n" + "\n".join(lines) + "\n")
        return [drawn_photos, zipped(drawn_photos, root / "photos.zip"), root / "labels.csv"]

    def test_train_and_evaluate(self, sources: list[Path], tmp_path: Path) -> None:
        measured = []
        for number, source in enumerate(sources):
            run_folder = tmp_path / str(number)
            ended = roadclear("train", source, "--out", run_folder, *QUICK)
            assert ended.code == 0, ended.err
            ended = roadclear("evaluate", run_folder, source, "--json")
            assert ended.code == 0, ended.err
            assert "trained on" in ended.err or "training" in ended.err
            measured.append(json.loads(ended.out)["accuracy"]["value"])
            assert roadclear("show", run_folder, "--out", tmp_path / f"{number}.png").code == 0
        assert measured[0] == measured[1] == measured[2]
        ended = roadclear("evaluate", tmp_path / "1", sources[1], "--gallery", tmp_path / "gallery")
        assert (ended.code, (tmp_path / "gallery" / "index.html").is_file()) == (0, True)

    def test_split_and_triage(self, sources: list[Path], tmp_path: Path) -> None:
        tables = []
        for number, source in enumerate(sources[:2]):
            assert roadclear("split", source, "--out", tmp_path / f"{number}.csv").code == 0
            tables.append((tmp_path / f"{number}.csv").read_bytes())
        assert tables[0] == tables[1]
        ended = roadclear("triage", sources[2], "--out", tmp_path / "triage", "--repeats", "1")
        assert ended.code == 0, ended.err
        assert "--apply decisions.csv" not in ended.out.decode()
        for options in (("--undo",), ("--apply", tmp_path / "triage" / "triage.csv")):
            ended = roadclear("triage", sources[2], *options)
            assert (ended.code, "or change the labels in the table" in ended.error()) == (1, True)
        for command in (("clean", sources[1]), ("triage", sources[2], "--undo"), ("clean", sources[2], "--restore")):
            assert roadclear(*command).code == 1
