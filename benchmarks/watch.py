"""Events of `roadclear watch`: how right, by method and zone, and how fast.

    python benchmarks/watch.py [--clips 24] [--seconds 60] [--real FOLDER] [--loop CAMERAS] [--speed]

Drawn clips show a fixed view in which people walk, with true times. A model is trained on frames of other drawn clips.
--real names a folder of real clips with truth.csv (clip, start_s, end_s, label), for the stock model.
"""

import argparse
import csv
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from machine import ROADCLEAR, describe, run, table
from roadclear.deploy.watch.decide import Decider
from roadclear.deploy.watch.evidence import Answer, answer_of, log_odds
from roadclear.deploy.watch.levels import LevelFinder
from roadclear.deploy.watch.settings import EventSettings
from roadclear.deploy.watch.source import find_source
from roadclear.deploy.watch.stored import stored_frames
from roadclear.deploy.watch.zone import Zone, read_zone
from roadclear.model.predictor import Model, load
from roadscenes.clips import Clip, draw_clip
from roadscenes.composition import View

SEED, TRAINING = 11, range(1000, 1080)
STEP, SAME = 0.2, 0.3
Span = tuple[float, float]
Decide = Callable[[Sequence[Answer]], NDArray[np.bool_]]

REAL_ZONES = {
    "fixed-camera-crosswalk.mp4": "0.2,0.3 0.45,0.3 0.9,0.8 0.62,0.95 0.5,0.95",
    "borislav-junction.mp4": "0,0.32 0.2,0.32 0.75,0.68 0.55,0.85 0,0.45",
}
"""Zones around the crosswalks, drawn by hand before any of them was tried."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--loop", type=int, default=0, help="cameras that get a model of their own")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    print(describe("openvino", "av"))
    with tempfile.TemporaryDirectory() as folder:
        if arguments.speed:
            print_speed(Path(folder))
            return
        if arguments.loop:
            print_loop(Path(folder), arguments.loop)
            return
        if arguments.real is not None:
            print_real(arguments.real)
        if arguments.clips:
            print_drawn(Path(folder), arguments.clips, arguments.seconds)


# --- methods ---------------------------------------------------------------------------------------------------------


def raw(answers: Sequence[Answer]) -> NDArray[np.bool_]:
    return np.array([answer.probability >= 0.5 for answer in answers])


def hysteresis(answers: Sequence[Answer]) -> NDArray[np.bool_]:
    """On after two frames of 0.6 or more, off after three of 0.4 or less."""
    found, on, count = np.zeros(len(answers), bool), False, 0
    for k, answer in enumerate(answers):
        speaks = answer.probability <= 0.4 if on else answer.probability >= 0.6
        count = count + 1 if speaks else 0
        found[k] = on
        if count == (3 if on else 2):
            found[k - count + 1 : k + 1] = not on
            on, count = not on, 0
    return found


def markov(live: bool, **settings: object) -> Decide:
    def decide(answers: Sequence[Answer]) -> NDArray[np.bool_]:
        decider = Decider(EventSettings(**settings), 0.5, live, STEP)  # type: ignore[arg-type]
        states = [state for answer in answers for state in decider.add(answer)] + list(decider.finish())
        return np.array([state.on for state in states])

    return decide


def levelled(decide: Decide) -> Decide:
    """Decide by the log-odds between the levels of the camera, in place of the model's."""

    def by_levels(answers: Sequence[Answer]) -> NDArray[np.bool_]:
        finder = LevelFinder()
        for answer in answers:
            finder.add(log_odds(answer, 0.5), STEP)
        levels = finder.find()
        shifted = [levels.evidence(log_odds(answer, 0.5)) for answer in answers]
        return decide(
            [replace(a, probability=float(1 / (1 + np.exp(-s)))) for a, s in zip(answers, shifted, strict=True)]
        )

    return by_levels


