"""Tables of decisions on files as they are."""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path


def decide(root: Path, decisions: Mapping[str, str]) -> Path:
    """Write decisions.csv beside a folder: file -> decision."""
    path = root.parent / "decisions.csv"
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as lines:
        writer = csv.writer(lines)
        writer.writerow(("file", "sha256", "decision"))
        for file, decision in decisions.items():
            known = (root / file).exists()
            writer.writerow((file, hashlib.sha256((root / file).read_bytes() if known else b"").hexdigest(), decision))
    return path
