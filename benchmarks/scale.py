"""How long a training on feature shards takes, and how much memory it needs, from 1,000 to 1,000,000 photos.

    python benchmarks/scale.py [--sizes 1000 10000 100000] [--views 0] [--report] [--keep FOLDER]

A million photos are asked for by `--sizes 1000000`. They need 10 GB of disk. Bar: 10 minutes on 2 cores, and 4 GB.

The features are made. Embeddings have the spectrum of those of real road photos, around 40 centres. Labels follow from
one direction of the embeddings, and one in twenty is wrong. One photo in ten is a planted look-alike of a photo up to
10,000 rows before: half of the look-alikes by the fingerprint, all by the embedding. One photo in fifty is a frame of
one of ten fixed cameras.

Every size is a process of its own, which trains as `roadclear train --features` does. Its memory is read ten times a
second: all resident memory, and the part that is no page of a file. Stages are measured by the clock. Ctrl-C ends the
training, and prints the rows so far.
"""

import argparse
import contextlib
import functools
import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from machine import describe, table

SIZES = (1_000, 10_000, 100_000)
BAR_PHOTOS, BAR_SECONDS, BAR_MB = 1_000_000, 600, 4_000
ROWS_A_SHARD = 10_000
DIMENSIONS, CENTRES, CAMERAS = 1280, 40, 10
COPY_EVERY, FRAME_EVERY = 10, 50
# Shares of the squared length of unit embeddings of 1,105 road photos, up to the k-th principal direction.
SPECTRUM = {1: 0.616, 2: 0.642, 8: 0.729, 32: 0.826, 64: 0.880, 128: 0.933, 192: 0.959, 256: 0.973, 384: 0.986, 1280: 1}
COMMON = 0.62

STAGES = (
    ("roadclear.training.from_shards", "find_rows", "list of photos"),
    ("roadclear.training.from_shards", "read_rows", "list of photos"),
    ("roadclear.training.from_shards", "check_unique", "list of photos"),
    ("roadclear.training.from_shards", "_dataset", "list of photos"),
    ("roadclear.features.extractor", "FeatureExtractor.extract", "list of photos"),
    ("roadclear.features.extractor", "FeatureExtractor.load_embeddings", "embeddings"),
    ("roadclear.features.extractor", "FeatureExtractor.load_fingerprints", "embeddings"),
    ("roadclear.training.prepare", "group_look_alikes", "look-alikes"),
    ("roadclear.training.prepare", "group_photos", "groups and split"),
    ("roadclear.training.splitting", "assign_splits", "groups and split"),
    ("roadclear.model.fit", "train_dense", "dense head"),
    ("roadclear.training.heads", "fit_heads", "linear head"),
    ("roadclear.training.recipe", "fit_heads", "linear head"),
    ("roadclear.training.decide", "linear_scores", "promise by folds"),
    ("roadclear.training.decide", "fit_ood", "unfamiliar"),
    ("roadclear.model.decision.ood", "OodReference.distances", "unfamiliar"),
    ("roadclear.training.decide", "calibrate_by", "temperature, band"),
    ("roadclear.training.measure", "probabilities", "probabilities"),
    ("roadclear.training.measure", "measure_leakage", "leakage"),
    ("roadclear.training.measure", "build_model_file", "model file"),
    ("roadclear.model.content_filter", "ContentFilter.from_hashes", "model file"),
    ("roadclear.training.recipe", "measure", "metrics"),
    ("roadclear.training.api", "crosscheck", "cross-checks"),
    ("roadclear.report.page", "build_report", "report"),
    ("roadclear.training.run_folder", "Run.save", "tables"),
)
"""Functions, and the stage that their own time counts for. The time of functions inside them is theirs."""


