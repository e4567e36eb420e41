"""Our graph against Keras Applications, on the same weights, from files in Keras' layouts."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from roadclear.features.backbone.graph import build
from roadclear.features.backbone.weights import load_weights

os.environ.setdefault("KERAS_BACKEND", "torch")
REASON = "conformance with Keras needs roadclear[conformance,onnxruntime]"
pytest.importorskip("torch", reason=REASON)
h5py = pytest.importorskip("h5py", reason=REASON)
keras = pytest.importorskip("keras", reason=REASON)
ort = pytest.importorskip("onnxruntime", reason=REASON)

# Keras' torch backend has not caught up with NumPy 2's protocol.
pytestmark = [pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"), pytest.mark.slow]


def random_photos(size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(size).integers(0, 256, (3, size, size, 3), dtype=np.uint8)


def network(size: int) -> "keras.Model":
    """MobileNetV2 with random weights, the BatchNorm statistics included.

    They are drawn so that signals neither die out nor saturate: photos must still differ at the end.
    """
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(include_top=False, pooling="avg", weights=None, input_shape=(size, size, 3))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.gamma.shape
            gamma, beta = rng.uniform(0.8, 1.8, channels), rng.normal(0, 0.4, channels)
            mean, variance = rng.normal(0, 0.1, channels), rng.uniform(0.02, 0.3, channels)
            layer.set_weights([gamma, beta, mean, variance])
    return model


def save_whole_model(model: "keras.Model", file: Path) -> None:
    """What Keras writes today."""
    model.save(file)


def save_official_layout(model: "keras.Model", file: Path) -> None:
    """What the official weights files hold: layers at the root, with the names of their first author."""
    kinds = {"BatchNormalization": ["gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"]}
    kinds |= {"Conv2D": ["kernel:0"], "DepthwiseConv2D": ["depthwise_kernel:0"]}
    layers = [layer for layer in model.layers if layer.name != "global_average_pooling2d"]
    with h5py.File(file, "w") as target:
        target.attrs["layer_names"] = [first_author_name(layer.name).encode() for layer in layers]
        for layer in layers:
            name = first_author_name(layer.name)
            group = target.create_group(name)
            weights = [f"{name}/{kind}" for kind in kinds.get(type(layer).__name__, [])]
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, values in zip(weights, layer.get_weights(), strict=True):
                group.create_dataset(weight, data=values)


def first_author_name(name: str) -> str:
    """``block_3_expand`` -> ``mobl3_conv_3_expand``, ``block_3_expand_BN`` -> ``bn3_conv_3_bn_expand``."""
    name = name.replace("expanded_conv_", "block_0_")
    name = re.sub(r"^block_(\d+)_([a-z]+)_BN$", r"bn\1_conv_\1_bn_\2", name)
    return re.sub(r"^block_(\d+)_(expand|depthwise|project)$", r"mobl\1_conv_\1_\2", name)


@pytest.mark.slow
@pytest.mark.parametrize("save", [save_official_layout, save_whole_model])
@pytest.mark.parametrize("size", [224, 160])
def test_features_are_the_same(size: int, save: object, tmp_path: Path) -> None:
    model, photos = network(size), random_photos(size)
    save(model, tmp_path / "weights.h5")  # type: ignore[operator]
    prepared = keras.applications.mobilenet_v2.preprocess_input(photos.astype(np.float32))
    expected = model.predict(prepared, verbose=0)

    weights = load_weights("keras", tmp_path / "weights.h5")
    session = ort.InferenceSession(build(weights, size).SerializeToString(), providers=["CPUExecutionProvider"])
    (embedding,) = session.run(["embedding"], {"photo": photos})

    assert np.abs(expected[0] - expected[1]).max() > 0.1
    np.testing.assert_allclose(embedding, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_official_layout_is_one_that_keras_itself_loads(tmp_path: Path) -> None:
    model, other = network(96), network(96)
    file = tmp_path / "weights.h5"
    save_official_layout(model, file)
    other.set_weights([np.zeros_like(values) for values in other.get_weights()])
    other.load_weights(file)
    for expected, actual in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)
