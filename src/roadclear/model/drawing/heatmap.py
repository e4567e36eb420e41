"""Heatmap picture: a photo with the contribution of each cell to the prediction, a legend and a caption."""

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from roadclear.images.thumbnails import SIDE, at_size
from roadclear.model.drawing.lettering import fit, font, text_width
from roadclear.model.drawing.overlay import colour_bar, lay_over, scale_ticks

if TYPE_CHECKING:
    from roadclear.model.metadata import ModelFacts
    from roadclear.model.prediction import Explanation

_WIDTH = SIDE
_MARGIN = 24
_LARGE, _SMALL = 20, 15
_INK, _SOFT, _PAPER = (27, 27, 27), (90, 90, 90), (255, 255, 255)
_BAR = 14
_LEGEND = 84
_CAPTION = 88


def heatmap_picture(
    photo: Image.Image, explanation: "Explanation", facts: "ModelFacts", true_label: str | None = None
) -> Image.Image:
    """Draw a photo with its heatmap, a colour bar in logits, and the prediction.

    Args:
        photo: upright photo, RGB, in its own proportions. Its longer side is scaled to 640 pixels.
        explanation: explanation of the photo's prediction.
        facts: facts about the model.
        true_label: true label, or None where it is unknown.

    Returns:
        RGB picture, 688 pixels wide.
    """
    photo = at_size(photo, SIDE)
    limit = scale_ticks(explanation.heatmap)[-1]
    height = _MARGIN + photo.height + _LEGEND + _CAPTION
    picture = Image.new("RGB", (_WIDTH + 2 * _MARGIN, height), _PAPER)
    left = _MARGIN + (_WIDTH - photo.width) // 2
    picture.paste(lay_over(photo, explanation.heatmap, limit), (left, _MARGIN))
    _legend(picture, _MARGIN + photo.height + 12, explanation, facts)
    _caption(ImageDraw.Draw(picture), _MARGIN + photo.height + _LEGEND, explanation, facts, true_label)
    return picture


def _legend(picture: Image.Image, top: int, explanation: "Explanation", facts: "ModelFacts") -> None:
    """Draw the colour bar with its ticks, and the label of each end."""
    draw = ImageDraw.Draw(picture)
    picture.paste(colour_bar(_WIDTH, _BAR), (_MARGIN, top))
    ticks = scale_ticks(explanation.heatmap)
    for k, tick in enumerate(ticks):
        x = _MARGIN + round(k * (_WIDTH - 1) / (len(ticks) - 1))
        draw.line([(x, top + _BAR), (x, top + _BAR + 4)], _INK)
        draw.text((x, top + _BAR + 8), f"{tick:+g}" if tick else "0", _INK, font(_SMALL), "mt")
    _legend_words(draw, top + _BAR + 30, explanation, facts)


def _legend_words(draw: ImageDraw.ImageDraw, top: int, explanation: "Explanation", facts: "ModelFacts") -> None:
    rows, columns = explanation.heatmap.shape
    middle = f"logits, each of {rows} x {columns} places"
    side = (_WIDTH - text_width(middle, _SMALL)) // 2 - _MARGIN
    draw.text((_MARGIN, top), fit(f"speaks for {facts.negative}", _SMALL, side), _INK, font(_SMALL), "lt")
    draw.text((_MARGIN + _WIDTH // 2, top), middle, _SOFT, font(_SMALL), "mt")
    draw.text((_MARGIN + _WIDTH, top), fit(f"speaks for {facts.positive}", _SMALL, side), _INK, font(_SMALL), "rt")


def _caption(
    draw: ImageDraw.ImageDraw, top: int, explanation: "Explanation", facts: "ModelFacts", true_label: str | None
) -> None:
    prediction = explanation.prediction
    said = f"{prediction.answer}    P({facts.positive}) = {prediction.probability:.3f}"
    if true_label is not None:
        said += f"    true label: {true_label}"
    if prediction.unfamiliar:
        said += "    unfamiliar"
    by_places, by_none = f"{explanation.heatmap.sum():+.2f}", f"{explanation.offset:+.2f}"
    sums = f"logit {explanation.logit:+.2f} = {by_places} added by the places, {by_none} by none (offset)"
    for y, text, size, ink in (
        (top, said, _LARGE, _INK),
        (top + 30, sums, _SMALL, _INK),
        (top + 54, "" if prediction.file is None else str(prediction.file), _SMALL, _SOFT),
    ):
        draw.text((_MARGIN, y), fit(text, size, _WIDTH), ink, font(size), "la")
