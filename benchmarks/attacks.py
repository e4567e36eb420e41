"""The mutants of `endurance.py`: files of every kind, damaged at random, and what must come of reading each.

A mutant is read ("survived") or refused with one printable sentence ("refused"). Every other error is a fault, and so
is a result that is wrong. Mutant number n of a class is the same in every run with the same seed.
"""

import io
import os
import random
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from checkpoints import state_dict
from deciding import decide
from folders import files_by_identity, photo, tree, write_folder
from heads import drawn_model
from mutants import PHOTOS, SMALL, changed_at, damaged, damaged_text, model_places
from PIL import Image

from roadclear.collect.records import (
    RejectionRecord,
    SourceRecord,
    read_rejections,
    read_sources,
    write_rejections,
    write_sources,
)
from roadclear.collect.rejections import RejectionReason
from roadclear.curation.apply import apply_decisions
from roadclear.curation.clean import restore
from roadclear.curation.journal import QUARANTINE, Move, write_journal
from roadclear.data.archive import is_archive, unpack
from roadclear.data.dataset import load_folder, with_split
from roadclear.data.sources import load_table
from roadclear.errors import RoadclearError
from roadclear.features.backbone import kerasfile, torchfile
from roadclear.features.cache import open_cache
from roadclear.images.decode import decode, identify
from roadclear.model.heads import Epoch
from roadclear.model.metadata import read_facts
from roadclear.model.predictor import Model
from roadclear.training.config import TrainSettings
from roadclear.training.finetune.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from roadclear.training.run_files import config, read_config
from roadclear.utils import temporary

Attempt = Callable[[int, int, Path], None]
"""Function of a seed, a number and an empty folder of the class: makes and reads a mutant. Raises what goes wrong."""


class WrongResultError(Exception):
    """A mutant was read, and the result is impossible."""


@dataclass(frozen=True)
class Attack:
    """A class of mutants.

    Attributes:
        name: name of the class.
        share: how many of a million mutants are of this class.
        attempt: makes and reads a mutant.
    """

    name: str
    share: int
    attempt: Attempt


def judge(attack: Attack, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """Make and read a mutant: how it ended, and the error where something is wrong."""
    try:
        attack.attempt(seed, number, folder)
    except RoadclearError as error:
        text = str(error)
        sound = text.isprintable() and 0 < len(text) < 2000
        return ("refused", "") if sound else ("wrong", f"a refusal that is no printable sentence: {text[:300]!r}")
    except WrongResultError as error:
        return "wrong", str(error)
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"[:300]
    return "survived", ""


def random_of(seed: int, number: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, number, *name.encode()])


def expect(sound: object, what: str) -> None:
    if not sound:
        raise WrongResultError(what)


# --- photos


def photo_attempt(name: str) -> Attempt:
    def attempt(seed: int, number: int, folder: Path) -> None:
        rng = random_of(seed, number, name)
        files = heif_photos() if name == "HEIF" else PHOTOS[name]
        mutant = damaged(rng, files[number % len(files)])
        if number % 8 == 7:
            info = identify(mutant)
            expect(info.width > 0 and info.height > 0 and info.frames > 0, f"{info}")
            return
        size = (None, 16)[number % 2]
        pixels = decode(mutant, size)
        expect(pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3, f"{pixels.shape}")
        expect(size is None or pixels.shape == (size, size, 3), f"{pixels.shape}")

    return attempt


@cache
def heif_photos() -> tuple[bytes, ...]:
    import pillow_heif

    made = []
    for pixels in (SMALL, np.dstack([SMALL, SMALL[:, :, :1]])):
        buffer = io.BytesIO()
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=80)
        made.append(buffer.getvalue())
    return tuple(made)


# --- models, weights and checkpoints


@cache
def model() -> tuple[bytes, dict[str, list[int]]]:
    data = drawn_model(size=32, band=(0.4, 0.6))
    return data, {part: model_places(data, part) for part in ("metadata", "graph")}


def model_attempt(seed: int, number: int, folder: Path) -> None:
    """Each is parsed and checked. Every twenty-fifth goes on to an engine and predicts."""
    data, places = model()
    draw = random.Random(f"{seed} {number}")
    mutant = changed_at(data, places[("metadata", "graph")[number % 2]], draw)
    if number % 25:
        facts = read_facts(mutant)
        expect(0 <= facts.band.low <= facts.band.high <= 1 and 0 <= facts.threshold <= 1, f"{facts.band}")
        return
    result = Model(mutant).predict(np.zeros((32, 32, 3), np.uint8))
    expect(0 <= result.probability <= 1, f"{result}")


@cache
def torch_files() -> tuple[bytes, ...]:
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3, dtype=np.int64)}
    return state_dict(arrays, "legacy"), state_dict(arrays, "zipped")


