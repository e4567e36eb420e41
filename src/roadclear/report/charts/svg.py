"""matplotlib figures as SVG that takes font, text colour, and light or dark mode from the page around it.

A chart is drawn in marker colours, which are replaced by CSS afterwards. `INK` becomes the text colour of the page. A
series gets the custom property `--series-1`, `--series-2` or `--series-3`; the default colours are those of Okabe and
Ito (2008). Text stays text. Nothing depends on the clock or on the user's matplotlibrc.
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
"""Size of every chart's view box. One unit is one pixel in a chart that is shown 400 pixels wide."""

_CSS = {
    INK: "currentColor",
    SERIES[0]: "var(--series-1, #0072b2)",
    SERIES[1]: "var(--series-2, #d55e00)",
    SERIES[2]: "var(--series-3, #009e73)",
}
# matplotlib writes SVG for a file of its own. In a page its style would apply to all elements, and its ids would clash
# between charts. Its list of fonts is removed so that the font of the page applies.
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


# matplotlib logs its search for fonts, which does not concern somebody who waits for a report.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())


@contextmanager
def drawing() -> Iterator[None]:
    """Apply the style of every chart while the chart is drawn and saved."""
    import matplotlib.style

    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # The font of the page draws the letters, so a letter missing in the font for measuring does not matter.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def new_figure(*heights: int, left: int = 58, top: int = 34, bottom: int = 48) -> "tuple[Figure, tuple[Axes, ...]]":
    """Make a figure with one plot, or with several plots above each other that share the x axis.

    Args:
        heights: relative heights of the plots; none for a single plot.
        left: room for the y axis, in units of the view box.
        top: room for the title, in units of the view box.
        bottom: room for the x axis, in units of the view box.
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
    """Turn a figure into an `svg` element for an HTML page or for a file of its own.

    Args:
        figure: figure that was drawn within `drawing`. The call must be within `drawing`, too.
        name: name of the chart. Its ids begin with the name and a hash of the content.
        title: title of the chart.
        description: what the chart shows in words, for people who cannot see the chart.
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
