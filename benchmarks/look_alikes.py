"""What each sign finds of the changed copies of a photo, and how many different photos it takes for one.

    python benchmarks/look_alikes.py PHOTOS

Every photo is changed in 11 ways, encoded as JPEG and decoded again as the product does. Photos of one scene (column
`scene` of the manifest) are not counted as different. Pairs that the rules find among the photos themselves are
listed, so that they can be looked at.
"""

import argparse
import io
import platform
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from roadclear.data.dataset import load_folder
from roadclear.data.near_duplicates.groups import group
from roadclear.data.near_duplicates.rules import COPY, LOOK_ALIKE, SAME_SHOT
from roadclear.features.backbone.graph import build
from roadclear.features.backbone.weights import load_weights
from roadclear.features.engine import open_engine
from roadclear.images.decode import decode
from roadclear.images.phash import fingerprint
from roadclear.utils.threads import available_cores

# Photos that one scene was given to each, and that show one picture; found by this benchmark, and looked at.
SAME_AFTER_ALL = {("crossing/webped-0249.jpg", "crossing/webped-0330.jpg")}
SAME_AFTER_ALL |= {("crossing/webped-0132.jpg", "crossing/webped-0397.jpg")}


def resized(photo):
    return photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS)


def cropped(photo, x, y):
    width, height = photo.size
    left, top = x * width * 0.1, y * height * 0.1
    return photo.crop((round(left), round(top), round(left + width * 0.9), round(top + height * 0.9)))


def watermarked(photo):
    layer = Image.new("RGBA", photo.size)
    font = ImageFont.load_default(size=photo.height / 6)
    middle = photo.width / 2, photo.height / 2
    ImageDraw.Draw(layer).text(middle, "WATERMARK", font=font, fill=(255, 255, 255, 128), anchor="mm")
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def recoloured(photo, gamma):
    return photo.point([round(255 * (level / 255) ** gamma) for level in range(256)] * 3)


def framed(photo):
    x, y = round(photo.width * 0.05), round(photo.height * 0.05)
    frame = Image.new("RGB", (photo.width + 2 * x, photo.height + 2 * y))
    frame.paste(photo, (x, y))
    return frame


CHANGES = {
    "resized to 50%": resized,
    "JPEG quality 30": lambda photo: photo,
    "grey": lambda photo: photo.convert("L").convert("RGB"),
    "mirrored": lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "watermark across": watermarked,
    "gamma 0.6": partial(recoloured, gamma=0.6),
    "gamma 1.6": partial(recoloured, gamma=1.6),
    "cropped 10%, centre": partial(cropped, x=0.5, y=0.5),
    "cropped 10%, corner": partial(cropped, x=0, y=0),
    "rotated 3°": lambda photo: photo.rotate(3, Image.Resampling.BICUBIC),
    "black border 5%": framed,
}


def encoded(photo, quality):
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def versions(path):
    yield path.read_bytes()
    photo = Image.open(path).convert("RGB")
    for name, change in CHANGES.items():
        yield encoded(change(photo), 30 if name == "JPEG quality 30" else 88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    photos = load_folder(parser.parse_args().photos).photos
    engine = open_engine(build(load_weights(), 224).SerializeToString(), ["embedding"], "openvino", "f32")

    def looks(photo):
        pixels = [decode(data, 224) for data in versions(photo.path)]
        return [fingerprint(p) for p in pixels], [engine.infer(p)["embedding"] for p in pixels]

    with ThreadPoolExecutor(available_cores()) as pool:
        found = list(pool.map(looks, photos))
    fingerprints, embeddings = (np.stack(part) for part in zip(*found, strict=True))
    bits, cosines = comparisons(fingerprints, embeddings)
    different = different_photos(photos)

    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    pairs = np.count_nonzero(different) / 2
    print(
        f"{len(photos)} photos, {pairs:,.0f} pairs of different ones; {different.sum() * len(bits):,.0f} with copies\n"
    )
    print("| sign | mean |", " | ".join(CHANGES), "| false, photos | false, with copies |")
    print("|---|---|" + "---|" * (len(CHANGES) + 2))
    rows = {f"hash, at most {n} bits": (lambda h, c, n=n: h <= n) for n in (2, 4, 6, 8, 10, 12)}
    rows |= {f"cosine, at least {t}": (lambda h, c, t=t: c >= t) for t in (0.97, 0.94, 0.92, 0.90, 0.88, 0.86)}
    rows |= {name: rule.matches for name, rule in RULES.items()}
    for name, sign in rows.items():
        hits = sign(bits, cosines)
        recall = np.diagonal(hits, axis1=1, axis2=2).mean(axis=1)[1:]
        cells = " | ".join(f"{share:.3f}" for share in recall)
        false = hits & different
        print(f"| {name} | {recall.mean():.3f} | {cells} | {false[0].sum() // 2} | {false.sum()} |")

    for name, rule in RULES.items():
        sizes = np.bincount(group(fingerprints[:, 0], embeddings[:, 0], rule))
        print(f"\n{name}: {len(sizes)} groups, by size {dict(sorted(Counter(sizes.tolist()).items()))}")
        for i, j in np.argwhere(np.triu(rule.matches(bits[0], cosines[0]), 1)):
            a, b = photos[i], photos[j]
            scene = "one scene" if a.scene == b.scene else "TWO SCENES"
            labels = "" if a.label == b.label else ", two labels"
            print(f"  {a.file} {b.file}: {bits[0, i, j]} bits, cosine {cosines[0, i, j]:.3f}, {scene}{labels}")


RULES = {"COPY": COPY, "LOOK_ALIKE": LOOK_ALIKE, "SAME_SHOT": SAME_SHOT}


def comparisons(fingerprints, embeddings):
    """Every photo with every version of every photo: bits and cosines, [versions, n, n]."""
    units = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    n, count = fingerprints.shape[:2]
    bits, cosines = np.empty((count, n, n), np.uint8), np.empty((count, n, n), np.float32)
    for version in range(count):
        a, b = fingerprints[:, None, 0], fingerprints[None, :, version]
        tries = [a[..., 0] ^ b[..., 0], a[..., 0] ^ b[..., 1], a[..., 1] ^ b[..., 0]]
        bits[version] = np.min([np.bitwise_count(t) for t in tries], axis=0)
        cosines[version] = units[:, 0] @ units[:, version].T
    return bits, cosines


def different_photos(photos):
    scenes = np.array([photo.scene or photo.file for photo in photos])
    different = scenes[:, None] != scenes[None, :]
    rows = {photo.file: row for row, photo in enumerate(photos)}
    for a, b in SAME_AFTER_ALL:
        if a in rows and b in rows:
            different[rows[a], rows[b]] = different[rows[b], rows[a]] = False
    return different


if __name__ == "__main__":
    main()
