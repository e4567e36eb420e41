"""Classify a folder of photos by another library, as its documentation advises. Imports nothing of roadclear.

    python benchmarks/predict_rival.py onnxruntime|timm|ultralytics FOLDER GRAPH.onnx CORES

onnxruntime: MobileNetV2 with ready weights, from GRAPH; Pillow decodes on a pool of threads, batches of 32.
timm: `create_model("mobilenetv2_100")`, its own transform, and PyTorch's DataLoader with one process a core.
ultralytics: `YOLO("yolo11n-cls.yaml").predict(FOLDER, stream=True)`, batches of 32.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BATCH = 32
SIZE = 224


def by_onnxruntime(files: list[Path], graph: str, cores: int) -> int:
    import numpy as np
    import onnxruntime
    from PIL import Image

    def decode(file: Path) -> np.ndarray:
        picture = Image.open(file)
        picture.draft("RGB", (SIZE, SIZE))
        return np.asarray(picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    done = 0
    with ThreadPoolExecutor(cores) as pool:
        batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
        waiting = [pool.submit(decode, file) for file in batches[0]]
        for following in [*batches[1:], []]:
            pixels = np.stack([each.result() for each in waiting])
            waiting = [pool.submit(decode, file) for file in following]
            done += len(session.run(["embedding"], {"photo": pixels})[0])
    return done


def by_timm(files: list[Path], graph: str, cores: int) -> int:
    import timm
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    model = timm.create_model("mobilenetv2_100", pretrained=False, num_classes=2).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)

    class Photos(Dataset):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, number: int) -> torch.Tensor:
            return transform(Image.open(files[number]).convert("RGB"))

    torch.set_num_threads(cores)
    done = 0
    with torch.inference_mode():
        for batch in DataLoader(Photos(), batch_size=BATCH, num_workers=cores):
            done += len(model(batch).softmax(1))
    return done


def by_ultralytics(files: list[Path], graph: str, cores: int) -> int:
    from ultralytics import YOLO

    results = YOLO("yolo11n-cls.yaml").predict(
        str(files[0].parent), imgsz=SIZE, batch=BATCH, stream=True, verbose=False, device="cpu"
    )
    return sum(result.probs is not None for result in results)


def main() -> None:
    side, folder, graph, cores = sys.argv[1:]
    files = sorted(Path(folder).iterdir())
    ways = {"onnxruntime": by_onnxruntime, "timm": by_timm, "ultralytics": by_ultralytics}
    done = ways[side](files, graph, int(cores))
    if done != len(files):
        sys.exit(f"expected {len(files)} predictions, got {done}")


if __name__ == "__main__":
    main()
