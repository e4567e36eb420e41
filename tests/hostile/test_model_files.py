"""Model files of strangers: each works, or is refused with one printable line. None hangs, and none fills memory."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from heads import drawn_model
from mutants import changed_at, model_places
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from process import roadclear

from roadclear import load
from roadclear.errors import EngineError, ModelFileError, PhotoError
from roadclear.model.metadata import read_facts
from roadclear.model.model_file import MAX_MODEL_BYTES
from roadclear.model.predictor import Model

pytestmark = pytest.mark.slow

SECONDS = 10
"""A refusal takes milliseconds. On busy cores the limit only tells a hang."""

MUTANTS = 150

Edit = Callable[[onnx.ModelProto], None]


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 6 * SECONDS


@pytest.fixture(scope="module")
def good() -> bytes:
    return drawn_model(size=96, band=(0.4, 0.6))


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def changed(data: bytes, edit: Edit) -> bytes:
    model = onnx.ModelProto.FromString(data)
    edit(model)
    return bytes(model.SerializeToString())


def with_metadata(data: bytes, **changes: str) -> bytes:
    def edit(model: onnx.ModelProto) -> None:
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        helper.set_model_props(model, metadata | {f"roadclear.{key}": value for key, value in changes.items()})

    return changed(data, edit)


def refusal(data: bytes) -> str:
    """The one line with which a model is refused, before an engine has seen the model."""
    started = time.monotonic()
    with pytest.raises(ModelFileError) as caught:
        read_facts(data)
    assert time.monotonic() - started < SECONDS
    message = str(caught.value)
    assert message.isprintable(), message
    assert len(message) < 500
    return message


def tensor(name: str, *dims: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.zeros(dims, np.float32), name)


def add_node(operator: str, inputs: list[str], output: str, *tensors: onnx.TensorProto, **attributes: object) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.initializer.extend(tensors)
        model.graph.node.append(helper.make_node(operator, inputs, [output], name=output, **attributes))

    return edit


def endless_loop(model: onnx.ModelProto) -> None:
    """A loop of 2**62 rounds."""
    condition = helper.make_node("Identity", ["going"], ["goes_on"])
    body = helper.make_graph(
        [condition],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("goes_on", TensorProto.BOOL, [])],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.int64(2**62).reshape(()), "rounds"))
    model.graph.node.append(helper.make_node("Loop", ["rounds", ""], [], body=body))


def function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    model.functions.append(helper.make_function("own", "Relu", ["x"], ["y"], [node], [helper.make_opsetid("", 17)]))


def outside(model: onnx.ModelProto) -> None:
    """Weights in a file that the model's maker may not read."""
    chosen = model.graph.initializer[4]
    chosen.ClearField("raw_data")
    chosen.data_location = TensorProto.EXTERNAL
    chosen.external_data.add(key="location", value="/etc/passwd")


def sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().dims.append(2**40)


def attribute(operator: str, name: str, value: object) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == operator)
        kept = [one for one in node.attribute if one.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return edit


def dims(*sides: int) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        del model.graph.initializer[-1].dims[:]
        model.graph.initializer[-1].dims.extend(sides)

    return edit


def swap_nodes(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])


def itself(model: onnx.ModelProto) -> None:
    model.graph.node[3].input[0] = model.graph.node[3].output[0]


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "logit"


def another_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def small_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64


def many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend(helper.make_node("Abs", ["embedding"], [f"n{number}"]) for number in range(1000))


def wide_bias(model: onnx.ModelProto) -> None:
    node = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    node.input[2] = "stem/bias"


def opset(domain: str, version: int) -> Edit:
    return lambda model: model.opset_import.extend([helper.make_opsetid(domain, version)])


GRAPHS: dict[str, tuple[Edit, str]] = {
    "a loop without end": (endless_loop, "'Loop'"),
    "a branch": (add_node("If", ["photo"], "x"), "'If'"),
    "an operator of another domain": (add_node("Relu", ["embedding"], "x", domain="own"), "'Relu'"),
    "a function": (function, "functions"),
    "weights in another file": (outside, "weights in another file"),
    "a sparse tensor": (sparse, "sparse tensors"),
    "another operator set": (opset("own", 1), "operator set 17"),
    "a later operator set": (opset("", 99), "operator set 17"),
    "an attribute with a graph": (attribute("Conv", "body", onnx.GraphProto()), "'body'"),
    "a stride of zero": (attribute("Conv", "strides", [0, 0]), "'strides'"),
    "huge pads": (attribute("Conv", "pads", [2**40] * 4), "'pads'"),
    "a group of zero": (attribute("Conv", "group", 0), "'group'"),
    "another kernel": (attribute("Conv", "kernel_shape", [5, 5]), "shapes"),
    "a wide bias": (wide_bias, "shapes"),
    "a tensor with fewer bytes than its shape": (dims(3, 3), "bytes fit their shape"),
    "a tensor of 2**40 values": (dims(2**40), "bytes fit their shape"),
    "a negative side": (dims(-1), "bytes fit their shape"),
    "a side of zero": (dims(0), "bytes fit their shape"),
    "ten thousand million sums of two small tensors": (
        add_node("Add", ["tall", "wide"], "x", tensor("tall", 100_000, 1), tensor("wide", 1, 100_000)),
        "far more",
    ),
    "a thousand million products": (
        add_node("MatMul", ["square", "square"], "x", tensor("square", 1024, 1024)),
        "far more",
    ),
    "many nodes": (many_nodes, "at most 1,000 nodes"),
    "nodes from back to front": (swap_nodes, "order of its computation"),
    "a node that waits for itself": (itself, "order of its computation"),
    "an output twice": (add_node("Abs", ["embedding"], "logit"), "a name twice"),
    "an input that is not there": (add_node("Abs", ["nothing"], "x"), "order of its computation"),
    "another output": (rename_output, "the outputs"),
    "another input": (another_input, "the input 'photo'"),
    "a smaller input than it says": (small_input, "96 x 96 pixels"),
}

