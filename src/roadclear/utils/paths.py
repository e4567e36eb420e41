"""Where roadclear keeps files of its own."""

import os
from pathlib import Path

CACHE_FOLDER_VARIABLE = "ROADCLEAR_CACHE_DIR"


def default_cache_path() -> Path:
    """The user's cache file; its folder is `ROADCLEAR_CACHE_DIR`, or the operating system's for caches."""
    import platformdirs

    folder = os.environ.get(CACHE_FOLDER_VARIABLE) or platformdirs.user_cache_dir("roadclear", appauthor=False)
    return Path(folder) / "features.sqlite"


def checkpoint_path(cache: Path, key: str) -> Path:
    """Where a training that can go on after a kill keeps its state: beside the cache file, and cleared with it."""
    return cache.with_name(f"checkpoint-{key}.npz")
