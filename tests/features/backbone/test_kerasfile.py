"""Keras' HDF5 weights files: what is read, and that nothing outside the file ever is."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadclear.errors import WeightsError
from roadclear.features.backbone.kerasfile import read_tensors

pytestmark = pytest.mark.slow

h5py = pytest.importorskip("h5py", reason="Keras files need roadclear[keras]")

CONVOLUTION = np.arange(2 * 3 * 3 * 5, dtype=np.float32).reshape(3, 3, 2, 5)
DEPTHWISE = np.arange(3 * 3 * 5, dtype=np.float32).reshape(3, 3, 5, 1)
GAMMA = np.linspace(0, 1, 5, dtype=np.float32)
OFFICIAL = {
    "input_1": {},
    "Conv1": {"Conv1/kernel:0": CONVOLUTION},
    "bn_Conv1": {"bn_Conv1/gamma:0": GAMMA, "bn_Conv1/moving_variance:0": GAMMA + 1},
    "Conv1_relu": {},
    "mobl0_conv_0_depthwise": {"mobl0_conv_0_depthwise/depthwise_kernel:0": DEPTHWISE},
}
"""The layout of the official files."""
CURRENT = {
    "Conv1": {"Conv1/kernel": CONVOLUTION},
    "bn_Conv1": {"bn_Conv1/gamma": GAMMA, "bn_Conv1/moving_variance": GAMMA + 1},
    "expanded_conv_depthwise": {"expanded_conv_depthwise/kernel": DEPTHWISE},
}
"""The layout that `model.save("x.h5")` writes today, below ``model_weights``."""


def write(layers: dict[str, dict[str, np.ndarray]], root: str = "/") -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.require_group(root)
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, weights in layers.items():
            group.create_group(layer).attrs["weight_names"] = [name.encode() for name in weights]
            for name, values in weights.items():
                group[layer].create_dataset(name, data=values)
    return buffer.getvalue()


def edited(change: object) -> bytes:
    """The official layout, changed by a function of the open file."""
    buffer = io.BytesIO(write(OFFICIAL))
    with h5py.File(buffer, "r+") as file:
        change(file)  # type: ignore[operator]
    return buffer.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(WeightsError) as caught:
        read_tensors(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "data", [write(OFFICIAL), write(CURRENT, "model_weights")], ids=["official", "of today's Keras"]
)
def test_layers_are_counted_and_kernels_turned(data: bytes) -> None:
    tensors = read_tensors(data)

    assert list(tensors) == ["layer 0/kernel", "layer 1/gamma", "layer 1/moving_variance", "layer 2/kernel"]
    np.testing.assert_array_equal(tensors["layer 0/kernel"], CONVOLUTION.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(tensors["layer 1/moving_variance"], GAMMA + 1)
    assert tensors["layer 2/kernel"].shape == (5, 1, 3, 3)
    np.testing.assert_array_equal(tensors["layer 2/kernel"][:, 0], DEPTHWISE[..., 0].transpose(2, 0, 1))


def test_the_order_is_that_of_the_layer_names_not_of_the_alphabet() -> None:
    tensors = read_tensors(write({"z": {"z/gamma:0": GAMMA}, "a": {"a/beta:0": GAMMA}}))
    assert list(tensors) == ["layer 0/gamma", "layer 1/beta"]


class TestNothingOutsideIsRead:
    """A secret lies beside the file, where it could be reached by every way that HDF5 knows."""

    @pytest.fixture
    def secret(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "secret.h5"
        path.write_bytes(write({"Conv1": {"Conv1/kernel:0": CONVOLUTION}}))
        return path

    def test_by_a_link_to_another_file(self, secret: Path) -> None:
        def link(file: h5py.File) -> None:
            del file["Conv1"]
            file["Conv1"] = h5py.ExternalLink(str(secret), "/Conv1")

        refusal(edited(link))

    def test_by_a_link_in_the_middle_of_a_path(self, secret: Path) -> None:
        def link(file: h5py.File) -> None:
            del file["Conv1/Conv1"]
            file["Conv1/Conv1"] = h5py.ExternalLink(str(secret), "/Conv1/Conv1")

        refusal(edited(link))

    def test_by_a_root_that_is_a_link(self, secret: Path) -> None:
        def link(file: h5py.File) -> None:
            file["model_weights"] = h5py.ExternalLink(str(secret), "/")

        assert len(read_tensors(edited(link))) == 4

    def test_by_external_storage(self, secret: Path) -> None:
        def store(file: h5py.File) -> None:
            del file["Conv1/Conv1/kernel:0"]
            external = [(str(secret), 0, CONVOLUTION.nbytes)]
            file.create_dataset("Conv1/Conv1/kernel:0", CONVOLUTION.shape, "f4", external=external)

        assert "unsafe" in refusal(edited(store))

    def test_by_a_virtual_dataset(self, secret: Path) -> None:
        def store(file: h5py.File) -> None:
            del file["Conv1/Conv1/kernel:0"]
            layout = h5py.VirtualLayout(CONVOLUTION.shape, "f4")
            layout[...] = h5py.VirtualSource(str(secret), "Conv1/Conv1/kernel:0", CONVOLUTION.shape)
            file.create_virtual_dataset("Conv1/Conv1/kernel:0", layout)

        assert "unsafe" in refusal(edited(store))


def test_values_that_take_no_room_in_the_file() -> None:
    """4 TiB of zeros, declared and never written; then many that are small each and large together."""
    huge = edited(lambda file: file.create_dataset("zeros", (2**40,), "f4"))
    many = edited(lambda file: [file.create_dataset(f"zeros/{i}", (2**20,), "f4") for i in range(17)])
    for data in (huge, many):
        assert len(data) < 2**20
        assert "at most 67108864 bytes" in refusal(data)


def test_one_layer_named_again_and_again() -> None:
    """Each time would be another copy in memory."""
    refusal(edited(lambda file: file.attrs.__setitem__("layer_names", ["Conv1"] * 1000)))


@pytest.mark.parametrize(
    "change",
    {
        "no layer names": lambda file: file.attrs.__delitem__("layer_names"),
        "a layer that is not there": lambda file: file.__delitem__("Conv1"),
        "a weight that is not there": lambda file: file.__delitem__("Conv1/Conv1/kernel:0"),
        "layer names that are numbers": lambda file: file.attrs.__setitem__("layer_names", [1, 2]),
        "layer names that are a number": lambda file: file.attrs.__setitem__("layer_names", 1),
        "a layer that is the file": lambda file: file.attrs.__setitem__("layer_names", ["", "/", ".."]),
    }.values(),
)
def test_another_structure(change: object) -> None:
    assert "Keras HDF5 weights file" in refusal(edited(change))


@pytest.mark.parametrize("data", [b"", b"<html>sign in first</html>", b"\x89HDF\r\n\x1a\n"])
def test_another_file(data: bytes) -> None:
    assert "Keras HDF5 weights file" in refusal(data)


@settings(max_examples=10, deadline=None)  # each starts a process
@given(length=st.integers(0, len(write(OFFICIAL)) - 1))
def test_truncated_anywhere(length: int) -> None:
    refusal(write(OFFICIAL)[:length])
