"""Names of shards. Light to import, for the command line."""

TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PARQUET = (".parquet", ".pq")


def is_tar(name: str) -> bool:
    """Whether a name is that of a tar archive."""
    return name.lower().endswith(TAR)


def is_shard(name: str) -> bool:
    """Whether a name is that of a tar archive or a Parquet file."""
    return name.lower().endswith((*TAR, *PARQUET))
