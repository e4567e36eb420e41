"""Reads the tensors of a Keras weights file (HDF5) as NumPy arrays, without Keras."""

from typing import Any

from numpy.typing import NDArray

from roadclear.errors import WeightsError


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """Read every weight in the bytes of an HDF5 file of Keras: ``layer/weight`` -> array.

    Kernels are turned from Keras' ``[k, k, in, out]`` (depthwise ``[k, k, channels, 1]``) to
    ``[out, in / groups, k, k]``.

    Raises:
        WeightsError: h5py is not installed, or the file is not HDF5 or is damaged. The message does not name
            the file.
    """
    raise WeightsError("not yet")
