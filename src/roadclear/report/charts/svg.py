"""SVG charts that take font, text colour, and light or dark mode from the page around them.

A chart has a title, a description in words, and one or more plots. Text stays text and has the colour of the page. A
series has the custom property `--series-1`, `--series-2` or `--series-3`. The default colours are those of Okabe and
Ito (2008).
"""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import ArrayLike

INK = "currentColor"
SERIES = ("var(--series-1, #0072b2)", "var(--series-2, #d55e00)", "var(--series-3, #009e73)")
DASHES = ("", "7.4 3.2", "2 3.3")
MARKERS = ("o", "s", "^")

WIDTH, HEIGHT = 400, 310
"""Size of every chart's view box. One unit is one pixel in a chart that is shown 400 pixels wide."""

LEFT, RIGHT, TOP, BOTTOM = 58, WIDTH - 14, 34, HEIGHT - 48
"""Edges of a plot that fills the chart, in units of the view box."""

_TICK, _SMALL, _LABEL, _TITLE = 12, 11, 12, 13
_STEPS = (1.0, 2.0, 5.0, 10.0)
# A curve of a hundred thousand photos has as many points, most of them in one place.
_MANY_POINTS = 2_000
_LEAST_STEP = 0.5
_HATCH = "hatch"


@dataclass
class Chart:
    """A chart with plots.

    Attributes:
        name: name of the chart. Its ids begin with the name and a hash of the content.
        title: title of the chart.
        description: what the chart shows in words, for people who cannot see the chart.
    """

    name: str
    title: str
    description: str
    elements: list[str] = field(default_factory=list)

    def svg(self) -> str:
        """Write the chart as an `svg` element for an HTML page or for a file of its own."""
        heading = text(LEFT, 15, self.title, size=_TITLE, weight="bold")
        body = "\n".join([heading, *self.elements])
        if _HATCH in body:
            body = f"{_hatch_pattern()}\n{body}"
        prefix = f"{self.name}-{hashlib.sha256(body.encode()).hexdigest()[:8]}"
        body = re.sub(r'(\bid="|url\(#)', rf"\g<1>{prefix}-", body)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" '
            f'aria-labelledby="{prefix}-title" aria-describedby="{prefix}-description" '
            f'style="stroke-linejoin: round; font-family: inherit">\n'
            f'<title id="{prefix}-title">{escape(self.title)}</title>\n'
            f'<desc id="{prefix}-description">{escape(self.description)}</desc>\n{body}\n</svg>'
        )

    def legend(self, entries: Sequence[tuple[str, str, str, str]], top: float, in_a_row: bool = False) -> None:
        """Name the series: (name, colour, dashes, marker) each, below each other, or beside each other."""
        for number, (name, colour, dashes, marker) in enumerate(entries):
            x, y = (LEFT + 160 * number, top) if in_a_row else (LEFT, top + 16 * number)
            self.elements.append(_path([x, x + 28], [y, y], colour, 2, dashes))
            self.elements += [_marker(x + 14, y, colour, marker)] if marker else []
            self.elements.append(text(x + 36, y + 4, name, size=11.5))