def torch_attempt(seed: int, number: int, folder: Path) -> None:
    mutant = damaged(random_of(seed, number, "torch"), torch_files()[number % 2])
    for name, array in torchfile.read_tensors(mutant).items():
        expect(array.size <= len(mutant), f"{name} has {array.size} values")


@cache
def keras_file() -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = [b"Conv1"]
        file.create_group("Conv1").attrs["weight_names"] = [b"Conv1/kernel:0"]
        file["Conv1"].create_dataset("Conv1/kernel:0", data=np.arange(90, dtype=np.float32).reshape(3, 3, 2, 5))
    return buffer.getvalue()


def keras_attempt(seed: int, number: int, folder: Path) -> None:
    """Each in the process that the package starts for it, which may hang or crash within its limits."""
    kerasfile._MOST_SECONDS = 2
    kerasfile.read_tensors(damaged(random_of(seed, number, "keras"), keras_file()))


@cache
def checkpoint_file() -> bytes:
    arrays = {"kernel": np.arange(6, dtype=np.float32), "bias": np.zeros(2, np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.npz")
        save_checkpoint(path, Checkpoint((Epoch(1, 0.7, 0.6, 0.5),), 1, {"best": arrays}))
        return path.read_bytes()


def checkpoint_attempt(seed: int, number: int, folder: Path) -> None:
    whole = checkpoint_file()
    mutant = damaged(random_of(seed, number, "checkpoint"), whole)
    (folder / "checkpoint.npz").write_bytes(mutant)
    expect(load_checkpoint(folder / "checkpoint.npz") is None or mutant == whole, "a damaged checkpoint was loaded")


# --- the cache

KEYS = [str(number) for number in range(8)]


def row(key: str) -> np.ndarray:
    return np.random.default_rng(int(key)).normal(size=40).astype(np.float32)


@cache
def cache_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "features.sqlite")
        with open_cache(path) as features:
            for key in KEYS:
                features.put(key, "kind", "view", row(key))
        return path.read_bytes()


def cache_attempt(seed: int, number: int, folder: Path) -> None:
    """Each value is the one that was stored, or none. What is missing is computed anew, as by the package."""
    path = folder / "features.sqlite"
    for left in folder.iterdir():
        left.unlink()
    path.write_bytes(damaged(random_of(seed, number, "cache"), cache_file()))
    with warnings.catch_warnings(record=True) as caught, open_cache(path) as features:
        warnings.simplefilter("always")
        for key in KEYS:
            found = features.find(key, "kind", "view", np.float32)
            expect(found is None or np.array_equal(found, row(key)), f"another value of {key}")
        features.put("0", "kind", "view", row("0"))
        features.flush()
        loaded = features.load(KEYS, "kind", "view", np.float32, restore=row)
        expect(np.array_equal(loaded, np.stack([row(key) for key in KEYS])), "another value was loaded")
    expect(all(str(warning.message).isprintable() for warning in caught), "a warning that cannot be printed")


# --- tables, settings and archives


def fresh_root(folder: Path) -> tuple[Path, Path]:
    """A small folder of photos with a quarantine, and a folder of the user beside it. Made anew after every change."""
    root, outside = folder / "photos", folder / "home"
    shutil.rmtree(folder, ignore_errors=True)
    outside.mkdir(parents=True)
    (outside / "key").write_bytes(b"mine")
    write_folder(root, {"crossing/a.png": photo(1), "empty/b.png": photo(2), f"{QUARANTINE}/duplicate/c.png": photo(3)})
    return root, outside


def within(folder: Path, table: str, content: bytes, action: Callable[[Path, Path], object]) -> None:
    """Act on a folder with a mutant as its table: no file of the user is touched, and no photo is lost."""
    root, outside = folder / "photos", folder / "home"
    if not (root / "crossing/a.png").exists():
        root, outside = fresh_root(folder)
    path = folder / table
    path.write_bytes(content)
    tables = {"sources.csv", "rejected.csv", "manifest.csv", "cleaning.csv"}
    mine, photos = tree(outside), [inode for inode in files_by_identity(root) if inode not in inodes(root, tables)]
    places = tree(root)
    try:
        action(root, path)
    finally:
        expect(tree(outside) == mine, "a file outside the folder was changed")
        left = [inode for inode in files_by_identity(root) if inode not in inodes(root, tables)]
        expect(left == photos, "a photo was lost or added")
        if {name for name in tree(root) if name.endswith(".png")} != {n for n in places if n.endswith(".png")}:
            fresh_root(folder)
        else:
            path.unlink(missing_ok=True)


def inodes(root: Path, names: set[str]) -> set[int]:
    return {(root / name).stat().st_ino for name in names if (root / name).exists()}


@cache
def tables() -> dict[str, bytes]:
    """A sound table of every kind."""
    with tempfile.TemporaryDirectory() as name:
        root, _ = fresh_root(Path(name, "x"))
        record = SourceRecord("crossing/a.png", "crossing", *["text"] * 14, "2026-01-01T00:00:00+00:00")
        write_sources(root, [record, record])
        write_rejections(root, [RejectionRecord(RejectionReason.TOO_SMALL, "text", record)])
        place = f"{QUARANTINE}/duplicate/c.png"
        moves = [Move("now", "duplicate", "text", "crossing", "crossing/c.png", place, "", "crossing/a.png")]
        write_journal(root, moves)
        decided = decide(root, {"crossing/a.png": "move to empty", "empty/b.png": "set aside"})
        return {
            "photos/sources.csv": (root / "sources.csv").read_bytes(),
            "photos/rejected.csv": (root / "rejected.csv").read_bytes(),
            "photos/cleaning.csv": (root / "cleaning.csv").read_bytes(),
            "photos/manifest.csv": b"file,scene,split\r\ncrossing/a.png,yard,train\r\nempty/b.png,,test\r\n",
            "decisions.csv": decided.read_bytes(),
            "split.csv": b"file,label,split,group\r\ncrossing/a.png,crossing,train,0\r\nempty/b.png,empty,test,1\r\n",
            "labels.csv": b"file,label,split\r\nphotos/crossing/a.png,yes,train\r\nphotos/empty/b.png,no,test\r\n",
        }


def check_paths(root: Path, table: Path) -> None:
    """A table of labels names files below its own folder only."""
    for one in load_table(table).photos:
        expect(os.path.normpath(one.path).startswith(f"{table.parent}{os.sep}"), f"{one.path} lies outside")


ACTIONS: dict[str, Callable[[Path, Path], object]] = {
    "photos/sources.csv": lambda root, _: (read_sources(root), load_folder(root)),
    "photos/rejected.csv": lambda root, _: read_rejections(root),
    "photos/cleaning.csv": lambda root, _: restore(root),
    "photos/manifest.csv": lambda root, _: load_folder(root),
    "decisions.csv": apply_decisions,
    "split.csv": lambda root, table: with_split(load_folder(root), table),
    "labels.csv": check_paths,
}


def table_attempt(name: str) -> Attempt:
    def attempt(seed: int, number: int, folder: Path) -> None:
        mutant = damaged_text(random_of(seed, number, name), tables()[name])
        within(folder, name, mutant, ACTIONS[name])

    return attempt


def config_attempt(seed: int, number: int, folder: Path) -> None:
    (folder / "config.toml").write_bytes(
        damaged_text(random_of(seed, number, "config"), config("photos", TrainSettings()))
    )
    read_config(folder / "config.toml")


@cache
def archive_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/1.jpg", "b/2.jpg"):
            archive.writestr(name, b"content" * 50)
    return buffer.getvalue()


def archive_attempt(seed: int, number: int, folder: Path) -> None:
    home = folder / "temporary"
    if number % 100 == 0 or not home.exists():
        shutil.rmtree(folder)
        home.mkdir(parents=True)
    temporary.tempfile.tempdir = str(home)
    try:
        path = folder / "photos.zip"
        path.write_bytes(damaged(random_of(seed, number, "archive"), archive_file()))
        if is_archive(path):
            unpack(path)
    finally:
        temporary.tempfile.tempdir = None
        files = {path.name for path in folder.iterdir()} - {"temporary", "photos.zip"}
        expect(not files, f"{files} appeared outside")


def attacks() -> list[Attack]:
    """All classes that this installation can attack."""
    formats = {"JPEG": 130, "PNG": 110, "WEBP": 100, "TIFF": 130, "GIF": 100, "BMP": 80, "PPM": 60, "AVIF": 60}
    made = [Attack(f"photo: {name}", 1000 * share, photo_attempt(name)) for name, share in formats.items()]
    if is_there(heif_photos):
        made.append(Attack("photo: HEIF", 20_000, photo_attempt("HEIF")))
    made += [
        Attack("model file", 15_000, model_attempt),
        Attack("PyTorch weights", 60_000, torch_attempt),
        Attack("fine-tuning checkpoint", 40_000, checkpoint_attempt),
        Attack("feature cache", 30_000, cache_attempt),
    ]
    if is_there(keras_file):
        made.append(Attack("Keras weights", 300, keras_attempt))
    made += [Attack(f"table: {Path(name).name}", 8_000, table_attempt(name)) for name in ACTIONS]
    return [*made, Attack("config.toml", 20_000, config_attempt), Attack("ZIP archive", 20_000, archive_attempt)]


def is_there(make: Callable[[], object]) -> bool:
    """Whether the optional library is installed that a sound file is made with."""
    try:
        make()
    except ImportError:
        return False
    return True
