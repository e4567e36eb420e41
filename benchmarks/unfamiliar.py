"""What "unfamiliar" finds, by score and layer: sources left out, other views, wrong answers, unlike pictures.

    python benchmarks/unfamiliar.py MODEL PHOTOS [--unlike FOLDER ...] [--judged NPZ ...]

MODEL is the model.onnx of a training with a frozen base. PHOTOS has a manifest.csv with sources and views. The sources
are left out in five parts. References and limits come from the others, at 5% false alarms. Every NPZ has files, label
and logit of photos that a fine-tuned model judged with their sources left out.
"""

import argparse
import csv
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import openvino

from machine import describe
from promise import leave_sources_out
from reliability import draw_unlike
from roadclear.data.dataset import load_folder
from roadclear.errors import PhotoError
from roadclear.features.backbone.mobilenetv2 import EMBEDDING, trunk_output
from roadclear.features.cache import open_cache
from roadclear.images.decode import decode, read_bytes
from roadclear.model.decision.ood import FALSE_ALARMS, NEIGHBOURS, fit_ood, pool_activations
from roadclear.model.heads import sigmoid
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import prepare
from roadclear.utils.arrays import unit
from roadclear.utils.paths import default_cache_path

LAYERS = {f"layer below {blocks} blocks": trunk_output(blocks) for blocks in (4, 11)} | {"embedding": EMBEDDING}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--unlike", nargs="*", default=[], type=Path)
    parser.add_argument("--judged", nargs="*", default=[])
    arguments = parser.parse_args()
    print(describe())
    with open_cache(default_cache_path()) as cache, tempfile.TemporaryDirectory() as folder:
        data = prepare(load_folder(arguments.photos), TrainSettings(), cache)
        look = Pooled(arguments.model.read_bytes())
        roads = look([photo.path for photo in data.photos])
        unlike = {name: look(files) for name, files in draw_unlike(Path(folder)).items()}
        unlike |= {where.name: look(sorted(where.rglob("*.*"))) for where in arguments.unlike}
    kinds = kinds_of(data, arguments.photos, arguments.judged)
    found = defaultdict(lambda: defaultdict(list))
    for part in leave_sources_out(data):
        train, validation, test = (np.flatnonzero(part == name) for name in ("train", "validation", "test"))
        for name, distance in scores({key: value[train] for key, value in roads.items()}).items():
            own = distance(roads)
            limit = np.sort(own[validation])[int(np.ceil((len(validation) + 1) * (1 - FALSE_ALARMS))) - 1]
            for kind, chosen in kinds.items():
                found[name][kind] += (own[test][chosen[test]] > limit).tolist()
            for kind, vectors in unlike.items():
                found[name][kind] += (distance(vectors) > limit).tolist()
    columns = [*kinds, *unlike]
    counts = next(iter(found.values()))
    print(
        f"| score | {' | '.join(f'{kind} ({len(counts[kind])})' for kind in columns)} |\n|---|{'---|' * len(columns)}"
    )
    for name, of in found.items():
        print(f"| {name} | {' | '.join(f'{np.mean(of[kind]):.0%}' if of[kind] else '-' for kind in columns)} |")


class Pooled:
    """Vectors of photos by layer, and logits, from a model file."""

    def __init__(self, content: bytes) -> None:
        core = openvino.Core()
        model = core.read_model(content)
        for tensor in LAYERS.values():
            if tensor != EMBEDDING:
                model.add_outputs(tensor)
        self.size = model.input(0).partial_shape[1].get_length()
        self.compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def __call__(self, files) -> dict[str, np.ndarray]:
        """Vectors [n, d] of the files that can be read, by layer, and their logits [n]."""
        rows = defaultdict(list)
        for file in files:
            try:
                pixels = decode(read_bytes(file), self.size)
            except PhotoError:
                continue
            outputs = {name: value for port, value in self.compiled(pixels[None]).items() for name in port.get_names()}
            for layer, tensor in LAYERS.items():
                values = outputs[tensor]
                rows[layer].append(values[0] if tensor == EMBEDDING else pool_activations(values)[0])
            rows["logit"].append(outputs["logit"][0])
        return {name: np.array(values, dtype=np.float32) for name, values in rows.items()}


def scores(training):
    """Functions from vectors to distances, by name, for vectors of training photos."""
    found = {"probability of the answer (energy)": lambda vectors: -np.abs(sigmoid(vectors["logit"]) - 0.5)}
    for layer, tensor in LAYERS.items():
        known = unit(training[layer])

        def nearest(vectors, layer=layer, known=known):
            return 1 - np.sort(unit(vectors[layer]) @ known.T, axis=1)[:, -NEIGHBOURS]

        gaussian = fit_ood(training[layer], training[layer][:1], 0, trunk_output(1) if tensor == EMBEDDING else tensor)
        found[f"10th neighbour, {layer}"] = nearest
        found[f"Mahalanobis, {layer}"] = lambda vectors, layer=layer, at=gaussian: at.distances(vectors[layer])
    return found


def kinds_of(data, folder, judged):
    """Which photos are of each kind: bool [n] by name."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        views = {row["file"]: row.get("view", "") for row in csv.DictReader(lines)}
    of = np.array([views.get(photo.file, "") for photo in data.photos])
    night = np.array([any(word in (photo.source or "").lower() for word in ("llvip", "hazy")) for photo in data.photos])
    kinds = {"sources left out": np.ones(len(of), bool), "night, haze": night}
    kinds |= {view: of == view for view in ("from-above", "dashcam", "far")}
    wrong: dict[str, bool] = {}
    for name in judged:
        fold = np.load(name, allow_pickle=True)
        wrong |= dict(zip(fold["files"].tolist(), (fold["logit"] > 0) != (fold["label"] == 1), strict=True))
    return kinds | {"wrong, fine-tuned": np.array([wrong.get(photo.file, False) for photo in data.photos])}


if __name__ == "__main__":
    main()