METHODS: dict[str, Decide] = {
    "threshold": raw,
    "hysteresis 0.6 / 0.4, 2 on, 3 off": hysteresis,
    "threshold, levels of the camera": levelled(raw),
    "hysteresis, levels of the camera": levelled(hysteresis),
    "Markov, levels of the model, file": markov(live=False, levels="model"),
    "Markov, levels of the model, live, no lag": markov(live=True, levels="model", lag=0.0),
    "Markov, levels of the model, live, lag 1 s": markov(live=True, levels="model"),
    "Markov, levels of the camera, live, no lag": markov(live=True, lag=0.0),
    "Markov, levels of the camera, live, lag 1 s": markov(live=True),
    "Markov, levels of the camera, file": markov(live=False),
}


# --- scores ----------------------------------------------------------------------------------------------------------


@dataclass
class Score:
    """Frames and events that were found, missed and too many; errors of starts and ends in seconds."""

    hits: int = 0
    false: int = 0
    missed: int = 0
    true_events: int = 0
    told_events: int = 0
    found: int = 0
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    def add(self, times: NDArray[np.float64], on: NDArray[np.bool_], truth: Sequence[Span]) -> None:
        """Compare the states of frames with the true events."""
        true = inside(times, truth)
        self.hits += int((on & true).sum())
        self.false += int((on & ~true).sum())
        self.missed += int((~on & true).sum())
        told = spans(times, on)
        self.true_events += len(truth)
        self.told_events += len(told)
        free = set(range(len(told)))
        for start, end in truth:
            overlap, k = max(((overlap_of((start, end), told[k]), k) for k in free), default=(0.0, -1))
            if overlap > SAME:
                free.discard(k)
                self.found += 1
                self.starts.append(abs(told[k][0] - start))
                self.ends.append(abs(told[k][1] - end))

    def row(self, name: str) -> tuple[str, ...]:
        """One row of the table."""

        def share(a: int, b: int) -> str:
            return f"{a / b:.2f}" if b else "-"

        def middle(errors: list[float]) -> str:
            return f"{np.median(errors):.1f} ({np.mean(errors):.1f})" if errors else "-"

        return (
            name,
            share(self.hits, self.hits + self.false),
            share(self.hits, self.hits + self.missed),
            share(self.found, self.told_events),
            share(self.found, self.true_events),
            str(self.told_events - self.found),
            middle(self.starts),
            middle(self.ends),
        )


HEADER = (
    "",
    "frames: precision",
    "recall",
    "events: precision",
    "recall",
    "too many",
    "start error, s",
    "end error, s",
)


def inside(times: NDArray[np.float64], truth: Iterable[Span]) -> NDArray[np.bool_]:
    found = np.zeros(len(times), bool)
    for start, end in truth:
        found |= (times >= start - 1e-9) & (times < end - 1e-9)
    return found


def spans(times: NDArray[np.float64], on: NDArray[np.bool_]) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    ends = np.append(times, times[-1] + STEP)
    return [(float(times[a]), float(ends[b])) for a, b in edges.reshape(-1, 2)]


def overlap_of(one: Span, other: Span) -> float:
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(shared, 0.0) / (max(one[1], other[1]) - min(one[0], other[0]))


# --- zones -----------------------------------------------------------------------------------------------------------


def covered(picture: Image.Image, zone: Zone) -> Image.Image:
    """Cover what lies outside, and cut nothing."""
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).polygon(zone.outline(picture.size), fill=255)
    return Image.composite(picture, Image.new("RGB", picture.size, (124, 116, 104)), mask)


def cut(picture: Image.Image, zone: Zone) -> Image.Image:
    """Cut to the zone's box, and cover nothing."""
    xs, ys = zip(*zone.outline(picture.size), strict=True)
    return picture.crop(
        (int(min(xs)), int(min(ys)), max(int(max(xs)), int(min(xs)) + 8), max(int(max(ys)), int(min(ys)) + 8))
    )


