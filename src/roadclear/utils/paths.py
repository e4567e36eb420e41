"""Places of the program's own files."""

import os
from pathlib import Path

CACHE_FOLDER_VARIABLE = "ROADCLEAR_CACHE_DIR"


def default_cache_path() -> Path:
    """Return the cache file of the user, in `ROADCLEAR_CACHE_DIR` or in the operating system's folder for caches."""
    import platformdirs

    folder = os.environ.get(CACHE_FOLDER_VARIABLE) or platformdirs.user_cache_dir("roadclear", appauthor=False)
    return Path(folder) / "features.sqlite"


def turns_path() -> Path:
    """Return the file in which all processes of the user keep the turns of hosts: beside the cache."""
    return default_cache_path().with_name("hosts.sqlite")


def checkpoint_path(cache: Path, key: str) -> Path:
    """Return the file that lets an interrupted training continue: beside the cache, and cleared with the cache."""
    return cache.with_name(f"checkpoint-{key}.npz")


def cluster_checkpoints_path(cache: Path) -> Path:
    """Return the folder of checkpoints of a cluster: beside the cache, and cleared with the cache."""
    return cache.with_name("cluster-checkpoints")
