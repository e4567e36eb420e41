"""Live sources: what comes, what is lost and found again, and what never answers. Every test is bounded in time."""

import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from cameras import (
    RtspCamera,
    Talk,
    answer,
    bursts,
    garbage,
    hls_camera,
    hls_pieces,
    host,
    jpeg_stream,
    rtsp_camera,
    silent,
)
from clips import CROSSING, EMPTY

from roadclear.deploy.watch.live import LiveFrames
from roadclear.deploy.watch.settings import FrameSettings
from roadclear.deploy.watch.source import find_source
from roadclear.deploy.watch.stored import stored_frames
from roadclear.deploy.watch.video import as_stored
from roadclear.errors import DatasetError

pytestmark = pytest.mark.slow


class Watched:
    """A live source under test: times of frames, what was told, and the age of each frame when it was taken."""

    def __init__(self, address: str, duration: float = 30.0, patience: float = 20.0, timeout: float = 1.0) -> None:
        settings = FrameSettings(every=0.2, timeout=timeout, patience=patience, duration=duration)
        self.told: list[str] = []
        self.source = LiveFrames(find_source(address), settings, self.told.append)
        self.times: list[float] = []
        self.ages: list[float] = []

    def run(self, until: Callable[["Watched"], bool], slow: float = 0.0) -> None:
        """Watch until something holds; the duration bounds the wait."""
        for frame in self.source.frames():
            if frame is not None:
                assert frame.picture().size[0] >= 160
                self.times.append(frame.time)
                self.ages.append(time.monotonic() - self.source.began - frame.time)
                time.sleep(slow)
            if until(self):
                return
        pytest.fail(f"expected more within the time: {len(self.times)} frames, told {self.told}")


@pytest.fixture
def camera() -> Iterator[RtspCamera]:
    with rtsp_camera() as one:
        yield one


def test_frames_come_at_their_step_and_fresh(camera: RtspCamera) -> None:
    watched = Watched(camera.address)
    watched.run(lambda w: len(w.times) >= 15)
    gaps = [later - earlier for earlier, later in zip(watched.times, watched.times[1:], strict=False)]
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(0.2, abs=0.11)
    assert max(watched.ages) < 1
    assert watched.told == []


def test_a_slow_model_gets_the_newest_frame(camera: RtspCamera) -> None:
    watched = Watched(camera.address)
    watched.run(lambda w: len(w.times) >= 5, slow=0.8)
    assert max(watched.ages) < 1, "the frames of the meantime are dropped, not queued"


def test_a_frozen_camera_is_found_again(camera: RtspCamera) -> None:
    watched = Watched(camera.address)
    frozen_at: list[float] = []

    def step(w: Watched) -> bool:
        if len(w.times) == 3 and not frozen_at:
            camera.freeze()
            frozen_at.append(time.monotonic())
        if frozen_at and w.told and time.monotonic() - frozen_at[0] > 4:
            camera.thaw()
        return w.source.reconnects > 0

    watched.run(step)
    assert "is back" in watched.told[-1]
    assert not any("secret" in sentence for sentence in watched.told)


def test_a_camera_that_is_killed_and_comes_back_is_found_again(camera: RtspCamera) -> None:
    watched = Watched(camera.address)
    killed: list[bool] = []

    def step(w: Watched) -> bool:
        if len(w.times) == 3 and not killed:
            camera.kill()
            killed.append(True)
        if killed == [True] and w.told:
            camera.start()
            killed.append(True)
        return w.source.reconnects > 0

    watched.run(step)
    assert len(watched.told) == 2, "one sentence when it is lost, one when it is back"


def test_a_wrong_path_ends_at_once(camera: RtspCamera) -> None:
    started = time.monotonic()
    with pytest.raises(DatasetError, match=r"404 Not Found. Check the address") as raised:
        Watched(camera.address.replace("/live", "/other")).run(lambda w: False)
    assert "secret" not in str(raised.value)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize("talk", [silent, garbage])