def by_map(model: Model, pictures: Sequence[tuple[float, Image.Image]], zone: Zone) -> list[Answer]:
    """Add up the map's places inside the zone, and the offset."""
    found, shares = [], None
    for (at, _), explained in zip(pictures, model.explain_many(p for _, p in pictures), strict=True):
        if shares is None:
            rows, columns = explained.heatmap.shape  # type: ignore[union-attr]
            mask = Image.new("L", (columns * 32, rows * 32), 0)
            ImageDraw.Draw(mask).polygon(zone.outline(mask.size), fill=255)
            shares = np.asarray(mask.resize((columns, rows), Image.Resampling.BOX), float) / 255
        logit = float((explained.heatmap * shares).sum()) + explained.offset  # type: ignore[union-attr]
        found.append(Answer(at, float(1 / (1 + np.exp(-logit))), False, False))
    return found


def by_model(model: Model, pictures: Sequence[tuple[float, Image.Image]]) -> list[Answer]:
    predictions = model.predict_many(picture for _, picture in pictures)
    return [answer_of(at, one) for (at, _), one in zip(pictures, predictions, strict=True)]  # type: ignore[arg-type]


def ways(
    model: Model, learned: Model | None, pictures: Sequence[tuple[float, Image.Image]], zone: Zone
) -> dict[str, list[Answer]]:
    found = {
        "whole view": by_model(model, pictures),
        "covered": by_model(model, [(at, covered(p, zone)) for at, p in pictures]),
        "cut": by_model(model, [(at, cut(p, zone)) for at, p in pictures]),
        "covered and cut": by_model(model, [(at, zone.apply(p)) for at, p in pictures]),
        "exact map": by_map(model, pictures, zone),
    }
    if learned is not None:
        found["learned: trained on zones, covered and cut"] = by_model(
            learned, [(at, zone.apply(p)) for at, p in pictures]
        )
    return found


# --- drawn clips -----------------------------------------------------------------------------------------------------


def zone_of(clip: Clip) -> Zone:
    """The box in which people of a clip cross."""
    view = View(clip.seed, clip.number)
    xs, ys = zip(*(corner for v in view.crossing_at for corner in view.zone(v)), strict=True)
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return Zone(((left, top), (right, top), (right, bottom), (left, bottom)))


def trained(folder: Path, name: str, zones: bool) -> Model:
    """Train on frames of other clips: at most three of each label from each."""
    rows = [("file", "label", "scene")]
    draw = np.random.default_rng(0)
    for number in TRAINING:
        clip = draw_clip(SEED, number, 60.0)
        zone = zone_of(clip) if zones else None
        edges = [edge for event in clip.events for edge in (event.start, event.end)]
        chosen: dict[str, list[float]] = {"crossing": [], "empty": []}
        for at in draw.random(400) * 60:
            label = "crossing" if any(e.start <= at < e.end for e in clip.events) else "empty"
            if len(chosen[label]) < 3 and all(abs(at - edge) > 0.5 for edge in edges):
                chosen[label].append(float(at))
        for label, times in chosen.items():
            for at in times:
                file = f"{label}/{number}-{at:05.2f}.jpg"
                picture = clip.frame(at) if zone is None else zone.apply(clip.frame(at))
                (folder / name / label).mkdir(parents=True, exist_ok=True)
                picture.save(folder / name / file, quality=90)
                rows.append((file, label, str(number)))
    with (folder / name / "manifest.csv").open("w", newline="") as file_:
        csv.writer(file_).writerows(rows)
    out = folder / f"{name}-run"
    run(
        [
            *ROADCLEAR,
            "train",
            str(folder / name),
            "--positive",
            "crossing",
            "--no-report",
            "--no-cache",
            "--out",
            str(out),
        ]
    )
    return load(out)


