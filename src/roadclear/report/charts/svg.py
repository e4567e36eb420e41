"""matplotlib figures as SVG that a page takes up: its font, its text colour, its light or dark.

A chart is drawn in marked colours, which become CSS afterwards: what is drawn in `INK` has the colour of the text
around it, a series has the custom property `--series-1`, `--series-2` or `--series-3`, with a colour of Okabe and Ito
(2008) where the page does not set it. Text stays text. Nothing depends on the clock or on the user's matplotlibrc.
"""

import hashlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
SERIES = ("#010204", "#010205", "#010206")
DASHES = ("-", "--", ":")
MARKERS = ("o", "s", "^")

WIDTH, HEIGHT = 400, 310
"""Of every chart's view box; one unit is one pixel where it is shown 400 pixels wide."""

_CSS = {
    INK: "currentColor",
    SERIES[0]: "var(--series-1, #0072b2)",
    SERIES[1]: "var(--series-2, #d55e00)",
    SERIES[2]: "var(--series-3, #009e73)",
}
# What matplotlib writes for a file of its own would reach beyond the chart in a page: a style for all elements, and ids
# that every chart has. Its list of fonts gives way to the font of the page.
_REWRITTEN = (
    (r"(?s)^.*?<svg[^>]*>\s*<defs>\s*<style.*?</defs>|</svg>\s*$", ""),
    (r'<g id="[^"]*">', "<g>"),
    (r"font-family: [^;\"]*; ?", ""),
    (r' transform="rotate\(-0 [^"]*"', ""),
    (r"\s*\n\s*", "\n"),
)
_UNITS_PER_INCH = 72
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "roadclear",
    "text.parse_math": False,
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "legend.fontsize": 11.5,
    "legend.handlelength": 2.4,
    "lines.linewidth": 2,
    "lines.markersize": 6,
    "hatch.color": INK,
}


# That it looks for fonts, or where it keeps what it found, is of no interest to those who wait for a report.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())


@contextmanager
def drawing() -> Iterator[None]:
    """The style of every chart, while it is drawn and saved."""
    import matplotlib.style

    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # The page's font draws the letters; that the one used for measuring lacks some is of no interest.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def new_figure(*heights: int, left: int = 58, top: int = 34, bottom: int = 48) -> "tuple[Figure, tuple[Axes, ...]]":
    """A figure with one plot, or several above each other that share the x axis.

    Args:
        heights: of the plots in relation to each other; none for a single plot.
        left: room for the y axis, in units of the view box.
        top: room for the title.
        bottom: room for the x axis.
    """
    from matplotlib.figure import Figure

    figure = Figure((WIDTH / _UNITS_PER_INCH, HEIGHT / _UNITS_PER_INCH), facecolor="none", edgecolor="none")
    plots = figure.subplots(
        len(heights) or 1,
        sharex=True,
        squeeze=False,
        gridspec_kw={
            "height_ratios": heights or (1,),
            "left": left / WIDTH,
            "right": 1 - 14 / WIDTH,
            "top": 1 - top / HEIGHT,
            "bottom": bottom / HEIGHT,
            "hspace": 0.16,
        },
    )
    return figure, tuple(plots[:, 0])


def to_svg(figure: "Figure", name: str, title: str, description: str) -> str:
    """A figure as an `svg` element that stands in an HTML page, or alone in a file.

    Args:
        figure: drawn within `drawing`, and saved there.
        name: of the chart; its ids begin with it and with a hash of its content.
        title: what it is.
        description: what it shows, in words, for those who do not see it.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    body = file.getvalue()
    for pattern, replacement in _REWRITTEN:
        body = re.sub(pattern, replacement, body)
    for colour, css in _CSS.items():
        body = body.replace(colour, css)
    prefix = f"{name}-{hashlib.sha256(body.encode()).hexdigest()[:8]}"
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" '
        f'aria-labelledby="{prefix}-title" aria-describedby="{prefix}-description" '
        f'style="stroke-linejoin: round; stroke-linecap: butt; font-family: inherit">\n'
        f'<title id="{prefix}-title">{escape(title)}</title>\n'
        f'<desc id="{prefix}-description">{escape(description)}</desc>\n{body}</svg>'
    )