def test_hosts_that_send_no_video_end_with_the_patience(talk: Talk, scheme: str) -> None:
    with host(talk) as port, pytest.raises(DatasetError, match="gave no frame for 2 s"):
        Watched(f"{scheme}://me:secret@127.0.0.1:{port}/x", patience=2.0, timeout=0.5).run(lambda w: False)


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "403 Forbidden"])
def test_refusals_end_at_once(status: str) -> None:
    with host(answer(status)) as port, pytest.raises(DatasetError, match=f"{status[:3]}.*Check the address") as raised:
        Watched(f"http://me:secret@127.0.0.1:{port}/x").run(lambda w: False)
    assert "secret" not in str(raised.value)


def test_a_port_without_a_server_ends_with_the_patience() -> None:
    with host(silent) as port:
        pass
    with pytest.raises(DatasetError, match=r"Connection refused"):
        Watched(f"rtsp://127.0.0.1:{port}/x", patience=1.5).run(lambda w: False)


def test_an_http_camera_of_jpegs_survives_damaged_ones() -> None:
    with host(jpeg_stream(lambda k: CROSSING if k % 2 else EMPTY)) as port:
        watched = Watched(f"http://127.0.0.1:{port}/camera.mjpg")
        watched.run(lambda w: len(w.times) >= 12)
    assert watched.told == []


def test_a_stream_that_ends_is_opened_again() -> None:
    with host(jpeg_stream(lambda k: EMPTY, count=15)) as port:
        watched = Watched(f"http://127.0.0.1:{port}/camera.mjpg")
        watched.run(lambda w: w.source.reconnects >= 2)
    assert "It is opened again" in watched.told[0]
    assert "is back" in watched.told[1]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return hls_pieces(tmp_path_factory.mktemp("pieces"), 9, lambda k: CROSSING if k % 2 else EMPTY)


def test_live_hls_gives_its_frames_at_their_own_pace(pieces: list[Path]) -> None:
    with hls_camera(pieces, live=True) as address:
        assert as_stored(find_source(address), 2.0).live
        watched = Watched(address)
        watched.run(lambda w: len(w.times) >= 15)
    gaps = [later - earlier for earlier, later in pairwise(watched.times)]
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(0.2, abs=0.11)
    assert watched.times[-1] - watched.times[0] == pytest.approx(0.2 * 14, abs=1), "not one frame a piece, nor a burst"
    assert max(watched.ages) < 1 and watched.told == []


def test_hls_with_an_end_is_watched_like_a_file(pieces: list[Path]) -> None:
    with hls_camera(pieces[:4], live=False) as address:
        source = as_stored(find_source(address), 2.0)
        assert not source.live and "secret" not in source.name
        frames, broken = stored_frames(source, 0.2)
        assert [frame.time for frame in frames] == pytest.approx([0.2 * k for k in range(20)], abs=0.11)
        assert broken() == 0


def test_a_stream_in_bursts_loses_frames_but_not_all(pieces: list[Path]) -> None:
    """Most packets of a burst come late, so they are skipped. The decoder still gives the key frames that it held."""
    with host(bursts(pieces)) as port:
        watched = Watched(f"http://127.0.0.1:{port}/stream.ts")
        watched.run(lambda w: len(w.times) >= 4)
    assert watched.times[-1] - watched.times[0] < 6


def test_a_camera_that_is_not_there_ends_at_once() -> None:
    if Path("/dev/video63").exists() or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux without a camera 63")
    with pytest.raises(DatasetError, match=r"camera 63: No such file or directory. Check the number"):
        Watched("63").run(lambda w: False)


def test_the_duration_ends_a_watch() -> None:
    with host(jpeg_stream(lambda k: EMPTY)) as port:
        source = LiveFrames(
            find_source(f"http://127.0.0.1:{port}/x"), FrameSettings(duration=2.0, timeout=1.0), lambda sentence: None
        )
        started = time.monotonic()
        times = [frame.time for frame in source.frames() if frame is not None]
    assert times
    assert time.monotonic() - started < 5
