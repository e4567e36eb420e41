"""Drawn street scenes in two classes: people on the carriageway (crossing), or objects on the carriageway (empty).

Drawn scenes allow a first try without photos and without a network. Tests use the scenes to check that a model finds
people, and that heatmaps point at people.

Both classes have the same streets, weather, cars and people on the pavement. Empty scenes have road works, boxes or
bins where crossing scenes have people. So colours, light and file sizes do not reveal the label.

Example:
    >>> scene = draw_scene(seed=0, number=0, crossing=True)
    >>> scene.label, len(scene.boxes) > 0
    ('crossing', True)
"""

import csv
import io
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

CROSSING, EMPTY = "crossing", "empty"
BOXES_FILE = "boxes.csv"

_JPEG_QUALITY = 88
_SCENES_A_TASK = 8

ProgressCallback = Callable[[str, int, int], None]
"""Callback with the name of a stage, the finished number and the total number."""


@dataclass(frozen=True)
class Box:
    """Bounding box of a person, in pixels: x0 <= x < x1 and y0 <= y < y1, inside the picture."""

    x0: int
    y0: int
    x1: int
    y1: int


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn scene.

    Attributes:
        image: RGB picture, 288 to 352 pixels wide and 216 to 264 pixels high.
        label: "crossing" or "empty".
        boxes: boxes of people on the carriageway, with everything they carry, far people first.
    """

    image: Image.Image
    label: str
    boxes: tuple[Box, ...]


def draw_scene(seed: int, number: int, crossing: bool) -> Scene:
    """Draw a scene. Equal arguments give equal scenes.

    Args:
        seed: random seed of the set, 0 or above.
        number: number of the scene in the set, 0 or above.
        crossing: whether people are on the carriageway. The street is the same in both classes.
    """
    from roadscenes.composition import compose

    composition = compose(seed, number, crossing)
    width, height = composition.image.size
    boxes = tuple(
        Box(max(0, int(left)), max(0, int(top)), min(width, int(right) + 1), min(height, int(bottom) + 1))
        for left, top, right, bottom in composition.people
    )
    return Scene(composition.image, CROSSING if crossing else EMPTY, boxes)


def write_scenes(
    folder: str | os.PathLike[str],
    count: int,
    seed: int = 0,
    share_crossing: float = 0.5,
    progress: ProgressCallback = lambda stage, done, total: None,
    processes: int = 1,
) -> list[Path]:
    """Draw scenes into folder/crossing/*.jpg and folder/empty/*.jpg, and write boxes of people to folder/boxes.csv.

    The table has a row (file, label, x0, y0, x1, y1) for every person on a carriageway. The same arguments give the
    same bytes. A larger count adds scenes and changes none.

    Args:
        folder: new or empty folder.
        count: number of scenes, 2 or more.
        seed: random seed of the set, 0 or above.
        share_crossing: share of scenes with people on the carriageway, above 0 and below 1.
        progress: called after every scene with the stage, the number of drawn scenes and the total number.
        processes: number of processes that draw, 1 or more. With more than 1, the calling program must be safe to
            import (`if __name__ == "__main__"`), because every process imports it.

    Returns:
        Files of the scenes, in the order of their numbers.

    Raises:
        ValueError: an argument is out of its range.
        FileExistsError: the folder is not empty.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    _check(folder, count, seed, share_crossing, processes)
    table = io.StringIO(newline="")
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "label", "x0", "y0", "x1", "y1"])
    files: list[Path] = []
    for label in (CROSSING, EMPTY):
        (folder / label).mkdir(parents=True)
    crossing = [_is_crossing(number, share_crossing) for number in range(count)]
    with closing(_drawn(seed, crossing, processes)) as drawn:
        for number, (label, jpeg, boxes) in enumerate(drawn):
            name = f"{label}/scene-{number:05}.jpg"
            (folder / name).write_bytes(jpeg)
            rows.writerows([name, label, box.x0, box.y0, box.x1, box.y1] for box in boxes)
            files.append(folder / name)
            progress("Drawing scenes", number + 1, count)
    (folder / BOXES_FILE).write_text(table.getvalue(), encoding="utf-8", newline="")
    return files


_Drawn = tuple[str, bytes, tuple[Box, ...]]


def _drawn(seed: int, crossing: Sequence[bool], processes: int) -> Generator[_Drawn, None, None]:
    """Draw scenes in the order of their numbers: label, JPEG and boxes of each."""
    seeds, numbers = [seed] * len(crossing), range(len(crossing))
    if processes == 1:
        yield from map(_draw, seeds, numbers, crossing)
        return
    # A forked process would inherit the locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_ignore_interrupts)
    try:
        with _interrupts_held():
            drawn = pool.map(_draw, seeds, numbers, crossing, chunksize=_SCENES_A_TASK)
        yield from drawn
    finally:
        # Without the cancellation, Ctrl-C while scenes are handed out would wait until all of them are drawn.
        pool.shutdown(cancel_futures=True)


def _draw(seed: int, number: int, crossing: bool) -> _Drawn:
    scene = draw_scene(seed, number, crossing)
    jpeg = io.BytesIO()
    scene.image.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return scene.label, jpeg.getvalue(), scene.boxes


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while processes are started.

    A process that is half started would print a traceback. A new process inherits the mask, and never sees Ctrl-C.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that started the drawing, also where there are no signal masks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _is_crossing(number: int, share: float) -> bool:
    """Spread crossing scenes evenly over the numbers."""
    return int((number + 1) * share) > int(number * share)


def _check(folder: Path, count: int, seed: int, share_crossing: float, processes: int) -> None:
    if count < 2:
        raise ValueError(f"expected a count of 2 scenes or more, found {count}")
    if processes < 1:
        raise ValueError(f"expected 1 process or more, found {processes}")
    if seed < 0:
        raise ValueError(f"expected a seed of 0 or above, found {seed}")
    if not 0 < share_crossing < 1:
        raise ValueError(f"expected a share of crossings above 0 and below 1, found {share_crossing}")
    taken = os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir()))
    if taken:
        raise FileExistsError(f"expected a new or an empty folder, found {str(folder)!r} in use: choose another name")
