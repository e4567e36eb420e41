"""Boxes in a street: houses and cars, with their visible sides and details."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from roadscenes.canvas import Canvas, Place
from roadscenes.chance import Chance
from roadscenes.colours import (
    BLACK,
    CARS,
    CLOTHES,
    GLASS,
    LAMPLIGHT,
    ROOFS,
    STEEL,
    WALLS,
    WHITE,
    Colour,
    mixed,
    shaded,
    varied,
)

Side = tuple[Place, Place, Place, Place]
"""Corners of a side, seen from outside: bottom left, bottom right, top right, top left."""

Span = tuple[float, float]

_SHADES = {"left": 0.86, "right": 0.94, "near": 1.0, "far": 0.8, "top": 1.08}


def sides(canvas: Canvas, across: Span, up: Span, along: Span, taper: Span = (0, 0)) -> Iterator[tuple[str, Side]]:
    """Yield the visible sides of a box, each with its name.

    Args:
        canvas: canvas with the camera.
        across: extent of the box in u, in metres.
        up: extent of the box in w, in metres.
        along: extent of the box in v, in metres.
        taper: inset of the top on each side, across and along, in metres.
    """
    (u0, u1), (w0, w1), (v0, v1), (tu, tv) = across, up, along, taper
    bend, camera = canvas.camera.bend, canvas.camera
    middle = bend * ((v0 + v1) / 2) ** 2
    a, b, c, d = (u0, w0, v0), (u1, w0, v0), (u1, w0, v1), (u0, w0, v1)
    e, f, g, h = ((u0 + tu, w1, v0 + tv), (u1 - tu, w1, v0 + tv), (u1 - tu, w1, v1 - tv), (u0 + tu, w1, v1 - tv))
    if v1 < 0:
        yield "far", (c, d, h, g)
    if camera.u < u0 + middle:
        yield "left", (d, a, e, h)
    if camera.u > u1 + middle:
        yield "right", (b, c, g, f)
    if v0 > 0:
        yield "near", (a, b, f, e)
    if camera.above > w1:
        yield "top", (e, f, g, h)


def inset(side: Side, left: float, right: float, bottom: float, top: float) -> Side:
    """Cut a rectangle out of a side, with edges as shares of the side."""
    (u0, w0, v0), (u1, w1, v1), (u2, w2, v2), (u3, w3, v3) = side

    def column(x: float) -> tuple[Place, Place]:
        """Lower and upper corner at a share of the width."""
        u, w, v = u0 + (u1 - u0) * x, w0 + (w1 - w0) * x, v0 + (v1 - v0) * x
        up, wp, vp = u3 + (u2 - u3) * x - u, w3 + (w2 - w3) * x - w, v3 + (v2 - v3) * x - v
        return (u + up * bottom, w + wp * bottom, v + vp * bottom), (u + up * top, w + wp * top, v + vp * top)

    (low_left, high_left), (low_right, high_right) = column(left), column(right)
    return low_left, low_right, high_right, high_left


def draw_house(canvas: Canvas, across: Span, along: Span, floors: int, chance: Chance) -> None:
    """Draw a house with windows or a shop on the ground floor, and a flat or sloping roof."""
    wall, roof = varied(chance.pick(WALLS), chance), varied(chance.pick(ROOFS), chance)
    frame = chance.pick((WHITE, WHITE, shaded(wall, 0.7), (70, 66, 62)))
    shop, sloping = chance.happens(0.4), floors <= 4 and chance.happens(0.7)
    awning = varied(chance.pick(CLOTHES), chance)
    storey = chance.between(2.8, 3.5)
    window = _WindowStyle(chance.between(0.34, 0.6), chance.between(0.42, 0.62), frame)
    eave = floors * storey + 0.4
    lit = 0.55 if canvas.weather.lamps else 0.0
    if sloping:
        _draw_roof(canvas, across, (eave, eave + chance.between(1.5, 3.2)), along, roof, wall)
    for name, side in sides(canvas, across, (0, eave), along):
        canvas.face(side, shaded(wall, _SHADES[name] if name != "near" else 0.8))
        if name == "top":
            continue
        canvas.face(inset(side, 0, 1, 0, 0.4 / eave), shaded(wall, 0.62))
        if not sloping:
            canvas.face(inset(side, -0.01, 1.01, 1 - 0.35 / eave, 1), shaded(wall, 0.7))
        length = abs(side[0][2] - side[1][2]) + abs(side[0][0] - side[1][0])
        columns = max(1, round(length / chance.between(2.4, 3.4)))
        for floor in range(floors):
            low = (0.4 + floor * storey) / eave
            high = (0.4 + (floor + 1) * storey) / eave
            if floor == 0 and shop:
                _draw_shop(canvas, side, low, high, awning)
                continue
            for column in range(columns):
                glowing = chance.happens(lit)
                left, right = column / columns, (column + 1) / columns
                _draw_window(canvas, side, (left, right), (low, high), window, glowing)


class _WindowStyle(NamedTuple):
    """Looks of a house's windows: width and height as shares of the space of a window, and the frame's colour."""

    width: float
    height: float
    frame: Colour


def _draw_window(canvas: Canvas, side: Side, across: Span, up: Span, style: _WindowStyle, glowing: bool) -> None:
    x, y = (across[0] + across[1]) / 2, up[0] + (up[1] - up[0]) * 0.52
    half, tall = (across[1] - across[0]) * style.width / 2, (up[1] - up[0]) * style.height / 2
    frame = inset(side, x - half * 1.2, x + half * 1.2, y - tall * 1.12, y + tall * 1.12)
    if not canvas.face(frame, style.frame):
        return  # half of all windows lie beside the picture
    glass = LAMPLIGHT if glowing else GLASS
    canvas.face(inset(side, x - half, x + half, y - tall, y + tall), glass, glowing)
    canvas.face(inset(side, x - half, x - half * 0.1, y, y + tall), mixed(glass, WHITE, 0.25), glowing)


def _draw_shop(canvas: Canvas, side: Side, low: float, high: float, awning: Colour) -> None:
    tall = high - low
    glowing = canvas.weather.lamps
    canvas.face(inset(side, 0.04, 0.96, low, low + tall * 0.72), shaded(awning, 0.5))
    for left, right in ((0.07, 0.42), (0.46, 0.6), (0.64, 0.93)):
        pane = LAMPLIGHT if glowing else mixed(GLASS, BLACK, 0.25)
        canvas.face(inset(side, left, right, low + tall * 0.06, low + tall * 0.66), pane, glowing)
    canvas.face(inset(side, 0.02, 0.98, low + tall * 0.68, low + tall * 0.92), awning)
    for stripe in range(0, 8, 2):
        left = 0.02 + 0.12 * stripe
        canvas.face(inset(side, left, left + 0.12, low + tall * 0.68, low + tall * 0.8), mixed(awning, WHITE, 0.75))


def _draw_roof(canvas: Canvas, across: Span, up: Span, along: Span, colour: Colour, wall: Colour) -> None:
    """Draw a roof with a ridge along the street: slopes and gable."""
    (u0, u1), (eave, top), (v0, v1) = across, up, along
    ridge = (u0 + u1) / 2
    over = 0.35
    left = [(u0 - over, eave - 0.2, v0), (u0 - over, eave - 0.2, v1), (ridge, top, v1), (ridge, top, v0)]
    right = [(u1 + over, eave - 0.2, v0), (u1 + over, eave - 0.2, v1), (ridge, top, v1), (ridge, top, v0)]
    seen_from_left = canvas.camera.u < ridge
    canvas.face(right if seen_from_left else left, shaded(colour, 0.75))
    canvas.face([(u0, eave, v0), (u1, eave, v0), (ridge, top, v0)], shaded(wall, 0.78))
    canvas.face(left if seen_from_left else right, colour)


def draw_car(canvas: Canvas, u: float, v: float, chance: Chance) -> None:
    """Draw a car or a van along the street, with its middle at (u, v)."""
    colour = varied(chance.pick(CARS), chance)
    van = chance.happens(0.25)
    length, half = (5.2, 1.0) if van else (chance.between(3.7, 4.6), 0.88)
    across, along = (u - half, u + half), (v - length / 2, v + length / 2)
    belt, roof = (1.15, 2.3) if van else (chance.between(0.82, 0.95), chance.between(1.4, 1.6))
    leaving = chance.happens(0.5)
    for name, side in sides(canvas, across, (0.28, belt), along, (0.04, 0.05)):
        canvas.face(side, shaded(colour, _SHADES[name]))
        if name in ("near", "far"):
            _draw_end(canvas, side, leaving)
        elif name != "top":
            _draw_wheels(canvas, side, shaded(colour, 0.6))
    setback = (0.35, 0.3) if van else (0.75, 0.55)
    cabin = (along[0] + setback[0] * 0.8, along[1] - setback[0])
    for name, side in sides(canvas, (u - half + 0.07, u + half - 0.07), (belt, roof), cabin, (0.14, setback[1])):
        canvas.face(side, shaded(colour, _SHADES[name]))
        if name == "top":
            continue
        panes = ((0.08, 0.92),) if name in ("near", "far") else ((0.08, 0.48), (0.53, 0.92))
        for left, right in panes:
            canvas.face(inset(side, left, right, 0.12, 0.86), mixed(GLASS, BLACK, 0.45))
            canvas.face(inset(side, left, left + 0.12, 0.3, 0.86), GLASS)


def _draw_end(canvas: Canvas, side: Side, leaving: bool) -> None:
    """Draw bumper, number plate and lights of a car's front or back."""
    canvas.face(inset(side, 0, 1, 0, 0.22), BLACK)
    canvas.face(inset(side, 0.36, 0.64, 0.24, 0.4), WHITE)
    lamp: Colour = (196, 34, 34) if leaving else (250, 244, 214)
    for left in (0.05, 0.77):
        canvas.face(inset(side, left, left + 0.18, 0.5, 0.78), lamp, canvas.weather.lamps)


def _draw_wheels(canvas: Canvas, side: Side, sill: Colour) -> None:
    canvas.face(inset(side, 0, 1, 0, 0.16), sill)
    (u, _, v0), (_, _, v1) = side[0], side[1]
    for share in (0.2, 0.8):
        v = v0 + (v1 - v0) * share
        for radius, colour in ((0.33, BLACK), (0.18, STEEL)):
            rim = [
                (u, 0.33 + radius * math.sin(a * math.pi / 6), v + radius * math.cos(a * math.pi / 6))
                for a in range(12)
            ]
            canvas.face(rim, colour)
