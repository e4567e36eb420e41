"""Two-class photo classification from little data, from folders of photos to one deployable file.

import roadclear

roadclear.train("photos/", out="runs/first")
roadclear.evaluate("runs/first", "other-photos/").metrics["accuracy"]
roadclear.load("runs/first").predict("photo.jpg").probability

Every name of `__all__` is public. Other modules may change without notice.
"""

from typing import TYPE_CHECKING, Any

from roadclear import errors

if TYPE_CHECKING:
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.model.prediction import Explanation, Prediction
    from roadclear.model.predictor import Model, load
    from roadclear.report.page import build_report
    from roadclear.training.api import cross_validate, evaluate, train
    from roadclear.training.compare import compare
    from roadclear.training.config import TrainSettings
    from roadclear.training.estimator import RoadClassifier
    from roadclear.training.run_folder import Run

    __version__: str

__all__ = [
    "Explanation",
    "Model",
    "Prediction",
    "RoadClassifier",
    "Run",
    "TrainSettings",
    "UnreadablePhoto",
    "__version__",
    "build_report",
    "compare",
    "cross_validate",
    "errors",
    "evaluate",
    "load",
    "train",
]

# Public names are imported when they are first used, so that the command line starts at once.
_HOMES = {
    "Explanation": "roadclear.model.prediction",
    "Model": "roadclear.model.predictor",
    "Prediction": "roadclear.model.prediction",
    "RoadClassifier": "roadclear.training.estimator",
    "Run": "roadclear.training.run_folder",
    "TrainSettings": "roadclear.training.config",
    "UnreadablePhoto": "roadclear.images.decode",
    "build_report": "roadclear.report.page",
    "compare": "roadclear.training.compare",
    "cross_validate": "roadclear.training.api",
    "evaluate": "roadclear.training.api",
    "load": "roadclear.model.predictor",
    "train": "roadclear.training.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("roadclear")
    elif name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'roadclear' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, also those that were not used yet."""
    return sorted({*globals(), *__all__})
