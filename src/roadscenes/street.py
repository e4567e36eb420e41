"""Street: layout, camera, ground and skyline."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from roadscenes.canvas import Camera, Canvas
from roadscenes.chance import Chance
from roadscenes.colours import GRASS, WHITE, Colour, mixed, shaded, tinted, varied

_STRIPS = (-60, -30, -15, -8, -4, -1, 1, 2.5, 4, 6, 8.5, 12, 17, 24, 34, 48, 70, 110, 200)
_STRIPE_M = 0.5

CAMERA_VIEWS = ("along", "along", "along", "slanting", "slanting", "across")


@dataclass(frozen=True)
class Street:
    """Layout of a street, in metres.

    Attributes:
        half: half the width of the carriageway.
        pavement: width of each pavement.
        zebra: begin and end of a zebra crossing along the street, or None.
        side_road: begin and end of a crossing side road along the street, or None.
        setting: "town", "suburb" or "country".
        markings: markings along the middle: "dashed", "solid", "double" or "none".
    """

    half: float
    pavement: float
    zebra: tuple[float, float] | None
    side_road: tuple[float, float] | None
    setting: str
    markings: str
    asphalt: Colour
    paving: Colour
    ground: Colour

    def on_carriageway(self, u: float, v: float, margin: float) -> bool:
        """Whether a place is on a carriageway, at least `margin` metres from the edges."""
        if abs(u) < self.half - margin:
            return True
        return self.side_road is not None and self.side_road[0] + margin < v < self.side_road[1] - margin


def draw_street(chance: Chance, season: str) -> Street:
    """Draw a street layout at random."""
    near = chance.between(2.5, 12)
    zebra = (near, near + chance.between(2.6, 4.2)) if chance.happens(0.55) else None
    begin = (zebra[1] if zebra else chance.between(4, 14)) + chance.between(1, 4)
    side_road = (begin, begin + chance.between(5, 9)) if chance.happens(0.3) else None
    grey = chance.whole(64, 148)
    asphalt = varied((grey, grey, grey + chance.whole(-6, 12)), chance, 4)
    if season == "winter" and chance.happens(0.4):
        asphalt = mixed(asphalt, GRASS["winter"], 0.6)
    setting = chance.pick(("town", "town", "suburb", "country"))
    paving = varied(chance.pick(((186, 180, 170), (164, 158, 152), (198, 172, 146), (146, 148, 154))), chance)
    return Street(
        half=chance.between(2.7, 6.5),
        pavement=chance.between(1.6, 3.6),
        zebra=zebra,
        side_road=side_road,
        setting=setting,
        markings=chance.pick(("dashed", "dashed", "solid", "double", "none")),
        asphalt=asphalt,
        paving=paving,
        ground=shaded(paving, 0.92) if setting == "town" else varied(GRASS[season], chance),
    )


def draw_camera(chance: Chance, street: Street, width: int, height: int) -> Camera:
    """Draw a camera on the street or its pavements at random, with a view of the carriageway."""
    view, side = chance.pick(CAMERA_VIEWS), chance.pick((-1, 1))
    edge = street.half + street.pavement
    if view == "across":
        u, yaw = -side * (street.half + chance.between(0.6, street.pavement)), side * chance.between(1.15, 1.75)
    elif view == "slanting":
        u, yaw = -side * chance.between(0.3, 1) * edge, side * chance.between(0.3, 0.8)
    else:
        u, yaw = chance.between(-0.9, 0.9) * street.half, chance.between(-0.2, 0.2)
    return Camera(
        width=width,
        height=height,
        focal=chance.between(0.8, 1.35),
        horizon=chance.between(0.2, 0.5),
        u=u,
        above=chance.between(1.2, 2.9),
        yaw=yaw,
        bend=chance.between(-0.012, 0.012) if view == "along" and chance.happens(0.6) else 0,
    )


def paint_ground(canvas: Canvas, street: Street, chance: Chance) -> None:
    """Paint everything flat, from the land around the street to the stripes of a crossing."""
    _paint_land(canvas, street)
    edge, half, kerb = street.half + street.pavement, street.half, shaded(street.paving, 1.14)
    for low, high in _strips():
        for u0, u1, colour in ((-edge, edge, street.paving), (-half - 0.22, half + 0.22, kerb)):
            _patch(canvas, (u0, u1), (low, high), colour)
        _patch(canvas, (-half, half), (low, high), street.asphalt)
    _paint_slabs(canvas, street)
    if street.side_road is not None:
        for u0 in range(-90, 90, 9):
            _patch(canvas, (u0, u0 + 9), (street.side_road[0] - 0.2, street.side_road[1] + 0.2), kerb)
            _patch(canvas, (u0, u0 + 9), street.side_road, street.asphalt)
        _patch(canvas, (-half, half), (street.side_road[0] - 0.3, street.side_road[1] + 0.3), street.asphalt)
    _paint_wear(canvas, street, chance)
    _paint_markings(canvas, street)
    if street.zebra is not None:
        count = int((2 * half - 0.3) / (2 * _STRIPE_M))
        for stripe in range(count):
            u = (2 * stripe - count + 0.5) * _STRIPE_M
            _patch(canvas, (u, u + _STRIPE_M), street.zebra, mixed(WHITE, street.asphalt, 0.08))


def paint_skyline(canvas: Canvas, street: Street, chance: Chance) -> None:
    """Paint clouds, and far hills, woods or roofs."""
    camera, weather = canvas.camera, canvas.weather
    horizon = camera.horizon * camera.height
    if weather.name in ("sunny", "dusk", "overcast"):
        white = tinted(mixed(WHITE, weather.haze, 0.45), weather.ambient)
        for _ in range(chance.whole(0, 5)):
            _paint_cloud(canvas, chance, white)
    if weather.name == "night":
        for _ in range(40):
            x, y = chance.between(0, camera.width), chance.between(0, horizon)
            canvas.polygon([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)], WHITE, chance.between(0.2, 0.8))
    if chance.happens(0.3) and weather.name in ("sunny", "dusk"):
        x, y, radius = chance.between(0, camera.width), horizon * chance.between(0.1, 0.9), camera.height * 0.05
        for size, opacity in ((2.2, 0.15), (1.5, 0.25), (1.0, 0.95)):
            rim = [(x + size * radius * math.cos(a * math.pi / 12), y + size * radius * math.sin(a * math.pi / 12))
                   for a in range(24)]  # fmt: skip
            canvas.polygon(rim, (255, 240, 200), opacity)
    base = {"town": (112, 112, 122), "suburb": (96, 120, 92), "country": (92, 124, 96)}[street.setting]
    for layer in (2, 1):
        colour = mixed(tinted(varied(base, chance), weather.ambient), weather.haze, 0.3 + 0.22 * layer)
        height = camera.height * chance.between(0.03, 0.09) * layer
        _paint_ridge(canvas, chance, horizon, height, colour, jagged=street.setting == "town")


def _paint_cloud(canvas: Canvas, chance: Chance, colour: Colour) -> None:
    camera = canvas.camera
    x, y = chance.between(0, camera.width), camera.horizon * camera.height * chance.between(0, 0.75)
    size = camera.height * chance.between(0.05, 0.13)
    for _ in range(6):
        cx, cy = x + size * chance.between(-1.7, 1.7), y + size * chance.between(-0.25, 0.25)
        across, up = size * chance.between(0.6, 1.2), size * chance.between(0.25, 0.45)
        rim = [(cx + across * math.cos(a * math.pi / 8), cy + up * math.sin(a * math.pi / 8)) for a in range(16)]
        canvas.polygon(rim, colour, 0.4)


def _paint_ridge(canvas: Canvas, chance: Chance, horizon: float, height: float, colour: Colour, jagged: bool) -> None:
    width = canvas.camera.width
    steps, points = 16, [(0.0, horizon + 1)]
    for step in range(steps + 1):
        x, y = width * step / steps, horizon - height * chance.between(0.2, 1)
        points.append((x, y))
        if jagged:
            points.append((width * (step + 1) / steps, y))
    canvas.polygon([*points, (float(width), horizon + 1)], colour)


def _paint_land(canvas: Canvas, street: Street) -> None:
    """Paint the land up to the horizon, in rows that fade into the haze."""
    camera = canvas.camera
    horizon, rows = camera.horizon * camera.height, 14
    for row in range(rows):
        top = horizon + (camera.height - horizon) * (row / rows) ** 2
        bottom = horizon + (camera.height - horizon) * ((row + 1) / rows) ** 2
        depth = camera.focal * camera.height * camera.above / max((top + bottom) / 2 - horizon, 1)
        points = [(0.0, top), (float(camera.width), top), (float(camera.width), bottom + 1), (0.0, bottom + 1)]
        canvas.polygon(points, canvas.shade(street.ground, depth))


def _paint_slabs(canvas: Canvas, street: Street) -> None:
    joint = shaded(street.paving, 0.88)
    for side in (-1, 1):
        for metre in range(-4, 24, 2):
            u0, u1 = sorted((side * (street.half + 0.22), side * (street.half + street.pavement)))
            _patch(canvas, (u0, u1), (metre, metre + 0.05), joint)


def _paint_wear(canvas: Canvas, street: Street, chance: Chance) -> None:
    """Paint repaired patches and manholes."""
    for _ in range(chance.whole(0, 4)):
        u, v = chance.between(-0.8, 0.8) * street.half, chance.between(-2, 22)
        size, tone = chance.between(0.5, 1.8), chance.between(0.84, 1.1)
        corners = [(u + size * math.cos(a * math.pi / 4) * chance.between(0.7, 1), 0.0,
                    v + 1.6 * size * math.sin(a * math.pi / 4) * chance.between(0.7, 1)) for a in range(8)]  # fmt: skip
        canvas.face(corners, shaded(street.asphalt, tone))
    for _ in range(chance.whole(0, 2)):
        u, v = chance.between(-0.8, 0.8) * street.half, chance.between(1, 14)
        for radius, tone in ((0.42, 0.62), (0.33, 0.8)):
            rim = [(u + radius * math.cos(a * math.pi / 8), 0.0, v + radius * math.sin(a * math.pi / 8))
                   for a in range(16)]  # fmt: skip
            canvas.face(rim, shaded(street.asphalt, tone))


def _paint_markings(canvas: Canvas, street: Street) -> None:
    paint = mixed(WHITE, street.asphalt, 0.2)
    if street.markings == "none":
        return
    for side in (-1, 1):
        u = side * (street.half - 0.3)
        for low, high in _strips():
            if not _blocked(street, low, high) and high < 80:
                _patch(canvas, (u - 0.06, u + 0.06), (low, high), paint)
    offsets = (-0.15, 0.15) if street.markings == "double" else (0.0,)
    dash = 2.0 if street.markings == "dashed" else 4.0
    for number in range(-3, 20):
        low = 4.0 * number
        if not _blocked(street, low, low + dash):
            for u in offsets:
                _patch(canvas, (u - 0.07, u + 0.07), (low, low + dash), paint)


def _blocked(street: Street, low: float, high: float) -> bool:
    """Whether a stretch of the street has a zebra crossing or a side road."""
    spans = [span for span in (street.zebra, street.side_road) if span is not None]
    return any(low < span[1] + 0.4 and high > span[0] - 0.4 for span in spans)


def _strips() -> Iterator[tuple[float, float]]:
    return pairwise(_STRIPS)


def _patch(canvas: Canvas, across: tuple[float, float], along: tuple[float, float], colour: Colour) -> None:
    """Paint a rectangle on the ground."""
    (u0, u1), (v0, v1) = across, along
    canvas.face([(u0, 0, v0), (u1, 0, v0), (u1, 0, v1), (u0, 0, v1)], colour)