METADATA: dict[str, list[str]] = {
    "threshold": ["nan", "inf", "-0.1", "1.1", "0.7", "half", "1e999", ""],
    "unsure_low": ["nan", "0.7", "-1", "-inf"],
    "unsure_high": ["nan", "0.3", "2", "inf"],
    "coverage": ["nan", "-1", "2"],
    "temperature": ["nan", "0", "-1", "inf"],
    "distance_limit": ["nan", "-1", "3", "inf"],
    "size": ["0", "-96", "100", "128", "1000000", "9" * 5000, "96.0", "²"],
    "head": ["", "deep", "\x1b[31mdense"],
    "labels": [
        "[]",
        "{}",
        "null",
        "7",
        '["crossing"]',
        '["crossing", "crossing"]',
        '["crossing", 3]',
        '["crossing", null]',
        '["a", "b"]',
        '["crossing", "a", "b"]',
        '["crossing", "\\u001b[2J"]',
        '["crossing", "\\ud800"]',
        '["crossing", ""]',
        json.dumps(["crossing", "x" * 300]),
        "[" * 100_000,
    ],
    "aim": ["", "\x1b]0;title\x07", "two\nlines", "x" * 2_000],
    "weights_name": ["\x9b31m", "\u202eabc", ""],
    "weights_origin": ["\x1b[31m", "line\r", "x" * 2_000],
    "weights_sha256": ["", "f" * 63, "F" * 64, "g" * 64],
    "training": [
        "",
        "[]",
        "null",
        "{",
        '{"photos": 3}',
        '{"photos": {"train": "many"}}',
        '{"accuracy": {"test": 1}}',
        '{"accuracy": {"test": {"value": "x", "ci95": [0, 1], "n": 3}}}',
        '{"accuracy": {"test": {"value": NaN, "ci95": [0, 1], "n": 3}}}',
        '{"options": []}',
        '{"card": 3}',
        '{"options": ' + '{"a": ' * 9 + "1" + "}" * 10,
        '{"options": ' + "[" * 100_000,
        '{"x": "' + "x" * 1_000_000 + '"}',
        '{"photos": {"train": ' + "9" * 5_000 + "}}",
    ],
    "trained_on": ["", "{}", "null", "[" * 100_000, '{"photos": 1, "salt": "", "bits": ""}'],
    "validation": [
        "",
        "[]",
        "null",
        "[" * 10_000,
        '{"positive": [1], "negative": []}',
        '{"positive": [1], "negative": [NaN]}',
        '{"positive": [2, 1], "negative": [1]}',
        '{"positive": [1], "negative": [20000]}',
        '{"positive": [1], "negative": [' + "9" * 5_000 + "]}",
        '{"positive": [' + "1, " * 600 + '1], "negative": [1]}',
    ],
    "format_version": ["", "3", "9" * 5_000, "-2", "2.0", "٢"],
}


class TestGraphs:
    @pytest.mark.parametrize("name", GRAPHS)
    def test_a_hostile_graph_is_refused_before_an_engine_sees_it(self, good: bytes, name: str) -> None:
        edit, reason = GRAPHS[name]
        assert reason in refusal(changed(good, edit))

    @pytest.mark.parametrize("kind", ["dense", "linear"])
    @pytest.mark.parametrize("size", [32, 96, 224, 512])
    def test_our_own_graphs_pass(self, kind: str, size: int) -> None:
        assert read_facts(drawn_model(kind, size=size)).size == size

    def test_the_stock_model_passes(self) -> None:
        assert load("stock").facts.size == 320


class TestMetadata:
    @pytest.mark.parametrize(
        ("key", "value"),
        [(key, value) for key, values in METADATA.items() for value in values],
        ids=[f"{key}-{number}" for key, values in METADATA.items() for number in range(len(values))],
    )
    def test_an_impossible_value_is_refused(self, good: bytes, key: str, value: str) -> None:
        refusal(with_metadata(good, **{key: value}))

    def test_text_that_is_not_utf_8_is_refused(self, good: bytes) -> None:
        assert "not UTF-8" in refusal(good.replace(b"balanced", b"balanc\xff\xfe"))

    @pytest.mark.slow
    def test_control_characters_never_reach_a_terminal(self, good: bytes, tmp_path: Path) -> None:
        text = "\x1b]0;owned\x07\x1b[31m\u202e"
        training = {"card": text, "roadclear": text, "options": {text: text}, "photos": {text: 3}}
        (tmp_path / "model.onnx").write_bytes(with_metadata(good, training=json.dumps(training)))
        for options in ([], ["--json"]):
            ended = roadclear("info", tmp_path, *options)
            assert ended.code == 0
            assert not set("\x1b\x07\u202e") & set(ended.out.decode())


class TestNumbersThatAreNone:
    def broken(self, data: bytes, bias: float) -> bytes:
        """A model whose last bias is no number."""

        def edit(model: onnx.ModelProto) -> None:
            tensor = next(one for one in model.graph.initializer if one.name == "output/bias")
            tensor.raw_data = np.float32(bias).tobytes()

        return changed(data, edit)

    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_nan_is_an_error_and_no_answer(self, good: bytes, photo: NDArray[np.uint8], engine: str) -> None:
        model = Model(self.broken(good, np.nan), engine)
        for use in (model.predict, model.explain, lambda one: list(model.predict_many([one]))):
            with pytest.raises(ModelFileError, match="expected a number as probability, the model gave nan: train it"):
                use(photo)

    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_an_infinite_logit_is_not_drawn(self, good: bytes, photo: NDArray[np.uint8], engine: str) -> None:
        model = Model(self.broken(good, np.inf), engine)
        assert model.predict(photo).probability == 1
        with pytest.raises(ModelFileError, match="expected a number as logit, the model gave inf: train it"):
            model.explain(photo)

    @pytest.mark.slow
    def test_the_commands_say_so_on_one_line(self, good: bytes, drawn_photos: Path, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(self.broken(good, np.nan))
        for command in ("predict", "evaluate"):
            ended = roadclear(command, tmp_path, drawn_photos)
            assert ended.code == 1
            assert "expected a number as probability, the model gave nan" in ended.error()
            assert "empty" not in ended.out.decode()


class TestFiles:
    def make(self, kind: str, folder: Path) -> Path:
        file = folder / "model.onnx"
        if kind == "pipe":
            os.mkfifo(file)
        elif kind == "device":
            file.symlink_to("/dev/zero")
        elif kind == "too large":
            with file.open("wb") as sparse_file:
                sparse_file.truncate(MAX_MODEL_BYTES + 1)
        elif kind == "folder":
            file.mkdir()
        elif kind == "link to itself":
            file.symlink_to(file)
        elif kind == "long name":
            return folder / ("x" * 5_000)
        elif kind == "zero byte":
            return folder / "a\0b.onnx"
        return file

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("pipe", "not a regular file"),
            ("device", "not a regular file"),
            ("too large", "more than 200 MB"),
            ("folder", "none that can be read"),
            ("link to itself", "none that can be read"),
            ("long name", "File name too long"),
            ("zero byte", "null byte"),
        ],
    )
    def test_only_regular_files_of_bounded_size_are_read(self, tmp_path: Path, kind: str, reason: str) -> None:
        file = self.make(kind, tmp_path)
        with pytest.raises(ModelFileError, match=reason) as caught:
            load(file)
        assert str(caught.value).isprintable()

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("kind", "reason"),
        [("pipe", "not a regular file"), ("too large", "more than 200 MB"), ("long name", "File name too long")],
    )
    def test_the_commands_end_with_one_line(self, tmp_path: Path, drawn_photos: Path, kind: str, reason: str) -> None:
        file = self.make(kind, tmp_path)
        for words in (["info", file], ["evaluate", file, drawn_photos], ["compare", file, "stock", drawn_photos]):
            ended = roadclear(*words)
            assert ended.code == 1
            assert reason in ended.error()


class TestMutants:
    """Random damage to the description of a real model. (Damaged weights give other numbers, or NaN.)"""

    @pytest.mark.slow
    @pytest.mark.parametrize("part", ["metadata", "graph"])
    def test_each_works_or_is_refused(self, good: bytes, photo: NDArray[np.uint8], part: str) -> None:
        places = model_places(good, part)
        ended = {"works": 0, "refused": 0}
        for seed in range(MUTANTS):
            mutant = changed_at(good, places, random.Random(seed))
            started = time.monotonic()
            try:
                prediction = Model(mutant).predict(photo)
                assert 0 <= prediction.probability <= 1
                ended["works"] += 1
            except (ModelFileError, PhotoError, EngineError) as error:
                assert str(error).isprintable()
                ended["refused"] += 1
            assert time.monotonic() - started < SECONDS, seed
        assert min(ended.values()) > 0