@dataclass
class Plot:
    """A rectangle of a chart with a horizontal and a vertical axis.

    Attributes:
        chart: chart that the plot is drawn in.
        x: values at the left and the right edge.
        y: values at the lower and the upper edge.
        top: upper edge, in units of the view box.
        bottom: lower edge, in units of the view box.
    """

    chart: Chart
    x: tuple[float, float]
    y: tuple[float, float]
    top: float = TOP
    bottom: float = BOTTOM

    def across(self, values: ArrayLike) -> list[float]:
        """Horizontal places of values, in units of the view box."""
        return _scaled(values, self.x, LEFT, RIGHT)

    def up(self, values: ArrayLike) -> list[float]:
        """Vertical places of values, in units of the view box."""
        return _scaled(values, self.y, self.bottom, self.top)

    def axes(self, x_ticks: "Ticks", y_ticks: "Ticks", x_label: str = "", y_label: str = "") -> None:
        """Draw the axes with a pale grid. An axis without a label keeps its ticks; empty ticks name nothing."""
        add = self.chart.elements.append
        for place, name in zip(self.across(x_ticks.values), x_ticks.names, strict=True):
            add(_path([place, place], [self.bottom, self.top], INK, 0.8, opacity=0.15))
            add(_path([place, place], [self.bottom, self.bottom + 3.5], INK, 0.8))
            add(text(place, self.bottom + 16, name, anchor="middle"))
        for place, name in zip(self.up(y_ticks.values), y_ticks.names, strict=True):
            add(_path([LEFT, RIGHT], [place, place], INK, 0.8, opacity=0.15))
            add(_path([LEFT - 3.5, LEFT], [place, place], INK, 0.8))
            add(text(LEFT - 7, place + 4, name, anchor="end"))
        add(_path([LEFT, LEFT, RIGHT], [self.top, self.bottom, self.bottom], INK, 0.8))
        if x_label:
            add(text((LEFT + RIGHT) / 2, self.bottom + 38, x_label, anchor="middle", size=_LABEL))
        if y_label:
            middle = (self.top + self.bottom) / 2
            turned = text(0, 0, y_label, anchor="middle", size=_LABEL)
            add(f'<g transform="translate(14 {_n(middle)}) rotate(-90)">{turned}</g>')

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        colour: str,
        dashes: str = "",
        marker: str = "",
        width: float = 2,
        opacity: float = 1,
    ) -> None:
        """Join points by a line, with a marker at each point if one is named."""
        across, up = self.across(x), self.up(y)
        self.chart.elements.append(_path(across, up, colour, width, dashes, opacity))
        if marker:
            self.chart.elements += [_marker(*place, colour, marker) for place in zip(across, up, strict=True)]

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str) -> None:
        """Shade what lies between two curves."""
        across = self.across(x)
        outline = [*zip(across, self.up(low), strict=True), *reversed([*zip(across, self.up(high), strict=True)])]
        points = " ".join(f"{_n(a)},{_n(b)}" for a, b in _thinned(outline))
        self.chart.elements.append(f'<polygon points="{points}" fill="{colour}" fill-opacity="0.16"/>')

    def bars(self, middles: ArrayLike, heights: ArrayLike, width: float, colour: str, hatched: bool = False) -> None:
        """Draw bars from 0. Hatching tells the bars of a second series apart without their colour."""
        zero = self.up([0.0])[0]
        wide = width * (RIGHT - LEFT) / (self.x[1] - self.x[0])
        for middle, end in zip(self.across(middles), self.up(heights), strict=True):
            if abs(end - zero) < 0.01:
                continue
            place = f'x="{_n(middle - wide / 2)}" y="{_n(min(end, zero))}" width="{_n(wide)}" '
            place += f'height="{_n(abs(end - zero))}"'
            self.chart.elements.append(f'<rect {place} fill="{colour}"/>')
            if hatched:
                self.chart.elements.append(f'<rect {place} fill="url(#{_HATCH})"/>')

    def error_bars(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str) -> None:
        """Draw a thin vertical line with caps from the lower to the upper end at each x."""
        for place, bottom, top in zip(self.across(x), self.up(low), self.up(high), strict=True):
            self.chart.elements.append(_path([place, place], [bottom, top], colour, 1))
            for end in (bottom, top):
                self.chart.elements.append(_path([place - 2, place + 2], [end, end], colour, 1))

    def vertical(self, x: float, width: float = 1.2, opacity: float = 1) -> None:
        """Draw a line from the lower to the upper edge."""
        (place,) = self.across([x])
        self.chart.elements.append(_path([place, place], [self.bottom, self.top], INK, width, opacity=opacity))

    def shade(self, low: float, high: float) -> None:
        """Shade the plot between two values of x."""
        left, right = self.across([low, high])
        self.chart.elements.append(
            f'<rect x="{_n(left)}" y="{_n(self.top)}" width="{_n(right - left)}" height="{_n(self.bottom - self.top)}" '
            f'fill="{INK}" fill-opacity="0.1"/>'
        )

    def name_line(self, x: float, share: float, name: str) -> None:
        """Write the name of a vertical line at x, at a share of the plot's height, on the side with room."""
        (place,) = self.across([x])
        on_the_right = x < (self.x[0] + self.x[1]) / 2
        y = self.bottom - share * (self.bottom - self.top)
        anchor = "start" if on_the_right else "end"
        self.chart.elements.append(text(place + (5 if on_the_right else -5), y, name, anchor, _SMALL))

    def mark(self, x: float, y: float, name: str) -> None:
        """Draw a point with its name, on the side with room."""
        (across,), (up,) = self.across([x]), self.up([y])
        self.chart.elements.append(_marker(across, up, INK, "o"))
        on_the_right = x < (self.x[0] + self.x[1]) / 2
        anchor = "start" if on_the_right else "end"
        self.chart.elements.append(text(across + (9 if on_the_right else -9), up + 18, name, anchor, _SMALL))

    def write(self, x: float, y: float, words: str, anchor: str = "start", size: float = _SMALL) -> None:
        """Write words at a place in the plot's values."""
        (across,), (up,) = self.across([x]), self.up([y])
        self.chart.elements.append(text(across, up, words, anchor, size))