class Maker:
    """Rows of made photos, one shard after the other. The same number gives the same rows."""

    def __init__(self, seed: int) -> None:
        self.random = random = np.random.default_rng(seed)
        directions = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS), dtype=np.float32))[0]
        steps = pairwise(zip(SPECTRUM, SPECTRUM.values(), strict=True))
        shares = np.concatenate([np.full(b - a, (t - s) / (b - a)) for (a, s), (b, t) in steps])
        scale = np.sqrt(shares / shares.sum() * (1 - COMMON)).astype(np.float32)
        self.basis = np.ascontiguousarray(scale[:, None] * directions[1:])
        self.common = np.float32(np.sqrt(COMMON)) * directions[0]
        self.centres = 0.5 * random.standard_normal((CENTRES, DIMENSIONS - 1), dtype=np.float32)
        self.cameras = self._drawn(CAMERAS), random.integers(0, 2**64, (CAMERAS, 2), dtype=np.uint64)
        self.teacher = random.standard_normal(DIMENSIONS, dtype=np.float32)
        self.middle = float(np.median(self._drawn(2_000) @ self.teacher))
        self.before: tuple[np.ndarray, np.ndarray] | None = None

    def _drawn(self, n: int) -> np.ndarray:
        random = self.random
        drawn = random.standard_normal((n, DIMENSIONS - 1), dtype=np.float32)
        drawn += self.centres[random.integers(0, CENTRES, n)]
        drawn *= np.exp(random.normal(-0.12, 0.18, (n, 1))).astype(np.float32)
        return drawn @ self.basis + self.common

    def rows(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Embeddings float32 [n, 1280], fingerprints uint64 [n, 2], labels bool [n], and planted originals int [n].

        The original is a row of the shard before, or -1 for a photo that is none's look-alike, or -2 for a frame.
        """
        random = self.random
        made, prints = self._drawn(n), random.integers(0, 2**64, (n, 2), dtype=np.uint64)
        origin = np.full(n, -1)
        frames = np.arange(FRAME_EVERY - 1, n, FRAME_EVERY)
        camera = random.integers(0, CAMERAS, len(frames))
        made[frames] = _noisy(self.cameras[0][camera], random, 0.05, 0.25)
        prints[frames] = self.cameras[1][camera]
        _flip(prints, frames, random, 6)
        origin[frames] = -2
        if self.before is not None:
            copies = np.setdiff1d(np.arange(COPY_EVERY // 2, n, COPY_EVERY), frames)
            originals = random.integers(0, len(self.before[0]), len(copies))
            made[copies] = _noisy(self.before[0][originals], random, 0.1, 0.6)
            prints[copies[::2]] = self.before[1][originals[::2]]
            _flip(prints, copies[::2], random, 12)
            origin[copies] = originals
        self.before = made, prints
        labels = (made @ self.teacher > self.middle) ^ (random.random(n) < 0.05)
        return made, prints, labels, origin


def _noisy(vectors: np.ndarray, random: np.random.Generator, least: float, most: float) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True) / np.float32(np.sqrt(DIMENSIONS))
    noise = random.standard_normal(vectors.shape, dtype=np.float32) * lengths
    return vectors + noise * random.uniform(least, most, (len(vectors), 1)).astype(np.float32)


def _flip(prints: np.ndarray, rows: np.ndarray, random: np.random.Generator, most: int) -> None:
    """Flip up to `most` bits of the hashes in some rows; the mirror image's hash gets the same bits."""
    times = random.integers(0, most + 1, len(rows))
    for turn in range(most):
        bit = np.uint64(1) << random.integers(0, 64, len(rows), dtype=np.uint64)
        prints[rows] ^= np.where(turn < times, bit, np.uint64(0))[:, np.newaxis]


def make_shards(folder: Path, n: int, views: int) -> None:
    """Write made features as `roadclear extract` writes real ones, and planted.csv: look-alike, original."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from roadclear.data.shards.mapping import SUFFIX, short_key
    from roadclear.data.shards.photo import DETAILS
    from roadclear.training.config import TrainSettings
    from roadclear.training.from_shards import embedding_work

    work, maker, planted = embedding_work(TrainSettings(views=views)), Maker(n), []
    names = ["id", "sha256", *DETAILS, *(name for name, _ in work.fields()), "error"]
    kinds = dict(work.fields())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    packed = [f"{name}.list.element" for name in kinds]
    for start in range(0, n, ROWS_A_SHARD):
        made, prints, labels, origin = maker.rows(min(ROWS_A_SHARD, n - start))
        numbers = np.arange(start, start + len(made))
        words = np.where(labels, "crossing", "empty").tolist()
        ids = [f"{word}/{number:08}.jpg" for word, number in zip(words, numbers.tolist(), strict=True)]
        columns: dict[str, Any] = {name: [None] * len(made) for name in names}
        columns |= {"id": ids, "label": words, "source": [f"site-{number % 997}.example" for number in numbers]}
        columns["scene"] = [f"scene-{number // 3}" if number % 6 < 3 else None for number in numbers.tolist()]
        columns["sha256"] = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers.tolist()]
        vectors = {name: prints if name == "fingerprint" else made for name in kinds}
        for k, name in enumerate(kinds):
            if k >= 2:  # a view is the plain photo with a little noise
                vectors[name] = _noisy(made, maker.random, 0.1, 0.3)
        arrays = [
            pa.FixedSizeListArray.from_arrays(pa.array(vectors[name].ravel()), vectors[name].shape[1])
            if name in kinds
            else pa.array(columns[name], pa.string())
            for name in names
        ]
        summary = {"photos": len(made), "unreadable": 0, "examples": []}
        described = schema.with_metadata({"roadclear": json.dumps(summary)})
        content = hashlib.sha256(made.tobytes()).hexdigest()[:16]
        place = folder / f"made-{start // ROWS_A_SHARD:05}-{content}-{short_key(work)}{SUFFIX}"
        pq.write_table(
            pa.table(arrays, schema=described), place, row_group_size=1024, compression="zstd", use_dictionary=False,
            use_byte_stream_split=packed,
        )  # fmt: skip
        if len(before := planted[-1:]):
            pairs = np.flatnonzero(origin >= 0)
            planted += [(ids[i], before[0][1][origin[i]]) for i in pairs.tolist()]
        planted = [pair for pair in planted if isinstance(pair[1], str)]
        planted.append(("", ids))  # of the next shard's originals
        _progress(f"making {n:,} photos", start + len(made), n)
    lines = [f"{copy},{original}" for copy, original in planted if copy]
    (folder / "planted.csv").write_text("\n".join(lines), encoding="utf-8")


def _progress(stage: str, done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    print(f"\r{stage}: {done:,} of {total:,}", end=end, file=sys.stderr, flush=True)


class Stages:
    """Seconds by stage. A stage inside another stops the clock of the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[tuple[str, float]] = []
        self._thread = threading.get_ident()

    def watch(self) -> None:
        """Put a clock around the functions of `STAGES`."""
        for module_name, path, stage in STAGES:
            owner = importlib.import_module(module_name)
            *parents, name = path.split(".")
            for parent in parents:
                owner = getattr(owner, parent)
            found = vars(owner).get(name)
            if isinstance(found, classmethod):
                setattr(owner, name, classmethod(self._timed(found.__func__, stage)))
            elif found is not None:
                setattr(owner, name, self._timed(found, stage))

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what runs inside."""
        now = time.perf_counter()
        if self._open:
            self._add(self._open[-1][0], now - self._open[-1][1])
        self._open.append((name, now))
        try:
            yield
        finally:
            now = time.perf_counter()
            self._add(name, now - self._open.pop()[1])
            if self._open:
                self._open[-1] = self._open[-1][0], now

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:  # a part of a stage that is measured as a whole
                return function(*args, **kwargs)
            with self.stage(stage):
                result = function(*args, **kwargs)
                return list(result) if hasattr(result, "send") else result

        return call


def train_row(folder: Path, out: Path, views: int, with_report: bool) -> None:
    """Train on the shards as the command does, and print the seconds by stage as JSON."""
    from roadclear.report.page import build_report
    from roadclear.training.api import train
    from roadclear.training.config import TrainSettings
    from roadclear.training.from_shards import FeatureShards

    stages, started, last = Stages(), time.perf_counter(), [""]
    stages.watch()

    def report(*args: Any) -> bytes:
        with stages.stage("report"):
            return build_report(*args)

    def progress(stage: str, done: int, total: int) -> None:
        if stage != last[0]:
            last[0] = stage
            print(f"{time.perf_counter() - started:.1f} s: {stage}", file=sys.stderr, flush=True)

    with stages.stage("other"):
        result = train(
            None, TrainSettings(views=views), out=out, report=report if with_report else None, cache=False,
            features=FeatureShards(folder), progress=progress,
        )  # fmt: skip
    seconds = {**stages.seconds, "in all": time.perf_counter() - started}
    accuracy = result.evaluations["test"].metrics["accuracy"]
    found = _found(result, folder)
    print(
        json.dumps(
            {"seconds": seconds, "accuracy": accuracy.value, "epochs": len(result.head.trained.history), **found}
        )
    )


def _found(result: Any, folder: Path) -> dict[str, Any]:
    """Share of planted look-alikes that share a group with their originals."""
    groups = dict(zip((photo.file for photo in result.data.photos), result.data.look_alikes.tolist(), strict=True))
    pairs = [line.split(",") for line in (folder / "planted.csv").read_text(encoding="utf-8").splitlines()]
    together = [groups[copy] == groups[original] for copy, original in pairs]
    return {
        "planted": len(together),
        "found": sum(together) / len(together) if together else None,
        "largest": int(np.bincount(result.data.look_alikes).max()),
        "look_alike_photos": result.leakage.look_alike_photos,
    }


def measure(n: int, views: int, with_report: bool, keep: Path | None) -> dict[str, Any]:
    """Make the features of n photos, and train on them in a process of its own."""
    place = keep / f"{n}-{views}" if keep is not None else Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        if not (place / "planted.csv").exists():
            place.mkdir(parents=True, exist_ok=True)
            make_shards(place, n, views)
        out = Path(tempfile.mkdtemp(prefix="scale-run-")) / "run"
        command = [sys.executable, __file__, "--row", str(place), str(out), "--views", str(views)]
        process = subprocess.Popen(
            [*command, *(["--report"] if with_report else [])], stdout=subprocess.PIPE, text=True
        )
        peak, peak_anonymous = _watch(process)
        output = process.stdout.read() if process.stdout else ""
        if process.returncode:
            sys.exit(f"the training of {n:,} photos ended with {process.returncode}")
        report = out / "report.html"
        size = report.stat().st_size / 1e6 if report.exists() else None
        shutil.rmtree(out.parent)
        return {**json.loads(output), "peak": peak, "anonymous": peak_anonymous, "report_mb": size}
    finally:
        if keep is None:
            shutil.rmtree(place, ignore_errors=True)


def _watch(process: "subprocess.Popen[str]") -> tuple[float, float]:
    """Wait for a process: its largest resident memory, and the largest part that is no page of a file, in MB."""
    peak = anonymous = 0.0
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                peak = max(peak, _kib(status, "VmHWM:"))
                anonymous = max(anonymous, _kib(status, "RssAnon:") + _kib(status, "RssShmem:"))
            time.sleep(0.1)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    return peak * 1024 / 1e6, anonymous * 1024 / 1e6


def _kib(status: str, name: str) -> int:
    return int(status.split(name)[1].split()[0])


def print_rows(rows: dict[int, dict[str, Any]]) -> None:
    """Print a table of stages, and the facts below."""
    stages = list(dict.fromkeys(stage for row in rows.values() for stage in row["seconds"]))
    stages = [*(stage for stage in stages if stage not in ("other", "in all")), "other", "in all"]
    lines = []
    for stage in stages:
        cells = [row["seconds"].get(stage, 0.0) for row in rows.values()]
        each = ", ".join(f"{1e3 * cell / n:.2f}" for cell, n in zip(cells, rows, strict=True))
        lines.append((stage, *(f"{cell:.1f}" for cell in cells), each))
    print(table(("stage, seconds", *(f"{n:,}" for n in rows), "milliseconds a photo"), lines))
    facts = {
        "peak memory, MB": lambda row: f"{row['peak']:,.0f}",
        "of it no page of a file, MB": lambda row: f"{row['anonymous']:,.0f}",
        "test accuracy": lambda row: f"{row['accuracy']:.4f}",
        "epochs": lambda row: row["epochs"],
        "planted look-alikes found": lambda row: "" if row["found"] is None else f"{row['found']:.3f}",
        "photos in groups, largest group": lambda row: f"{row['look_alike_photos']:,}, {row['largest']:,}",
        "report, MB": lambda row: "" if row["report_mb"] is None else f"{row['report_mb']:.2f}",
    }
    print()
    facts_rows = [(name, *(value(row) for row in rows.values())) for name, value in facts.items()]
    print(table(("", *(f"{n:,}" for n in rows)), facts_rows))
    if BAR_PHOTOS in rows:
        row = rows[BAR_PHOTOS]
        print(f"\nBar: {row['seconds']['in all']:.0f} of {BAR_SECONDS} s, {row['peak']:,.0f} of {BAR_MB:,} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--views", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="build the report too")
    parser.add_argument("--keep", type=Path, help="keep the made features in this folder, and use those in it")
    parser.add_argument("--row", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        train_row(*options.row, options.views, options.report)
        return
    print(describe("numpy", "pyarrow"))
    rows: dict[int, dict[str, Any]] = {}
    try:
        for n in options.sizes:
            rows[n] = measure(n, options.views, options.report, options.keep)
            print(f"{n:,}: {json.dumps(rows[n])}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    if rows:
        print_rows(rows)


if __name__ == "__main__":
    main()
