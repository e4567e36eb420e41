"""An S3 server and a web server on loopback, and shards of photos."""

import io
import itertools
import json
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BUCKET = "bucket"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def s3_server(refusals: Iterator[str] | None = None) -> Iterator[str]:
    """Address of an S3 server with an empty bucket.

    Args:
        refusals: the answer to each request for an object: a status such as "503 Slow Down", or "" for the object.
    """
    pytest.importorskip("moto", reason="moto[server] is not installed: there is no S3 server")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: no S3")
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log(self, kind: str, message: str, *args: Any) -> None:
            """Say nothing."""

    store = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        if refusals is not None and environ["PATH_INFO"].count("/") > 1 and environ["REQUEST_METHOD"] != "DELETE":
            with lock:
                refusal = next(refusals)
            if refusal:
                start(refusal, [("Content-Length", "0")])
                return [b""]
        return store(environ, start)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    import httpx

    address = f"http://127.0.0.1:{server.server_port}"
    httpx.post(f"{address}/moto-api/reset")
    httpx.put(f"{address}/{BUCKET}")
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def seldom(*statuses: str, every: int = 3) -> Iterator[str]:
    """Refuse every third request, by one status after the other."""
    for number, status in enumerate(itertools.cycle(statuses)):
        yield from [""] * (every - 1 - number % 2)
        yield status


def put(server: str, name: str, content: bytes) -> str:
    """Put an object into the bucket. Its address."""
    import httpx

    for _ in range(20):
        if httpx.put(f"{server}/{BUCKET}/{name}", content=content).status_code == 200:
            return f"s3://{BUCKET}/{name}"
    raise AssertionError("the server refuses everything")


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Address of a web server of a folder."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tar_bytes(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    """A tar archive of files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def parquet_bytes(columns: Mapping[str, list[Any]], names: Mapping[str, list[str]] | None = None) -> bytes:
    """A Parquet file; `names` are the names that numbers of a column mean, as Hugging Face Datasets writes them."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: no Parquet")
    import pyarrow.parquet

    table = pa.table(dict(columns))
    if names is not None:
        features = {column: {"names": list(values), "_type": "ClassLabel"} for column, values in names.items()}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()
