"""Cases for triage, and photos whose names try to break out of a page or a table."""

import hashlib
import os
from pathlib import Path

from folders import photo, write_folder

from roadclear.curation.cases import Case, Entry, TriageReason
from roadclear.data.dataset import LabelledPhoto

LABELS = ("empty", "crossing")
HOSTILE = [
    b'<img src=x onerror="alert(1)">.png',
    b"</script><script>alert(1)</script>.png",
    b"\"'&amp;,.png",
    b"two\nlines.png",
    b"\xff\xfe.png",
    "右\u202egpj.png".encode(),
    b"{{ 7 * 7 }}.png",
    b"=1+1.png",
]


def entry(rank: int, path: Path, reason: TriageReason = TriageReason.WRONG_LABEL) -> Entry:
    label = path.parent.name
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64
    found = LabelledPhoto(path, f"{label}/{path.name}", label)
    other = next(one for one in LABELS if one != label)
    return Entry(rank, reason, found, sha256, other, 0.93, f"looks like {path.name}")


def one_by_one(paths: list[Path]) -> list[Case]:
    return [Case(TriageReason.WRONG_LABEL, (entry(rank, path),)) for rank, path in enumerate(paths, start=1)]


def hostile_photos(tmp_path: Path) -> list[Path]:
    names = [os.fsdecode(name).replace("/", "\u2215") for name in HOSTILE]
    root = write_folder(tmp_path / "photos", {f"empty/{name}": photo(seed) for seed, name in enumerate(names)})
    return [root / "empty" / name for name in names]
