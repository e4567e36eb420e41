"""How time and memory of grouping look-alikes grow with the number of photos, on one core.

    python benchmarks/grouping_scale.py [--largest 1000000]

Hashes and embeddings are random, with near copies planted: every tenth item is a copy of another one, its hash up to 8
bits away, every other of them mirrored, or its embedding with a cosine of about 0.95. The camera's frames are the
hard case: all hashes within a few bits of each other, which makes billions of pairs; they are grouped three times, by
ever stricter rules. Every row is a process of its own, so that its peak of memory is its own.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time

SIZES = (1_000, 10_000, 100_000, 1_000_000)
EMBEDDING_SIZES = (1_000, 10_000, 100_000)
KINDS = {"hashes": SIZES, "blank": SIZES, "camera": SIZES, "embeddings": EMBEDDING_SIZES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=max(SIZES))
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        measure(arguments.row[0], int(arguments.row[1]))
        return
    one_core = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print("| input | n | seconds | peak memory, MB (of it input) | groups | planted copies found |")
    print("|---|---|---|---|---|---|", flush=True)
    for kind, sizes in KINDS.items():
        for n in sizes:
            if n <= arguments.largest:
                subprocess.run([sys.executable, __file__, "--row", kind, str(n)], env=one_core, check=True)


def measure(kind, n):
    import numpy as np

    from roadclear.data.near_duplicates.groups import LOOK_ALIKE, group

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    random = np.random.default_rng(0)
    fingerprints = random.integers(0, 2**64, (n, 2), dtype=np.uint64)
    embeddings = None
    copies = np.arange(9, n, 10)
    originals = copies - 1 - random.integers(0, 8, len(copies))
    if kind == "blank":
        fingerprints[:] = fingerprints[0]
    elif kind == "camera":
        fingerprints[:] = fingerprints[0]
        flip(fingerprints, np.arange(n), random, most=6)
    elif kind == "hashes":
        fingerprints[copies] = fingerprints[originals]
        fingerprints[copies[::2]] = fingerprints[copies[::2], ::-1]
        flip(fingerprints, copies, random, most=LOOK_ALIKE.bits)
    else:
        embeddings = draw_embeddings(n, random)
        noise = 0.33 * np.linalg.norm(embeddings[originals], axis=1, keepdims=True) / np.sqrt(embeddings.shape[1])
        embeddings[copies] = embeddings[originals]
        embeddings[copies] += noise * random.standard_normal((len(copies), embeddings.shape[1]), dtype=np.float32)
    before = peak_mb()
    started = time.perf_counter()
    groups = group(fingerprints, embeddings)
    seconds = time.perf_counter() - started
    found = f"{(groups[copies] == groups[originals]).mean():.4f}" if kind in ("hashes", "embeddings") else "–"
    print(
        f"| {kind} | {n:,} | {seconds:.2f} | {peak_mb():,.0f} ({before:,.0f}) | {groups.max() + 1:,} | {found} |",
        flush=True,
    )


def flip(fingerprints, rows, random, most):
    """Flip up to `most` bits of the hashes in some rows; the mirror image's hash gets the same bits."""
    import numpy as np

    times = random.integers(0, most + 1, len(rows))
    for turn in range(most):
        bit = np.uint64(1) << random.integers(0, 64, len(rows), dtype=np.uint64)
        fingerprints[rows] ^= np.where(turn < times, bit, np.uint64(0))[:, np.newaxis]


def draw_embeddings(n, random):
    """Like those of photos: not negative, most of the variance in 60 directions, median cosine about 0.6."""
    import numpy as np

    directions = random.standard_normal((60, 1280), dtype=np.float32)
    embeddings = np.empty((n, 1280), dtype=np.float32)
    for start in range(0, n, 10_000):
        part = embeddings[start : start + 10_000]
        part[:] = random.standard_normal((len(part), 60), dtype=np.float32) @ directions / np.sqrt(60)
        part += 0.4 * random.standard_normal(part.shape, dtype=np.float32) + 0.2
        np.maximum(part, 0, out=part)
    return embeddings


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
