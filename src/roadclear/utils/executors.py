"""Where pieces of work are done: one after the other in this process, or on the machines of a cluster."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from roadclear.errors import OptionError

Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL, RAY = "local", "ray"
PLACES = (LOCAL, RAY)


class Executor(Protocol):
    """A way to map a function over items."""

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        careful: Callable[[Item], Result] | None = None,
    ) -> Iterator[Result]:
        """Map a function over items.

        Args:
            function: function to call. A cluster pickles the function, and uses one copy for many items.
            items: arguments of the function. A cluster pickles the items.
            careful: slower function for the items that are left when an item has ended several workers of a cluster;
                None for the same function.

        Yields:
            A result for every item, in any order.

        Raises:
            EngineError: the cluster cannot do the work.
        """
        ...


class LocalExecutor:
    """Work in this process, one item after the other. The function itself keeps all cores busy."""

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        careful: Callable[[Item], Result] | None = None,
    ) -> Iterator[Result]:
        """Map a function over items, in their order; see `Executor`."""
        return map(function, items)


def make_executor(place: str) -> Executor:
    """Make the executor of a place.

    Args:
        place: "local", or "ray" for the cluster that RAY_ADDRESS names, or a cluster on this machine.

    Raises:
        OptionError: the place is unknown, or Ray is not installed.
    """
    check_place(place)
    if place == LOCAL:
        return LocalExecutor()
    from roadclear.utils.ray_cluster import RayExecutor

    return RayExecutor()


def check_place(place: str) -> None:
    """Check the name of a place.

    Raises:
        OptionError: the place is unknown.
    """
    if place not in PLACES:
        raise OptionError(f"expected one of {', '.join(PLACES)} as the place of the work, found {place!r}")
