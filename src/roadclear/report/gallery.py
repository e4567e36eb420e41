"""Heatmap pictures in a folder: of every photo, or of the worst mistakes with a page that shows them."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from roadclear.errors import PhotoError
from roadclear.images.decode import UnreadablePhoto
from roadclear.images.thumbnails import data_uri, jpeg_bytes, view_photo
from roadclear.model.drawing.heatmap import heatmap_picture
from roadclear.model.drawing.overlay import lay_over, scale_ticks
from roadclear.model.prediction import Explanation, Prediction
from roadclear.model.predictor import Model
from roadclear.utils.files import write_file, write_folder
from roadclear.utils.html import html_environment
from roadclear.utils.temporary import origin_of
from roadclear.utils.threads import ordered_map, worker_threads

MOST_MISTAKES = 40
INDEX = "index.html"

_QUALITY = 90
_PAGE_QUALITY = 75
_NAME_LENGTH = 60


@dataclass(frozen=True)
class _Drawn:
    """A mistake's pictures as JPEG.

    Attributes:
        file: heatmap picture with legend and caption, for its own file.
        photo: the photo, for the page.
        map: the grey photo under its heatmap, for the page.
        limit: end of the map's scale, in log-odds for each place.
    """

    file: bytes
    photo: bytes
    map: bytes
    limit: float


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction.

    Attributes:
        prediction: prediction of the model.
        true_label: true label of the photo.
        assurance: predicted probability of the wrong label, in [0, 1].
    """

    prediction: Prediction
    true_label: str
    assurance: float


def write_heatmaps(
    model: Model, photos: Sequence[str | os.PathLike[str]], folder: Path
) -> Iterator[Prediction | UnreadablePhoto]:
    """Predict photos on all cores, and write a heatmap picture of each photo, named by `heatmap_name`.

    One pass of the network gives prediction and heatmap. Memory does not grow with the number of photos. A kill leaves
    no half-written picture.

    Args:
        model: model that predicts.
        photos: paths of the photos.
        folder: folder of the pictures. The folder is made where it is missing.

    Raises:
        OutputError: a picture cannot be written.
    """

    def write(explained: Explanation | UnreadablePhoto) -> Prediction | UnreadablePhoto:
        if isinstance(explained, UnreadablePhoto):
            return explained
        prediction = explained.prediction
        try:
            picture = heatmap_picture(view_photo(_path(prediction)), explained, model.facts)
            write_file(folder / heatmap_name(Path(origin_of(_path(prediction)))), _jpeg(picture))
        except PhotoError as error:  # the photo has changed since the prediction
            return UnreadablePhoto(prediction.file, error.reason)
        return prediction

    return ordered_map(write, model.explain_many(photos), worker_threads())


def heatmap_name(photo: Path) -> str:
    """Name a photo's heatmap picture: the photo's own name, and 12 digits of the SHA-256 of its path.

    The same path always has the same name. Photos of one name in two folders have two names.
    """
    digits = hashlib.sha256(os.fsencode(photo)).hexdigest()[:12]
    plain = re.sub(r"[^\w.-]+", "_", os.fsencode(photo.stem).decode("ascii", errors="replace"), flags=re.ASCII)
    return f"{plain[:_NAME_LENGTH].lstrip('.') or '_'}-{digits}.jpg"


def find_mistakes(predictions: Iterable[tuple[Prediction, str]], positive: str) -> list[Mistake]:
    """Find the predictions with a wrong label, the most confident first. Unsure predictions count, too.

    Args:
        predictions: predictions with true labels.
        positive: the positive label.
    """
    mistakes = [
        Mistake(said, true, said.probability if true != positive else 1 - said.probability)
        for said, true in predictions
        if said.label != true
    ]
    return sorted(mistakes, key=lambda mistake: (-mistake.assurance, _path(mistake.prediction)))


def write_gallery(folder: Path, model: Model, mistakes: Sequence[Mistake], photos: int) -> None:
    """Write heatmap pictures of the first 40 mistakes, named by rank, and a page with each photo beside its map.

    Args:
        folder: folder to make, whole or not at all.
        model: model that made the mistakes.
        mistakes: the mistakes, the most confident first. Without mistakes the page says so.
        photos: number of photos that were predicted.

    Raises:
        OutputError: the folder exists, or cannot be written.
    """
    shown = mistakes[:MOST_MISTAKES]
    drawn = list(ordered_map(lambda mistake: _drawn_mistake(model, mistake), shown, worker_threads()))
    files = {
        f"{rank:02}-{heatmap_name(_path(mistake.prediction))}": pictures.file
        for rank, (mistake, pictures) in enumerate(zip(shown, drawn, strict=True), start=1)
        if pictures is not None
    }
    page = _page(model, shown, drawn, len(mistakes), photos)
    write_folder(folder, {**files, INDEX: page.encode()})


def _page(model: Model, shown: Sequence[Mistake], drawn: Sequence[_Drawn | None], mistakes: int, photos: int) -> str:
    figures = [
        {
            "file": str(mistake.prediction.file),
            "said": mistake.prediction.label,
            "unsure": mistake.prediction.unsure,
            "true": mistake.true_label,
            "probability": mistake.prediction.probability,
            "photo": pictures and data_uri(pictures.photo),
            "map": pictures and data_uri(pictures.map),
            "limit": pictures and pictures.limit,
        }
        for mistake, pictures in zip(shown, drawn, strict=True)
    ]
    template = html_environment("roadclear.report").get_template("gallery.html.j2")
    return template.render(facts=model.facts, figures=figures, mistakes=mistakes, photos=photos)


def _drawn_mistake(model: Model, mistake: Mistake) -> _Drawn | None:
    """Draw a mistake, or return None where the photo has changed since the prediction."""
    path = _path(mistake.prediction)
    try:
        explanation = model.explain(path)
        photo = view_photo(path)
    except PhotoError:
        return None
    limit = scale_ticks(explanation.heatmap)[-1]
    overlay = lay_over(photo, explanation.heatmap, limit)
    whole = heatmap_picture(photo, explanation, model.facts, mistake.true_label)
    return _Drawn(_jpeg(whole), jpeg_bytes(photo, _PAGE_QUALITY), jpeg_bytes(overlay, _PAGE_QUALITY), limit)


def _path(prediction: Prediction) -> Path:
    """Path of a predicted photo. Galleries show files."""
    if prediction.file is None:
        raise ValueError("expected predictions of photos that were given as paths, found one without: give paths")
    return prediction.file


def _jpeg(picture: Image.Image) -> bytes:
    """JPEG is a sixth of the size of a PNG and faster to write."""
    return jpeg_bytes(picture, _QUALITY, sharp_colour=True)
