"""Options of `watch`. Light to import, for the command line."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.utils.settings import Setting, Settings


@dataclass(kw_only=True)
class FrameSettings(Settings):
    """Which frames are read, and how long a live source is waited for."""

    panel: ClassVar[str] = "Data"

    every: Annotated[float, Setting("Seconds between two frames, by their time stamps.", gt=0, le=3600)] = 0.2
    timeout: Annotated[
        float, Setting("Seconds without an answer after which a live source is opened again.", gt=0, le=600)
    ] = 5.0
    patience: Annotated[
        float, Setting("Seconds without any frame after which a live watch ends; 0 to wait for ever.", ge=0)
    ] = 600.0
    duration: Annotated[float | None, Setting("Seconds after which a live watch ends. (default: no end)", gt=0)] = None


@dataclass(kw_only=True)
class EventSettings(Settings):
    """How probabilities of frames become events: a hidden Markov model of two states."""

    panel: ClassVar[str] = "Decision"

    usual_event: Annotated[float, Setting("Usual duration of an event, in seconds.", gt=0, le=86_400)] = 8.0
    usual_gap: Annotated[float, Setting("Usual time between two events, in seconds.", gt=0, le=864_000)] = 30.0
    independent: Annotated[
        float,
        Setting("Seconds after which two frames count as independent. More seconds give fewer events.", gt=0, le=3600),
    ] = 0.5
    levels: Annotated[
        str,
        Setting(
            "Whether the usual log-odds of this camera are learnt from its frames, or taken as the model gives them.",
            choices=("camera", "model"),
        ),
    ] = "camera"
    lag: Annotated[
        float,
        Setting(
            "Seconds by which a live watch decides late. Within them later frames correct earlier ones.", ge=0, le=60
        ),
    ] = 1.0
