"""What a training of very many photos did on some of them, for the report and metrics.json.

docs/adr/0056-a-million-photos.md has the reasons.
"""

from dataclasses import dataclass

from roadclear.data.near_duplicates.rules import MOST_COMPARED
from roadclear.data.split import TRAIN
from roadclear.model.fit import MOST_LINEAR
from roadclear.training.prepare import PreparedData


@dataclass(frozen=True)
class Limits:
    """What was done on some of the photos.

    Attributes:
        look_alikes_in_cells: whether look-alikes were searched within cells of similar photos, and not among all pairs.
        linear_head_photos: number of photos that linear heads were trained on, where they are not all training photos;
            else None.
    """

    look_alikes_in_cells: bool
    linear_head_photos: int | None

    def __bool__(self) -> bool:
        """Whether anything was done on some of the photos only."""
        return self.look_alikes_in_cells or self.linear_head_photos is not None


def limits_of(data: PreparedData) -> Limits:
    """Find out what a training does on some of its photos."""
    many = int(data.is_in(TRAIN).sum()) > MOST_LINEAR
    # With an earlier model look-alikes are found by hashes alone.
    in_cells = len(data.photos) > MOST_COMPARED and data.start is None
    return Limits(in_cells, MOST_LINEAR if many else None)
