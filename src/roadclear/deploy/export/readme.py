"""README files of exports: a few lines, with code that runs."""

from roadclear.model.metadata import ModelFacts
from roadclear.utils.text import printable


def openvino_readme(facts: ModelFacts) -> bytes:
    """Write the README beside model.xml and model.bin."""
    return f"""{_heading(facts)}

```python
import numpy, openvino; from PIL import Image
photo = Image.open("photo.jpg").convert("RGB").resize(({facts.size}, {facts.size}), Image.Resampling.BILINEAR)
model = openvino.Core().compile_model("model.xml", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})
answer = model(numpy.asarray(photo)[None])
print({facts.positive!r} if answer["probability"][0] >= {facts.threshold!r} else {facts.negative!r})
```
""".encode()


def litert_readme(facts: ModelFacts) -> bytes:
    """Write the README beside model.tflite."""
    return f"""{_heading(facts)}

```python
import numpy; from PIL import Image; from ai_edge_litert.interpreter import Interpreter
photo = Image.open("photo.jpg").convert("RGB").resize(({facts.size}, {facts.size}), Image.Resampling.BILINEAR)
model = Interpreter("model.tflite").get_signature_runner()
answer = model(photo=numpy.asarray(photo)[None])
print({facts.positive!r} if answer["probability"][0] >= {facts.threshold!r} else {facts.negative!r})
```

Labels, threshold and size are in the file, too: its metadata `roadclear` is JSON.
""".encode()


def repository_readme(facts: ModelFacts, name: str) -> bytes:
    """Write the README of a model repository."""
    return f"""{_heading(facts)}

    tritonserver --model-repository=$PWD                                # KServe: this folder is the storageUri
    ovms --model_name {name} --model_path $PWD/{name} --rest_port 8000

Send `photo`, uint8 [N, {facts.size}, {facts.size}, 3], to `/v2/models/{name}/infer`.
A photo is RGB, and squashed to the square as a whole.
""".encode()


def web_readme(facts: ModelFacts) -> bytes:
    """Write the README beside index.html."""
    return f"""{_heading(facts)}

Open `index.html` from disk, or put the folder on any static host. The page sends no photo anywhere.
A camera needs https, localhost, or a file on disk. On a host, `sw.js` keeps the page for use without a network.
The runtime inside is ONNX Runtime Web (MIT licence, Microsoft Corporation).
""".encode()


def _heading(facts: ModelFacts) -> str:
    return (
        f"{printable(facts.positive)} (probability at least {facts.threshold:.4g}) or {printable(facts.negative)}. "
        "`export.json` says how the files were checked."
    )
