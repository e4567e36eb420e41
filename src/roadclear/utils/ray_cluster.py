"""Work on a Ray cluster: a pool of Ray Data actors, one a core, to which one function is sent once.

Ray is imported when a cluster is asked for, and never before. Its usage statistics are switched off.
"""

import logging
import os
import pickle
import queue
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from roadclear.errors import EngineError, OptionError, RoadclearError
from roadclear.utils.threads import available_cores, limit_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

# An actor takes less than a core, since actors that take all cores leave none for Ray's own tasks, and wait for ever.
CORES_AN_ACTOR = 0.9
_MOST_BLOCKS = 20_000
_RETRIES = 2
"""How often an item is tried again after the death of its worker, before the careful function is tried."""

_WITHOUT_CORES_S = 120.0
_STORE_BYTES = 200_000_000
_POLL_S = 1.0
_END = object()


class RayExecutor:
    """Work on the cluster that RAY_ADDRESS names, or on one that is started on this machine and ended after the work.

    Raises:
        OptionError: Ray is not installed.
    """

    def __init__(self) -> None:
        import_ray()

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        careful: Callable[[Item], Result] | None = None,
    ) -> Iterator[Result]:
        """Map a function over items; see `roadclear.utils.executors.Executor`."""
        left = dict(enumerate(items))
        with joined_cluster(_STORE_BYTES):
            for tried in (function, careful or function):
                try:
                    for number, result in _run(tried, left):
                        del left[number]
                        yield result
                    return
                except _WorkerDiedError as error:
                    last = error
        raise EngineError(
            f"expected {len(left):,} more results, but workers of the cluster ended before they answered ({last}): "
            "start again, which does only what is missing"
        ) from last


class _WorkerDiedError(Exception):
    """A worker ended, also when its item was tried again."""


class _Held:
    """Reference to a large value. By itself, a reference as an argument would not outlive the start of an actor."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference


class _Worker:
    """Actor with a copy of the function. Errors are results: Ray would otherwise try again what cannot succeed."""

    def __init__(self, function: "_Held") -> None:
        limit_cores(1)
        content = import_ray().get(function.reference)
        self._function: Callable[[Any], Any] = pickle.loads(content)  # noqa: S301, sent by our own process

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return _answers(self._function, batch)


class _Raised:
    """An error that was raised in a worker. Errors may have constructors that pickles cannot call."""

    def __init__(self, error: Exception) -> None:
        ours = (kind for kind in type(error).__mro__ if kind.__module__ == "roadclear.errors")
        kind = next(ours, None)
        self._kind: type[RoadclearError] = EngineError if kind is None else kind
        self._text = str(error) if kind is not None else f"a worker failed with {type(error).__name__}: {error}"

    def again(self) -> RoadclearError:
        """Make the error again."""
        return self._kind(self._text)


def _answers(function: Callable[[Any], Any], batch: dict[str, Any]) -> dict[str, Any]:
    """Call a function on pickled items: numbers, and pickled results or errors."""
    answers = []
    for item in batch["item"]:
        try:
            answer: Any = function(pickle.loads(item))  # noqa: S301, sent by our own process
        except Exception as error:
            answer = _Raised(error)
        answers.append(pickle.dumps(answer))
    return {"number": batch["number"], "answer": answers}


def _run(function: Callable[[Any], Any], items: dict[int, Any]) -> Iterator[tuple[int, Any]]:
    """Map a function over numbered items on the cluster, and yield numbers and results."""
    ray = import_ray()
    actors = max(1, min(len(items), int(ray.cluster_resources().get("CPU", 1))))
    rows = [{"number": number, "item": pickle.dumps(item)} for number, item in items.items()]
    function_here = ray.put(pickle.dumps(function))  # kept for actors that start again
    with warnings.catch_warnings():
        # The limit of retries has no other name yet. Ray 2.64 takes this name away, so later versions are not allowed.
        warnings.simplefilter("ignore", DeprecationWarning)
        data = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS)).map_batches(
            _Worker,
            fn_constructor_args=(_Held(function_here),),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, max_tasks_in_flight_per_actor=2),
            num_cpus=CORES_AN_ACTOR,
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )
    for row in _watched(ray, data):
        answer = pickle.loads(row["answer"])  # noqa: S301, sent by our own worker
        if isinstance(answer, _Raised):
            raise answer.again()
        yield int(row["number"]), answer


def _watched(ray: Any, data: Any) -> Iterator[dict[str, Any]]:
    """Yield rows as they come, and end with an error where the cluster has no core left: Ray waits for ever then."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def pump() -> None:
        try:
            for row in data.iter_rows():
                found.put(row)
            found.put(_END)
        except BaseException as error:
            found.put(error)

    threading.Thread(target=pump, name="roadclear-ray", daemon=True).start()
    alive = time.monotonic()
    while True:
        try:
            row = found.get(timeout=_POLL_S)
        except queue.Empty:
            if ray.cluster_resources().get("CPU", 0) >= CORES_AN_ACTOR:
                alive = time.monotonic()
            elif time.monotonic() - alive > _WITHOUT_CORES_S:
                raise EngineError(
                    f"expected a core in the Ray cluster, found none for {_WITHOUT_CORES_S:.0f} s: start its nodes, "
                    "and run the same command again"
                ) from None
            continue
        if row is _END:
            return
        if isinstance(row, BaseException):
            raise _explained(ray, row)
        yield row


def _explained(ray: Any, error: BaseException) -> BaseException:
    """Tell the death of a worker from other errors."""
    causes: list[BaseException | None] = [error, error.__cause__, getattr(error, "cause", None)]
    died = ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError
    line = " ".join(str(error).split())[:200]
    if any(isinstance(cause, died) for cause in causes) or "ActorDiedError" in str(error):
        return _WorkerDiedError(line)
    if isinstance(error, Exception):
        return EngineError(f"the Ray cluster ended the work ({line}): run the same command again")
    return error


@contextmanager
def joined_cluster(store_bytes: int | None) -> Iterator[None]:
    """Connect to a cluster, or start one. A cluster that this process is connected to already is used and left.

    Args:
        store_bytes: size of the object store of a cluster that is started here; None for Ray's choice, which is about
            a third of the memory.

    Raises:
        EngineError: there is no cluster at RAY_ADDRESS.
        OptionError: Ray is not installed.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    here = not os.environ.get("RAY_ADDRESS")
    # Without an address, Ray would join any cluster on this machine, or fail where its address file is out of date.
    own = {
        "address": "local",
        "num_cpus": available_cores(),
        "object_store_memory": store_bytes,
        "include_dashboard": False,
    }
    try:
        with _silence():
            ray.init(log_to_driver=False, logging_level="error", **(own if here else {}))
    except (ConnectionError, RuntimeError, ValueError) as error:
        named = os.environ.get("RAY_ADDRESS")
        line = " ".join(str(error).split())[:200]
        raise EngineError(f"expected a Ray cluster at RAY_ADDRESS={named!r}, found none ({line})") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _silence() -> Iterator[None]:
    """Send stderr nowhere: Ray's core says there that it logs less. What goes wrong is raised as an exception."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def import_ray() -> Any:
    """Import Ray without its usage statistics.

    Raises:
        OptionError: Ray is not installed.
    """
    for name, value in {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # Threads of Ray Data would connect again after the end, and end this process where the cluster is gone.
        "RAY_ENABLE_AUTO_CONNECT": "0",
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    }.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise OptionError("--on ray needs Ray: pip install 'roadclear[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray
