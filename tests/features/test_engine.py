"""Two engines, one answer: from any thread, in float32 or bfloat16, or one line about why not."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pytest
from heads import drawn_model
from numpy.typing import NDArray

from roadclear.errors import EngineError, OptionError
from roadclear.features.engine import Engine, check_engine, engine_key, has_native_bf16, open_engine
from roadclear.features.settings import ENGINES, PRECISIONS
from roadclear.images.decode import read_photo
from roadclear.utils.threads import available_cores

SIZE = 96
OUTPUTS = ("probability", "logit", "embedding", "heatmap", "offset")
SHAPES = {"probability": (), "logit": (), "embedding": (1280,), "heatmap": (3, 3), "offset": ()}


@pytest.fixture(scope="module")
def graph() -> bytes:
    return drawn_model(size=SIZE)


@pytest.fixture(scope="module")
def engines(graph: bytes) -> Mapping[str, Engine]:
    return {name: open_engine(graph, OUTPUTS, name) for name in ENGINES}


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def even(level: int) -> NDArray[np.uint8]:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


class TestAgreement:
    @pytest.mark.parametrize("photo", [noise(0), noise(1), even(0), even(128), even(255)])
    def test_on_drawn_pixels(self, engines: Mapping[str, Engine], photo: NDArray[np.uint8]) -> None:
        self.check(engines, photo)

    def test_on_real_photos(self, engines: Mapping[str, Engine], roads: Path) -> None:
        for path in sorted(roads.glob("*/*.jpg"))[::80]:
            self.check(engines, read_photo(path, SIZE))

    def check(self, engines: Mapping[str, Engine], photo: NDArray[np.uint8]) -> None:
        one, other = (engine.infer(photo) for engine in engines.values())
        assert one["embedding"] == pytest.approx(other["embedding"], abs=1e-4)
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-4)
        assert one["logit"] == pytest.approx(other["logit"], abs=1e-3)

    @pytest.mark.skipif(not has_native_bf16(), reason="this processor has no bfloat16 instructions")
    def test_bfloat16_is_near(self, graph: bytes, engines: Mapping[str, Engine]) -> None:
        rough = open_engine(graph, ["embedding"], "openvino", "bf16").infer(noise(0))["embedding"]
        exact = engines["openvino"].infer(noise(0))["embedding"]
        assert rough.dtype == np.float32
        assert not np.array_equal(rough, exact)
        assert np.dot(rough, exact) / np.linalg.norm(rough) / np.linalg.norm(exact) > 0.99


@pytest.mark.parametrize("name", ENGINES)
class TestBoth:
    def test_outputs_have_no_batch_axis(self, engines: Mapping[str, Engine], name: str) -> None:
        outputs = engines[name].infer(noise(0))
        assert {output: outputs[output].shape for output in OUTPUTS} == SHAPES
        assert {outputs[output].dtype for output in OUTPUTS} == {np.dtype(np.float32)}

    def test_only_the_wished_outputs_are_given(self, graph: bytes, engines: Mapping[str, Engine], name: str) -> None:
        outputs = open_engine(graph, ["logit"], name).infer(noise(0))
        assert outputs.keys() == {"logit"}
        assert outputs["logit"] == pytest.approx(engines[name].infer(noise(0))["logit"], abs=1e-5)

    def test_a_result_is_not_overwritten_by_the_next(self, engines: Mapping[str, Engine], name: str) -> None:
        first = engines[name].infer(noise(0))["embedding"]
        before = first.copy()
        engines[name].infer(noise(1))
        assert np.array_equal(first, before)

    def test_the_photo_is_left_as_it_was(self, engines: Mapping[str, Engine], name: str) -> None:
        photo = noise(0)
        photo.flags.writeable = False
        engines[name].infer(photo)
        assert np.array_equal(photo, noise(0))

    def test_a_photo_need_not_lie_in_one_piece(self, engines: Mapping[str, Engine], name: str) -> None:
        """Such as one that was mirrored by a view of its array."""
        mirrored = noise(0)[:, ::-1]
        expected = engines[name].infer(np.ascontiguousarray(mirrored))["embedding"]
        assert np.array_equal(engines[name].infer(mirrored)["embedding"], expected)

    def test_eight_threads_get_what_one_gets(self, engines: Mapping[str, Engine], name: str) -> None:
        photos = [noise(seed) for seed in range(16)]
        alone = [engines[name].infer(photo)["embedding"] for photo in photos]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda n: engines[name].infer(photos[n % 16])["embedding"], range(64)))
        assert all(np.array_equal(found, alone[n % 16]) for n, found in enumerate(together))

    def test_a_graph_in_a_file(self, graph: bytes, tmp_path: Path, engines: Mapping[str, Engine], name: str) -> None:
        file = tmp_path / "möhre 1.onnx"
        file.write_bytes(graph)
        found = open_engine(file, ["logit"], name).infer(noise(0))["logit"]
        assert found == pytest.approx(engines[name].infer(noise(0))["logit"], abs=1e-5)


@pytest.mark.parametrize("name", ENGINES)
class TestGraphsThatCannotRun:
    @pytest.mark.parametrize("data", [b"", b"not ONNX", b"\x08\x08\x12" + bytes(300)], ids=["empty", "text", "bytes"])
    def test_not_onnx(self, name: str, data: bytes) -> None:
        self.refused(data, name)

    def test_a_truncated_graph(self, name: str, graph: bytes) -> None:
        self.refused(graph[: len(graph) // 2], name)

    def test_a_missing_file(self, name: str, tmp_path: Path) -> None:
        self.refused(tmp_path / "missing.onnx", name)

    def test_an_operator_that_does_not_exist(self, name: str) -> None:
        shape = ["N", 32, 32, 3]
        photo = onnx.helper.make_tensor_value_info("photo", onnx.TensorProto.UINT8, shape)
        node = onnx.helper.make_node("Guess", ["photo"], ["logit"])
        logit = onnx.helper.make_tensor_value_info("logit", onnx.TensorProto.FLOAT, ["N"])
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "guess", [photo], [logit]))
        self.refused(model.SerializeToString(), name, "logit")

    def test_an_output_that_the_graph_has_not(self, name: str, graph: bytes) -> None:
        self.refused(graph, name, "certainty")

    @staticmethod
    def refused(graph: bytes | Path, name: str, output: str = "logit") -> None:
        with pytest.raises(EngineError) as caught:
            open_engine(graph, [output], name)
        message = str(caught.value)
        assert message.startswith(f"engine '{name}' cannot run this graph: ")
        assert len(message) > len(f"engine '{name}' cannot run this graph: ") + 5
        assert "\n" not in message


class TestChoice:
    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_openvino_has_all_precisions(self, precision: str) -> None:
        check_engine("openvino", precision)

    @pytest.mark.parametrize(
        ("name", "precision", "message"),
        [
            ("tensorflow", "f32", "the engine must be one of openvino, onnxruntime, got 'tensorflow'"),
            ("", "f32", "the engine must be one of openvino, onnxruntime, got ''"),
            ("openvino", "f16", "the precision must be one of f32, bf16, got 'f16'"),
            ("openvino", "auto", "the precision must be one of f32, bf16, got 'auto'"),
            ("onnxruntime", "bf16", "engine 'onnxruntime' computes in f32 only, got precision 'bf16'"),
        ],
    )
    def test_what_does_not_exist(self, graph: bytes, name: str, precision: str, message: str) -> None:
        for refuse in (check_engine, lambda name, precision: open_engine(graph, ["logit"], name, precision)):
            with pytest.raises(OptionError) as caught:
                refuse(name, precision)
            assert str(caught.value) == message

    @pytest.mark.parametrize("name", ENGINES)
    def test_an_engine_that_is_not_installed(self, name: str) -> None:
        """Told in a process in which its import fails."""
        program = (
            f"import sys; sys.modules[{name!r}] = None\n"
            "from roadclear.features.engine import open_engine; from roadclear.errors import EngineError\n"
            f"try: open_engine(b'', ['logit'], {name!r})\n"
            "except EngineError as error: print(error)\n"
        )
        told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert told == f"engine {name!r} is not installed: pip install {name}\n"

    def test_keys_tell_engines_versions_and_precisions_apart(self) -> None:
        keys = {engine_key("openvino", "f32"), engine_key("openvino", "bf16"), engine_key("onnxruntime", "f32")}
        assert len(keys) == 3
        assert all(version(name) in engine_key(name, "f32") for name in ENGINES)


class TestKeptGraph:
    """A compiled graph is kept by its SHA-256, and gives the numbers of the graph itself."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("ROADCLEAR_CACHE_DIR", str(tmp_path))
        return tmp_path

    def open(self, graph: bytes) -> Engine:
        return open_engine(graph, OUTPUTS, sha256=hashlib.sha256(graph).hexdigest())

    def same(self, engine: Engine, engines: Mapping[str, Engine]) -> bool:
        expected, found = engines["openvino"].infer(noise(0)), engine.infer(noise(0))
        return all(np.array_equal(expected[name], found[name]) for name in OUTPUTS)

    def test_it_is_compiled_once(self, folder: Path, graph: bytes, engines: Mapping[str, Engine]) -> None:
        assert self.same(self.open(graph), engines)
        (kept,) = folder.glob("kept-compiled-*")
        content = kept.read_bytes()
        assert self.same(self.open(graph), engines)
        assert kept.read_bytes() == content

    @pytest.mark.parametrize("damage", ["cut short", "checksum of garbage"])
    def test_what_cannot_be_used_is_compiled_again(
        self, folder: Path, graph: bytes, engines: Mapping[str, Engine], damage: str
    ) -> None:
        self.open(graph)
        (kept,) = folder.glob("kept-compiled-*")
        whole = kept.read_bytes()
        garbage = b"garbage" * 1000
        sealed = hashlib.sha256(garbage).digest() + garbage
        kept.write_bytes({"cut short": whole[:1000], "checksum of garbage": sealed}[damage])
        assert self.same(self.open(graph), engines)
        assert kept.read_bytes()[32:] != garbage

    def test_without_a_key_nothing_is_kept(self, folder: Path, graph: bytes) -> None:
        open_engine(graph, OUTPUTS)
        assert list(folder.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_only_the_cores_that_the_process_may_use_count() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from roadclear.utils.threads import available_cores; print(available_cores())"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"1\n"
    assert available_cores() == len(os.sched_getaffinity(0))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are listed in /proc")
@pytest.mark.skipif(available_cores() < 2, reason="needs two cores")
def test_no_thread_is_bound_to_a_core(graph: bytes) -> None:
    """Several processes on one machine, each limited to one core, would be bound to the same core."""
    script = """
import contextlib, os, sys, threading
import numpy as np
from roadclear.features.engine import open_engine
from roadclear.utils.threads import limit_cores
limit_cores(1)
engine = open_engine(sys.stdin.buffer.read(), ["probability"], "openvino")
photo = np.zeros((96, 96, 3), np.uint8)
working = threading.Thread(target=lambda: [engine.infer(photo) for _ in range(200)])
working.start()
bound = set()
while working.is_alive():
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):
            bound.add(len(os.sched_getaffinity(int(task))))
print(bound == {len(os.sched_getaffinity(0))})
"""
    done = subprocess.run([sys.executable, "-c", script], input=graph, capture_output=True, check=True)
    assert done.stdout.split() == [b"True"]
