"""The collector takes candidates from the providers in turn, fetches them in parallel, and files them one by one.

The label with the fewest photos gets the next photo, from the provider that gave the label the fewest. So both labels
have the same sources in the same shares, and a model cannot learn the source instead of the subject.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from roadclear.collect.ahead import Ahead
from roadclear.collect.candidate import Candidate, Provider, guarded_search
from roadclear.collect.downloader import Photo, download
from roadclear.collect.filing import Filing, Known
from roadclear.collect.licences import Licence
from roadclear.collect.records import SourceRecord
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.collect.shard_index import look_up_shards
from roadclear.collect.shard_store import open_shards
from roadclear.collect.store import look_up, open_filing
from roadclear.data.dataset import SPLIT_FOLDERS
from roadclear.errors import OptionError, ProviderError
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.storage import Place

_THREADS = 8


@dataclass(frozen=True)
class Search:
    """One provider, asked for one label.

    Attributes:
        label: name of the folder for the photos.
        provider: provider to ask.
        queries: phrases to search for, in turn.
    """

    label: str
    provider: Provider
    queries: tuple[str, ...]


@dataclass(frozen=True)
class CollectRequest:
    """What to collect.

    Attributes:
        labels: names of the two folders.
        per_label: number of good photos wanted in each folder, photos of earlier runs included.
        searches: searches that give candidates.
        licences: permitted licences, as codes of `roadclear.collect.licences.CODES`; None for any or no licence.
        shard_photos: number of photos at which a tar shard is finished; None for folders of photos.

    Raises:
        OptionError: the labels are not two names of folders, or `per_label` or `shard_photos` is below 1.
    """

    labels: tuple[str, str]
    per_label: int
    searches: tuple[Search, ...]
    licences: frozenset[str] | None = None
    shard_photos: int | None = None

    def __post_init__(self) -> None:
        for label in self.labels:
            usable = label.isprintable() and not set(label) & set('/\\:*?"<>|') and label == label.strip(" .")
            if not usable or not label or label.lower() in SPLIT_FOLDERS:
                raise OptionError(f"a label must be the name of a folder, such as crossing, got {label!r}")
        if self.labels[0].lower() == self.labels[1].lower():
            raise OptionError(f"the two labels must differ, got {self.labels[0]!r} twice")
        if self.per_label < 1:
            raise OptionError(f"per-label must be at least 1 photo, got {self.per_label}")
        if self.shard_photos is not None and self.shard_photos < 1:
            raise OptionError(f"shard-photos must be at least 1 photo, got {self.shard_photos}")


@dataclass
class ProviderStats:
    """Counts of one provider's results for one label.

    Attributes:
        found: number of results.
        known: number of results that earlier runs collected, or rejected for good.
        collected: number of results that this run collected.
        rejected: number of results that this run rejected, by reason.
    """

    found: int = 0
    known: int = 0
    collected: int = 0
    rejected: Counter[RejectionReason] = field(default_factory=Counter)


@dataclass(frozen=True)
class Collection:
    """Result of collecting.

    Attributes:
        tallies: counts of results, by label and provider.
        photos: number of photos by label, photos of earlier runs included.
        licences: number of photos by name of the licence, photos of earlier runs included.
        failures: messages of failing providers, one line each.
    """

    tallies: dict[tuple[str, str], ProviderStats]
    photos: dict[str, int]
    licences: Counter[str]
    failures: tuple[str, ...]


def collect(
    place: Place, request: CollectRequest, client: httpx.Client, progress: ProgressCallback = no_progress
) -> Collection:
    """Collect photos into a folder, `<label>/*`, sources.csv and rejected.csv, or into tar shards.

    Photos that an earlier run collected or rejected for good are not fetched again, and count. A kill loses at most the
    photos that are being fetched, and with tar shards the open shard.

    Args:
        place: folder to collect in, or the address of an object store for tar shards. A missing folder is made.
        request: what to collect.
        client: client of `roadclear.collect.client.open_client`.
        progress: callback for progress, called after every photo.

    Raises:
        DatasetError: the folder has other subfolders than the labels, or tables of another program; see also
            `roadclear.collect.shard_store.open_shards`.
        OutputError: another process works on the folder, or the folder cannot be written.
        OptionError: an object store cannot be used.
    """
    with (
        _open_filing(place, request) as filing,
        closing(CandidateQueue(request, client, filing.known, filing.reject)) as queue,
    ):
        for source, result in _fetched(queue, client):
            _file(source, result, filing, queue)
            done = filing.known.collected[source.label, source.provider]
            progress(f"{source.label} from {source.provider}", done, request.per_label)
        known = filing.known
    photos = {label: known.of_label(label) for label in request.labels}
    return Collection(queue.tallies, photos, known.licences, tuple(queue.failures))


def plan(place: Place, request: CollectRequest, client: httpx.Client) -> tuple[list[SourceRecord], tuple[str, ...]]:
    """List the photos that collecting would fetch first. Nothing is written, and no photo is fetched.

    Returns:
        The photos, and the messages of failing providers.

    Raises:
        DatasetError, OptionError: see `collect`.
    """
    if request.shard_photos is None:
        known = look_up(Path(place), request.labels)
    else:
        known = look_up_shards(place, request.labels)
    with closing(CandidateQueue(request, client, known, lambda source, reason, detail: None)) as queue:
        return list(iter(queue.next, None)), tuple(queue.failures)


def _open_filing(place: Place, request: CollectRequest) -> AbstractContextManager[Filing]:
    if request.shard_photos is None:
        return open_filing(Path(place), request.labels)
    return open_shards(place, request.labels, request.shard_photos)


class CandidateQueue:
    """Queue of candidates, in the order of fetching.

    All searches for labels that lack photos wait for their hosts at once, each one result ahead.

    Attributes:
        tallies: counts of results, by label and provider.
        failures: messages of failing providers.
        pending: number of photos that are being fetched, by label and provider.
    """

    def __init__(
        self,
        request: CollectRequest,
        client: httpx.Client,
        known: Known,
        reject: Callable[[SourceRecord, RejectionReason, str], None],
    ) -> None:
        self.tallies = {(search.label, search.provider.name): ProviderStats() for search in request.searches}
        self.failures: list[str] = []
        self.pending: Counter[tuple[str, str]] = Counter()
        self._request = request
        self._known = known
        self._reject = reject
        self._seen: set[str] = set()
        self._searches = {
            (search.label, search.provider.name): [
                Ahead(guarded_search(search.provider, query, client)) for query in search.queries
            ]
            for search in request.searches
        }
        self._results = {lane: self._in_turns(searches) for lane, searches in self._searches.items()}
        self._started = False

    def close(self) -> None:
        """End the searches. Results that are being waited for are dropped."""
        for search in itertools.chain(*self._searches.values()):
            search.close()

    def next(self) -> SourceRecord | None:
        """Return the next photo to fetch, or None where enough photos are being fetched or no more can be found."""
        self._start()
        while (lane := self._neediest()) is not None:
            candidate = next(self._results[lane], None)
            if candidate is None:
                del self._results[lane]
                continue
            source = SourceRecord.of(candidate, lane[0])
            if self._is_wanted(source, self.tallies[lane]):
                self.pending[lane] += 1
                return source
        return None

    def _start(self) -> None:
        if not self._started:
            self._started = True
            lacking = [label for label in self._request.labels if self._known.of_label(label) < self._request.per_label]
            for (label, _), searches in self._searches.items():
                for search in searches if label in lacking else ():
                    search.start()

    def _neediest(self) -> tuple[str, str] | None:
        """Return the label with the fewest photos among those that lack some, and its provider with the fewest."""
        expected = self._known.collected + self.pending
        of_label = {
            label: sum(photos for (name, _), photos in expected.items() if name == label)
            for label in self._request.labels
        }
        lanes = [lane for lane in self._results if of_label[lane[0]] < self._request.per_label]
        return min(lanes, key=lambda lane: (of_label[lane[0]], expected[lane]), default=None)

    def _in_turns(self, searches: Sequence[Ahead[Candidate]]) -> Iterator[Candidate]:
        """Yield results of all queries in turn. The failure of a query is noted and ends the query."""
        running = list(searches)
        while running:
            for results in list(running):
                try:
                    yield next(results)
                except StopIteration:
                    running.remove(results)
                except ProviderError as error:
                    running.remove(results)
                    if str(error) not in self.failures:
                        self.failures.append(str(error))

    def _is_wanted(self, source: SourceRecord, tally: ProviderStats) -> bool:
        tally.found += 1
        if source.image_url in self._seen:
            return self._is_repetition(source, tally, "its address came before")
        self._seen.add(source.image_url)
        if self._known.is_settled(source):
            tally.known += 1
            return False
        if other := self._known.at_address(source):
            return self._is_repetition(source, tally, f"same address as {other}")
        if self._request.licences is not None:
            licence = Licence.called(source.licence)
            if licence is None or licence.code not in self._request.licences:
                return self._is_rejected(source, tally, RejectionReason.LICENCE, source.licence)
        return True

    def _is_repetition(self, source: SourceRecord, tally: ProviderStats, detail: str) -> bool:
        if self._known.is_repeated(source):
            tally.known += 1
            return False
        return self._is_rejected(source, tally, RejectionReason.SAME_ADDRESS, detail)

    def _is_rejected(self, source: SourceRecord, tally: ProviderStats, reason: RejectionReason, detail: str) -> bool:
        tally.rejected[reason] += 1
        self._reject(source, reason, detail)
        return False


def _fetched(queue: CandidateQueue, client: httpx.Client) -> Iterator[tuple[SourceRecord, Photo | FetchError]]:
    """Yield fetched photos as they arrive. The consumer files a photo before the queue is asked again."""
    running: dict[Future[Photo | FetchError], SourceRecord] = {}
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="collect")
    try:
        while True:
            while len(running) < _THREADS and (source := queue.next()) is not None:
                running[pool.submit(_download, source.image_url, client)] = source
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                source = running.pop(future)
                queue.pending[source.label, source.provider] -= 1
                yield source, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever stops need not wait for slow hosts


def _download(url: str, client: httpx.Client) -> Photo | FetchError:
    try:
        return download(url, client)
    except FetchError as error:
        return error
    except Exception as error:  # an answer that no one foresaw costs one photo, not the run
        return FetchError(RejectionReason.NOT_A_PHOTO, f"an answer that cannot be read ({type(error).__name__})")


def _file(source: SourceRecord, result: Photo | FetchError, filing: Filing, queue: CandidateQueue) -> None:
    tally = queue.tallies[source.label, source.provider]
    try:
        if isinstance(result, FetchError):
            raise result
        filing.add(source, result)
        tally.collected += 1
    except FetchError as error:
        tally.rejected[error.reason] += 1
        filing.reject(source, error.reason, str(error))


def searches_of(queries: dict[str, Sequence[str]], providers: Sequence[Provider]) -> tuple[Search, ...]:
    """Make a search for every provider and label.

    Args:
        queries: phrases to search for, by label.
        providers: providers to ask.
    """
    return tuple(
        Search(label, provider, tuple(phrases)) for label, phrases in queries.items() for provider in providers
    )
