"""Options of `images`: augmentation. Light to import, for the command line."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.utils.settings import Setting, Settings


@dataclass(kw_only=True)
class AugmentSettings(Settings):
    """How many augmented views a training photo has, and how far a view may differ from the plain photo."""

    panel: ClassVar[str] = "Augmentation"

    views: Annotated[int, Setting("Augmented views per training photo.", ge=0, le=64)] = 1
    rotation: Annotated[
        float, Setting("Maximum rotation of an augmented view, in degrees.", ge=0, le=180, unit="degrees")
    ] = 5.0
    zoom: Annotated[
        float, Setting("Maximum zoom of an augmented view. 0.2 draws scales between 1/1.2 and 1.2.", ge=0, lt=1)
    ] = 0.1
    flip: Annotated[float, Setting("Probability that an augmented view is mirrored.", ge=0, le=1)] = 0.5
    light: Annotated[
        float, Setting("Probability that an augmented view has another light, weather and camera.", ge=0, le=1)
    ] = 0.0

    @property
    def key(self) -> str:
        """Key of the views for the feature cache. The number of views is not in the key."""
        geometry = f"rotation={self.rotation:g},zoom={self.zoom:g},flip={self.flip:g}"
        return f"{geometry},light={self.light:g}" if self.light else geometry
