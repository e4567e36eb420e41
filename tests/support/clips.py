"""Small videos written by PyAV, and a model that tells their two scenes apart."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from heads import drawn_familiarity
from PIL import Image
from scenes import draw_scene

from roadclear.features.backbone.graph import build
from roadclear.features.backbone.weights import load_weights
from roadclear.features.engine import open_engine
from roadclear.images.photo import held_pixels
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.ood import OodReference
from roadclear.model.heads import LinearHead
from roadclear.model.metadata import ModelFacts
from roadclear.model.onnx_file import build_model_file

SIZE = 96
EMPTY, CROSSING = draw_scene(3, False).resize((160, 120)), draw_scene(3, True).resize((160, 120))
"""The two scenes of the clips."""


def write_video(
    path: Path, frames: Iterable[tuple[float, Image.Image]], codec: str = "libx264", key_frames: int = 12
) -> Path:
    """Write pictures of one size with their times in seconds."""
    with av.open(str(path), "w") as container:
        stream = None
        for time, picture in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=25)
                stream.width, stream.height = picture.size
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                stream.gop_size = key_frames
                stream.codec_context.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
    return path


def crossing_clip(
    path: Path, seconds: float = 20.0, event: tuple[float, float] = (6.0, 12.0), rate: float = 10.0
) -> Path:
    """Write a clip of a fixed view: empty, but for one event."""
    times = [k / rate for k in range(int(seconds * rate))]
    frames = ((time, CROSSING if event[0] <= time < event[1] else EMPTY) for time in times)
    return write_video(path, frames)


def model_of_scenes(spread: float = 4.0, band: tuple[float, float] = (0.5, 0.5)) -> bytes:
    """A model file that gives the two scenes log-odds of minus and plus `spread`."""
    weights = load_weights("imagenet")
    engine = open_engine(bytes(build(weights, SIZE).SerializeToString()), ["embedding"])
    empty, crossing = (engine.infer(held_pixels(picture, SIZE))["embedding"] for picture in (EMPTY, CROSSING))
    across = crossing - empty
    direction = (2 * spread * across / (across @ across)).astype(np.float32)
    bias = np.float32(-direction @ (crossing + empty) / 2)
    familiarity = familiar_with([empty, crossing])
    facts = ModelFacts(
        positive="crossing",
        negative="empty",
        threshold=0.5,
        aim="balanced",
        temperature=1.0,
        band=UnsureBand(*band, 0.95),
        distance_limit=familiarity.limit,
        size=SIZE,
        head="linear",
        weights_name=weights.name,
        weights_sha256=weights.sha256,
        weights_origin=weights.origin,
        training={"photos": {"train": 34}, "accuracy": {}},
    )
    return build_model_file(weights, LinearHead(direction, bias), familiarity, facts)


def familiar_with(embeddings: Sequence[np.ndarray]) -> OodReference:
    """References beside which the scenes are familiar, and other pictures are not."""
    near = np.stack([e / np.linalg.norm(e) for e in embeddings] * 10).astype(np.float16)
    return OodReference(near, drawn_familiarity().neighbours, 0.5)
