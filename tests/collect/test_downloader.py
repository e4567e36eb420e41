"""What counts as a photo, and why the rest does not."""

import hashlib
from collections.abc import Iterator
from io import BytesIO

import httpx
import numpy as np
import pytest
from clients import quick_client
from misbehaving_server import (
    Answer,
    MisbehavingServer,
    answer,
    cut,
    drip,
    gzip_bomb,
    half_without_length,
    head,
    html,
    misbehaving_server,
    picture,
    raw,
    redirect,
    reset,
    status,
)
from PIL import Image

from roadclear.collect.client import Limits
from roadclear.collect.downloader import download
from roadclear.collect.rejections import FetchError, RejectionReason

PHOTO = picture(1)


def noise(format_name: str) -> bytes:
    """A photo whose half tells that it is half."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format_name)
    return buffer.getvalue()


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving_server() as running:
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with quick_client(limits=Limits(bytes=300_000)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("format_name", "extension"),
    [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("GIF", ".gif"), ("BMP", ".bmp"), ("TIFF", ".tif")],
)
def test_content_decides_the_extension(
    server: MisbehavingServer, client: httpx.Client, format_name: str, extension: str
) -> None:
    data = picture(7, 100, 80, format_name)
    url = server.put("/../../evil.php?x=.exe", answer(data, content_type="text/html"))
    server.answers["/evil.php?x=.exe"] = server.answers["/../../evil.php?x=.exe"]
    photo = download(url, client)
    assert (photo.data, photo.extension, photo.width, photo.height) == (data, extension, 100, 80)
    assert photo.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "answers",
    [
        [status(429), answer(PHOTO)],
        [status(429, Retry_After="2"), answer(PHOTO)],
        [status(500), status(503), answer(PHOTO)],
        [reset(PHOTO), answer(PHOTO)],
        [cut(PHOTO), cut(PHOTO), answer(PHOTO)],
        [redirect("/photo"), answer(PHOTO)],
        [raw(head(200, {"Transfer-Encoding": "chunked"}) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(PHOTO), PHOTO))],
        [raw(head(200, {"Content-Length": str(len(PHOTO))}) + PHOTO + b"and more, which is not read")],
    ],
)
def test_what_arrives_in_the_end_counts(server: MisbehavingServer, client: httpx.Client, answers: list[Answer]) -> None:
    server.put("/photo", answer(PHOTO))
    assert download(server.put("/", *answers), client).data == PHOTO


@pytest.mark.parametrize(
    ("fault", "reason", "message"),
    [
        (html(), RejectionReason.NOT_A_PHOTO, "HTML page"),
        (answer(b""), RejectionReason.NOT_A_PHOTO, "empty"),
        (answer(b"%PDF-1.7 ..."), RejectionReason.NOT_A_PHOTO, "PDF"),
        (answer(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), RejectionReason.NOT_A_PHOTO, "not a photo"),
        (answer(b'{"error": "gone"}'), RejectionReason.NOT_A_PHOTO, "not a photo"),
        (answer(bytes(5000)), RejectionReason.NOT_A_PHOTO, "zeros"),
        (half_without_length(noise("JPEG")), RejectionReason.NOT_A_PHOTO, "truncated"),
        (half_without_length(noise("PNG")), RejectionReason.NOT_A_PHOTO, "truncated|damaged"),
        (answer(picture(1, 63, 500)), RejectionReason.TOO_SMALL, "63 x 500"),
        (answer(picture(1, 1, 1, "GIF")), RejectionReason.TOO_SMALL, "1 x 1"),
        (redirect("/images/photo_unavailable.png"), RejectionReason.NOT_A_PHOTO, "placeholder"),
        (redirect("/no-image.jpg"), RejectionReason.NOT_A_PHOTO, "placeholder"),
        (redirect("/loop"), RejectionReason.REDIRECTS, "5"),
        (redirect("ftp://photos.example/a.jpg"), RejectionReason.FORBIDDEN_ADDRESS, "ftp"),
        (status(404), RejectionReason.NOT_THERE, "404"),
        (status(403), RejectionReason.NOT_THERE, "403"),
        (status(500), RejectionReason.UNREACHABLE, "500"),
        (status(429), RejectionReason.UNREACHABLE, "429"),
        (status(204), RejectionReason.NOT_THERE, "204"),
        (cut(PHOTO), RejectionReason.UNREACHABLE, "no complete answer"),
        (reset(PHOTO), RejectionReason.UNREACHABLE, "no complete answer"),
        (answer(bytes(300_001)), RejectionReason.TOO_LARGE, "0.3 MB"),
        (gzip_bomb(90_000_000), RejectionReason.TOO_LARGE, "0.3 MB"),
    ],
)
def test_what_does_not_count(
    server: MisbehavingServer, client: httpx.Client, fault: Answer, reason: RejectionReason, message: str
) -> None:
    server.put("/loop", redirect("/loop"))
    for placeholder in ("/images/photo_unavailable.png", "/no-image.jpg"):
        server.put(placeholder, answer(PHOTO))
    with pytest.raises(FetchError, match=message) as caught:
        download(server.put("/photo.jpg", fault), client)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "photo.jpg", "ftp://x/y.jpg", "http://", "http://a b/", "http://x:99999999/", "data:image/png;base64,x"]
)
def test_what_is_no_address(client: httpx.Client, url: str) -> None:
    with pytest.raises(FetchError) as caught:
        download(url, client)
    assert caught.value.reason in (RejectionReason.FORBIDDEN_ADDRESS, RejectionReason.NOT_THERE)


@pytest.mark.slow
def test_what_comes_byte_by_byte_is_given_up(server: MisbehavingServer) -> None:
    url = server.put("/", drip(head(200, {"Content-Length": str(len(PHOTO))}) + PHOTO))
    with quick_client(limits=Limits(seconds=1)) as client, pytest.raises(FetchError, match="1 second") as caught:
        download(url, client)
    assert caught.value.reason == RejectionReason.TOO_SLOW
