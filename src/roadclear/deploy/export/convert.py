"""Conversion of model.onnx to OpenVINO's format: model.xml and model.bin."""

import tempfile
from pathlib import Path
from typing import Any

from roadclear.features.engine import openvino_module
from roadclear.model.metadata import ModelFacts

XML, BIN = "model.xml", "model.bin"


def read_network(model: bytes) -> Any:
    """Read model.onnx as a graph of OpenVINO, with its usual simplifications.

    The simplifications come from OpenVINO's runtime. OpenVINO's converter makes the same ones, but reports its use over
    the network.

    Args:
        model: content of model.onnx.
    """
    network = openvino_module().Core().read_model(model)
    from openvino._offline_transformations import apply_moc_transformations

    apply_moc_transformations(network, cf=False, smart_reshape=False)
    return network


def network_files(network: Any, facts: ModelFacts) -> dict[str, bytes]:
    """Serialize a graph of OpenVINO: the content of model.xml and model.bin. Weights stay float32.

    Args:
        network: graph of OpenVINO.
        facts: facts about the model. Labels and threshold are written into model.xml.
    """
    for key, value in (
        ("positive", facts.positive),
        ("negative", facts.negative),
        ("threshold", repr(facts.threshold)),
        ("size", str(facts.size)),
    ):
        network.set_rt_info(value, ["roadclear", key])
    with tempfile.TemporaryDirectory() as folder:
        openvino_module().save_model(network, Path(folder) / XML, compress_to_fp16=False)
        return {name: (Path(folder) / name).read_bytes() for name in (XML, BIN)}
