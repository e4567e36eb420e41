"""Two-class photo classification from little data, from folders of photos to one deployable file.

from roadclear import RoadClassifier, load

classifier = RoadClassifier(seed=0).fit(paths, labels)
classifier.save("model.onnx")
load("model.onnx").predict("photo.jpg").probability
"""

from typing import TYPE_CHECKING, Any

from roadclear import errors

if TYPE_CHECKING:
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.model.prediction import Explanation, Prediction
    from roadclear.model.predictor import Model, load
    from roadclear.training.estimator import RoadClassifier

__all__ = ["Explanation", "Model", "Prediction", "RoadClassifier", "UnreadablePhoto", "errors", "load"]

# Where the public names live. They are imported when first used, so that the command line starts at once.
_HOMES = {
    "Explanation": "roadclear.model.predictor",
    "Model": "roadclear.model.predictor",
    "Prediction": "roadclear.model.predictor",
    "RoadClassifier": "roadclear.training.estimator",
    "UnreadablePhoto": "roadclear.model.predictor",
    "load": "roadclear.model.predictor",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'roadclear' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