def print_drawn(folder: Path, clips: int, seconds: float) -> None:
    model, learned = trained(folder, "frames", zones=False), trained(folder, "zones", zones=True)
    methods = {name: Score() for name in METHODS}
    zones: dict[str, Score] = {}
    for number in range(clips):
        clip = draw_clip(SEED, number, seconds)
        pictures = list(clip.frames(1 / STEP))
        truth = [(event.start, event.end) for event in clip.events]
        times = np.array([at for at, _ in pictures])
        for way, answers in ways(model, learned, pictures, zone_of(clip)).items():
            zones.setdefault(way, Score()).add(times, METHODS["Markov, levels of the camera, file"](answers), truth)
            if way == "whole view":
                for name, score in methods.items():
                    score.add(times, METHODS[name](answers), truth)
    events = methods["threshold"].true_events
    print(f"\n{clips} drawn clips of {seconds:g} s, {events} true events, whole view. Errors: median (mean).\n")
    print(table(HEADER, [score.row(name) for name, score in methods.items()]))
    print("\nThe same clips by zone; Markov, levels of the camera, file.\n")
    print(table(HEADER, [score.row(name) for name, score in zones.items()]))


# --- real clips ------------------------------------------------------------------------------------------------------


def truth_of(folder: Path) -> dict[str, list[Span]]:
    """Spans with people by clip; what could not be judged is left to nobody."""
    found: dict[str, list[Span]] = {
        "fixed-camera-crosswalk.mp4": [(3.2, 10.2)],
        "fixed-camera-crosswalk.avi": [(3.2, 10.2)],
        "intersection-people-crossing.mp4": [(0.0, 13.0)],
    }
    with (folder / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            spans_ = found.setdefault(row["clip"], [])
            if row["label"] == "crossing":
                spans_.append((float(row["start_s"]), float(row["end_s"])))
    return found


def print_real(folder: Path) -> None:
    model, rows = load(), []
    shown = ("threshold", "hysteresis 0.6 / 0.4, 2 on, 3 off", "Markov, levels of the model, file",
             "Markov, levels of the camera, live, lag 1 s", "Markov, levels of the camera, file")  # fmt: skip
    for name, truth in truth_of(folder).items():
        pictures = [(f.time, f.picture()) for f in stored_frames(find_source(str(folder / name)), STEP)[0]]
        times = np.array([at for at, _ in pictures])
        found = {"whole view": by_model(model, pictures)}
        if name in REAL_ZONES:
            found = ways(model, None, pictures, read_zone(REAL_ZONES[name]))
        for way, answers in found.items():
            told = [in_words(spans(times, METHODS[method](answers))) for method in shown]
            rows.append((f"{name}, {way}", in_words(truth), *told))
    print("\nReal clips, stock model: events in seconds (their number where there are more than two).\n")
    print(table(("clip", "truth", *shown), rows))


def in_words(found: Sequence[Span]) -> str:
    if len(found) > 2:
        return f"{len(found)} events"
    return ", ".join(f"{start:.1f}-{end:.1f}" for start, end in found) or "none"


# --- watch, label, train, watch ---------------------------------------------------------------------------------------


def print_loop(folder: Path, cameras: int) -> None:
    """Watch a camera for eight minutes, label the frames that were kept, train with them, and watch eight others.

    The frames are added to the photos of the general model.
    """
    general = trained(folder, "frames", zones=False)
    general.save(folder / "general.onnx")
    before, after = Score(), Score()
    kept = wrong = 0
    for number in range(cameras):
        clip = draw_clip(SEED, number, 2 * LOOP_S)
        place = folder / f"camera-{number}"
        first, second = (film(place / f"{part}.mp4", clip, part * LOOP_S) for part in (0, 1))
        watched(
            place / "first", folder / "general.onnx", first, "--keep-unsure", str(place / "photos"), "--at-most", "80"
        )
        photos = sorted((place / "photos").glob("*/*.jpg"))
        kept, wrong = kept + len(photos), wrong + label(place / "photos", clip)
        join(folder / "frames", place / "photos", place / "joined")
        train = [*ROADCLEAR, "train", str(place / "joined"), "--positive", "crossing", "--no-report", "--no-cache"]
        run([*train, "--out", str(place / "own")])
        truth = [(max(e.start - LOOP_S, 0.0), e.end - LOOP_S) for e in clip.events if e.end > LOOP_S]
        for score, model in ((before, folder / "general.onnx"), (after, place / "own")):
            score.add(*watched(place / f"second-{score is after}", model, second), truth)
    print(f"\n{cameras} drawn cameras, {2 * LOOP_S / 60:g} minutes each. Of {kept} frames that were kept")
    print(f"of the first half, {wrong} were moved to the other label.\n")
    print(table(HEADER, [before.row("general model"), after.row("trained with the camera's frames too")]))


LOOP_S, LOOP_RATE = 480.0, 2.5


def join(general: Path, own: Path, joined: Path) -> None:
    """Copy two labelled folders into one, manifests included."""
    rows: list[list[str]] = []
    for source in (general, own):
        shutil.copytree(source, joined, dirs_exist_ok=True)
        with (source / "manifest.csv").open(newline="") as file:
            rows += [[row["file"], row["label"], row["scene"]] for row in csv.DictReader(file)]
    with (joined / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "scene"], *rows])