@dataclass(frozen=True)
class Ticks:
    """Values on an axis with their names."""

    values: tuple[float, ...]
    names: tuple[str, ...]


def ticks(low: float, high: float, most: int, form: str = "g", integers: bool = False) -> Ticks:
    """Choose round values on an axis, in equal steps of 1, 2 or 5 times a power of ten.

    Args:
        low: lower end of the axis.
        high: upper end of the axis.
        most: maximum number of steps.
        form: format of the names.
        integers: whether the values must be whole numbers.
    """
    span = max(high - low, 1e-12)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * digit for digit in _STEPS if span / (power * digit) <= most + 1e-9)
    step = max(1.0, float(math.ceil(step))) if integers else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = tuple(round(step * k, 12) for k in range(first, last + 1))
    return Ticks(values, tuple(format(value, form) for value in values))


def text(x: float, y: float, words: str, anchor: str = "start", size: float = _TICK, weight: str = "normal") -> str:
    """Write a `text` element."""
    bold = f' font-weight="{weight}"' if weight != "normal" else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" font-size="{_n(size)}" fill="{INK}"{bold}>'
        f"{escape(words)}</text>"
    )


def _scaled(values: ArrayLike, ends: tuple[float, float], first: float, last: float) -> list[float]:
    share = (np.asarray(values, dtype=np.float64) - ends[0]) / (ends[1] - ends[0])
    return [float(place) for place in first + share * (last - first)]


def _path(
    across: Iterable[float], up: Iterable[float], colour: str, width: float, dashes: str = "", opacity: float = 1
) -> str:
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in _thinned([*zip(across, up, strict=True)]))
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    pale = f' stroke-opacity="{_n(opacity)}"' if opacity < 1 else ""
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{_n(width)}"{dashed}{pale}/>'


def _thinned(points: "Sequence[tuple[float, float]]") -> "Sequence[tuple[float, float]]":
    """Leave out points of a long curve that are less than half a unit from the last that is kept."""
    if len(points) <= _MANY_POINTS:
        return points
    kept = [points[0]]
    for x, y in points:
        if abs(x - kept[-1][0]) + abs(y - kept[-1][1]) >= _LEAST_STEP:
            kept.append((x, y))
    return [*kept, points[-1]]


def _marker(x: float, y: float, colour: str, kind: str) -> str:
    if kind == "o":
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="3.4" fill="{colour}"/>'
    if kind == "s":
        return f'<rect x="{_n(x - 3)}" y="{_n(y - 3)}" width="6" height="6" fill="{colour}"/>'
    points = " ".join(f"{_n(x + a)},{_n(y + b)}" for a, b in ((0, -3.8), (3.6, 3), (-3.6, 3)))
    return f'<polygon points="{points}" fill="{colour}"/>'


def _hatch_pattern() -> str:
    line = _path([0, 0], [0, 5], INK, 1)
    return (
        f'<defs><pattern id="{_HATCH}" width="5" height="5" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)">{line}</pattern></defs>'
    )


def _n(value: float) -> str:
    """A number with at most two decimals, as short as possible."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
