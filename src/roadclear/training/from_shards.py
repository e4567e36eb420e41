"""Training on features in Parquet shards, which were made here or elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from roadclear.data.dataset import Dataset
from roadclear.data.shards.mapping import MappedShard, ShardMap, map_shards, short_key
from roadclear.data.shards.opening import is_sharded, open_source
from roadclear.data.shards.rows import ShardRows, check_unique, find_rows, read_rows
from roadclear.data.sources import load_photos, two_labels
from roadclear.errors import DatasetError, OptionError, PhotoError
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.features.shards.cache import ShardCache
from roadclear.features.shards.work import EmbeddingWork
from roadclear.images.decode import UnreadablePhoto
from roadclear.images.settings import AugmentSettings
from roadclear.training.base import open_base
from roadclear.training.config import FinetuneSettings, PrepareSettings
from roadclear.utils.executors import LOCAL, make_executor
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.settings import options_of
from roadclear.utils.storage import Place, join, name_of


@dataclass(frozen=True)
class FeatureShards:
    """Where the features of a training are.

    Attributes:
        folder: folder or address of the Parquet files.
        place: where missing features are computed, "local" or "ray".
    """

    folder: Place
    place: str = LOCAL


def embedding_work(settings: PrepareSettings) -> EmbeddingWork:
    """Make the work that computes the features of a training.

    Raises:
        OptionError, WeightsError: see `roadclear.training.base.open_base`.
    """
    with open_cache(None) as unused:
        space = open_base(settings, unused).extractor.space
    chosen = {option.name: getattr(settings, option.name) for option in options_of(AugmentSettings)}
    return EmbeddingWork(space, AugmentSettings(**chosen))


def extract(
    source: Place, settings: PrepareSettings, features: FeatureShards, progress: ProgressCallback = no_progress
) -> Iterator[MappedShard]:
    """Compute the features of a source that are missing, shard by shard.

    Args:
        source: see `roadclear.data.shards.opening.open_source`.
        settings: base network, engine and augmentation.
        features: where features are written, and where they are computed.
        progress: called after every shard.

    Yields:
        What became of every shard, in any order.

    Raises:
        DatasetError: the source is none.
        OptionError: pyarrow or Ray is needed and not installed.
        OutputError, EngineError, WeightsError: see `roadclear.errors`.
    """
    executor = make_executor(features.place)
    work = ShardMap(embedding_work(settings), name_of(features.folder))
    yield from map_shards(executor, work, open_source(source, settings), progress)


@contextmanager
def open_features(
    source: Place | None,
    settings: PrepareSettings,
    features: FeatureShards,
    progress: ProgressCallback = no_progress,
) -> Iterator[tuple[Dataset, FeatureCache]]:
    """Read the photos and features of Parquet shards, in the places of a dataset and a feature cache.

    Args:
        source: photos whose features are computed where they are missing; None for all features in the folder.
        settings: settings of the training. `unfreeze` must be 0.
        features: where the features are, and where missing ones are computed.
        progress: called after every shard.

    Raises:
        OptionError: the base network is to be fine-tuned, which needs the photos; see also `extract`.
        DatasetError: there are no features, a photo is in two files, or the labels are not two.
        OutputError, EngineError, WeightsError: see `roadclear.errors`.
    """
    _check(settings)
    work, failed = embedding_work(settings), []
    if source is None:
        files = find_rows(features.folder, short_key(work))
    else:
        mapped = list(extract(source, settings, features, progress))
        files = [join(features.folder, shard.file) for shard in mapped if shard.file]
        failed = [UnreadablePhoto(Path(shard.name), shard.examples[0][1]) for shard in mapped if not shard.file]
    root = Path(source if source is not None else features.folder)
    rows = [read_rows(file, root) for file in sorted(files)]
    check_unique(rows)
    dataset = _dataset(name_of(root), root, rows, failed)
    contents: dict[Path, str | PhotoError] = {}
    for shard in rows:
        contents |= {photo.path: sha256 for photo, sha256 in zip(shard.photos, shard.hashes, strict=True)}
    cache = ShardCache(work, contents)
    try:
        for shard in rows:
            cache.add(shard.place, shard.usable)
        yield dataset, cache
    finally:
        cache.close()


@contextmanager
def open_photos(
    source: Place | None,
    settings: PrepareSettings,
    features: FeatureShards | None,
    cache: Path | None,
    progress: ProgressCallback = no_progress,
) -> Iterator[tuple[Dataset, FeatureCache]]:
    """Open the photos of a training, and the cache of their features.

    Args:
        source: labelled photos; None for all photos whose features are in the folder of features.
        settings: settings of the training.
        features: Parquet shards of features; None for the feature cache.
        cache: path of the feature cache; None for a temporary one.
        progress: called after every shard.

    Raises:
        OptionError: there are neither photos nor features; see also `open_features`.
        DatasetError, OutputError, EngineError, WeightsError: see `open_features` and `load_photos`.
    """
    if features is not None:
        with open_features(source, settings, features, progress) as opened:
            yield opened
    else:
        dataset = load_photos(described(source, features), columns=settings)
        with open_cache(cache) as opened_cache:
            yield dataset, opened_cache


def described(source: Place | None, features: FeatureShards | None) -> Place:
    """Return the folder with tables about the photos: that of the photos, or that of the features of remote photos.

    Raises:
        OptionError: there are neither photos nor features.
    """
    if features is not None and (source is None or is_sharded(source)):
        return features.folder
    if source is None:
        raise OptionError("expected photos or features, found neither: name a folder of photos")
    return source


def _check(settings: PrepareSettings) -> None:
    """Refuse settings that need the photos themselves."""
    if isinstance(settings, FinetuneSettings) and settings.unfreeze != 0:
        raise OptionError(f"unfreeze must be 0 with features, got {settings.unfreeze}: fine-tuning needs the photos")
    with open_cache(None) as unused:
        if open_base(settings, unused).extractor.inner is not None:
            raise OptionError(
                f"expected weights whose lower layers are the published ones, found {settings.weights!r}: leave out "
                "--features"
            )


def _dataset(name: str, root: Path, rows: list[ShardRows], failed: list[UnreadablePhoto]) -> Dataset:
    photos = sorted((photo for shard in rows for photo in shard.photos), key=lambda photo: photo.file)
    skipped = [*failed, *(one for shard in rows for one in shard.skipped)]
    if not photos and skipped:
        first = skipped[0]
        raise DatasetError(f"expected photos in {name!r}, found none that can be read: {first.file}: {first.reason}")
    labels = two_labels(name, (photo.label for photo in photos))
    return Dataset(root, tuple(photos), labels, tuple(sorted(skipped, key=lambda one: str(one.file))))