def film(path: Path, clip: Clip, start: float) -> Path:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = None
        for k in range(int(LOOP_S * LOOP_RATE)):
            picture = clip.frame(start + k / LOOP_RATE)
            picture = picture.crop((0, 0, picture.width // 2 * 2, picture.height // 2 * 2))
            if stream is None:
                stream = out.add_stream("libx264", rate=5)
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
                stream.codec_context.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = round(1000 * k / LOOP_RATE), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))  # type: ignore[union-attr]
    return path


def watched(out: Path, model: Path, film_: Path, *options: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    run([*ROADCLEAR, "watch", str(model), str(film_), "--every", str(1 / LOOP_RATE), "--out", str(out), "-q", *options])
    with (out / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([float(row["time"]) for row in rows]), np.array([row["state"] == "crossing" for row in rows])


def label(photos: Path, clip: Clip) -> int:
    """Move frames to their true label, as a person would; return how many lay under the other one."""
    moved, names = 0, {}
    for file in sorted(photos.glob("*/*.jpg")):
        at = float(file.stem.split("-")[-1])
        true = "crossing" if any(event.start <= at < event.end for event in clip.events) else "empty"
        names[f"{file.parent.name}/{file.name}"] = f"{true}/{file.name}"
        if file.parent.name != true:
            (photos / true).mkdir(exist_ok=True)
            file.rename(photos / true / file.name)
            moved += 1
    manifest = photos / "manifest.csv"
    with manifest.open(newline="") as table_:
        rows = list(csv.DictReader(table_))
    with manifest.open("w", newline="") as table_:
        writer = csv.DictWriter(table_, rows[0].keys())
        writer.writeheader()
        writer.writerows(
            {**row, "file": names[row["file"]], "label": names[row["file"]].partition("/")[0]} for row in rows
        )
    return moved


# --- speed -----------------------------------------------------------------------------------------------------------


def print_speed(folder: Path) -> None:
    """Whole processes on clips of 25 frames a second, H.264."""
    import av

    rows = []
    for width, height, seconds in ((640, 480, 120), (1920, 1080, 40)):
        path = folder / f"{height}.mp4"
        clip = draw_clip(SEED, 0, 8.0)
        frames = [picture.resize((width, height)) for _, picture in clip.frames(25.0)]
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for k in range(seconds * 25):
                out.mux(stream.encode(av.VideoFrame.from_image(frames[k % len(frames)])))
            out.mux(stream.encode(None))
        command = [*ROADCLEAR, "watch", str(path), "--out", str(folder / f"out-{height}"), "-q"]
        began, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        run(command)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime
        rows.append(
            (
                f"{width} x {height}, {seconds} s",
                f"{wall:.1f}",
                f"{used:.1f}",
                f"{seconds / wall:.0f}",
                f"{2 * seconds / used:.0f}",
            )
        )
    print("\n`roadclear watch CLIP` with the stock model, 25 frames a second, --every 0.2.\n")
    print(table(("clip", "wall s", "CPU s", "times real time", "times real time if two cores were free"), rows))


if __name__ == "__main__":
    main()
