"""What Python users import: every public name, typed and lazy."""

import ast
import inspect
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from process import run

import roadclear

PUBLIC = {
    "Explanation": type,
    "Model": type,
    "Prediction": type,
    "RoadClassifier": type,
    "Run": type,
    "TrainSettings": type,
    "UnreadablePhoto": type,
    "__version__": str,
    "build_report": None,
    "compare": None,
    "cross_validate": None,
    "errors": None,
    "evaluate": None,
    "load": None,
    "train": None,
}
HEAVY = ("PIL", "cv2", "httpx", "jinja2", "matplotlib", "numpy", "onnx", "openvino", "scipy", "sklearn", "torch")


def test_the_list_is_complete() -> None:
    assert sorted(roadclear.__all__) == roadclear.__all__ == list(PUBLIC)
    assert set(PUBLIC) <= set(dir(roadclear))


@pytest.mark.parametrize(("name", "kind"), PUBLIC.items())
def test_every_name_is_there_and_says_what_it_is(name: str, kind: type | None) -> None:
    value = getattr(roadclear, name)
    if kind is not None:
        assert isinstance(value, kind)
    elif name != "errors":
        assert callable(value)
    if not isinstance(value, str):
        assert inspect.getdoc(value)
        assert getattr(value, "__name__", "").split(".")[-1] == name


@pytest.mark.parametrize("name", ["build_report", "compare", "cross_validate", "evaluate", "load", "train"])
def test_every_parameter_of_a_function_is_documented_and_typed(name: str) -> None:
    function = getattr(roadclear, name)
    text = inspect.getdoc(function) or ""
    for parameter in inspect.signature(function).parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
        assert f"    {parameter.name}: " in text


def test_type_checkers_see_the_names_from_the_same_modules() -> None:
    """The imports under TYPE_CHECKING, and the modules that the names are taken from when they are used."""
    tree = ast.parse(Path(inspect.getfile(roadclear)).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    declared = {node.target.id for node in block.body if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    assert set(seen) | declared | {"errors"} == set(PUBLIC)
    for name, module in seen.items():
        assert getattr(import_module(str(module)), name) is getattr(roadclear, name)


def test_the_version_is_that_of_the_package() -> None:
    assert roadclear.__version__ == version("roadclear")


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="module 'roadclear' has no attribute 'Modell'"):
        _ = roadclear.Modell


@pytest.mark.parametrize("more", ["", "; roadclear.__version__", "; roadclear.errors.PhotoError", "; dir(roadclear)"])
def test_importing_it_loads_nothing_heavy(more: str) -> None:
    program = f"import sys, roadclear{more}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    ended = run([sys.executable, "-c", program])
    assert (ended.code, ended.out.strip(), ended.err) == (0, b"", "")


def test_a_model_needs_nothing_of_training() -> None:
    program = (
        "import sys, roadclear; roadclear.load; print(*(name for name in sys.modules if 'roadclear.training' in name))"
    )
    ended = run([sys.executable, "-c", program])
    assert (ended.code, ended.out.strip()) == (0, b"")


@pytest.mark.slow
def test_a_walk_through_the_face(drawn_photos: Path, tmp_path: Path) -> None:
    """Train with a report, read the run, evaluate, compare and predict: with public names alone."""
    settings = roadclear.TrainSettings(size=96, views=0, epochs=3, positive="crossing")
    result = roadclear.train(drawn_photos, settings, out=tmp_path / "run", report=roadclear.build_report)
    opened = roadclear.Run.open(tmp_path / "run")
    assert opened.settings == result.settings
    assert opened.report_file.read_bytes().startswith(b"<!doctype html>")
    tested = opened.metrics["test"]["accuracy"]["value"]
    assert tested == result.evaluations["test"].metrics["accuracy"].value
    evaluated = roadclear.evaluate(opened, drawn_photos)
    assert evaluated.warning is not None
    compared = roadclear.compare(opened, tmp_path / "run", drawn_photos)
    assert compared.comparison.better is None
    photo = next(drawn_photos.glob("crossing/*.jpg"))
    prediction = roadclear.load(tmp_path / "run").predict(photo)
    assert isinstance(prediction, roadclear.Prediction)
    assert prediction == opened.model.predict(photo)
