"""A camera that stands in a street, and a canvas that it draws on.

Places are (u, w, v) in metres in the street's own frame: u across it to the right from its middle, w up from the
ground, v along it from the camera on. A bent street is sheared: its middle lies at u = bend * v^2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw

from roadscenes.colours import Colour, mixed, tinted
from roadscenes.weather import Weather

Place = tuple[float, float, float]
Point = tuple[float, float]

SUPERSAMPLING = 2

_NEAREST_M = 0.3


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks level; the horizon is moved by shifting the picture, so walls stay upright.

    Attributes:
        width, height: of the picture in pixels.
        focal: focal length, in heights of the picture.
        horizon: where it lies, 0 at the top and 1 at the bottom.
        u: where the camera stands across the street, metres.
        above: the camera's height above the ground, metres.
        yaw: the direction it looks in: 0 along the street, pi / 2 across it to the right.
        bend: of the street, per metre.
    """

    width: int
    height: int
    focal: float
    horizon: float
    u: float
    above: float
    yaw: float
    bend: float

    def view(self, place: Place) -> Place:
        """To the camera's frame: metres to the right, up and ahead of it."""
        u, w, v = place
        u += self.bend * v * v - self.u
        sine, cosine = math.sin(self.yaw), math.cos(self.yaw)
        return u * cosine - v * sine, w - self.above, u * sine + v * cosine

    def screen(self, seen: Place) -> Point:
        """From the camera's frame to pixels."""
        x, y, z = seen
        scale = self.focal * self.height / z
        return self.width / 2 + x * scale, self.horizon * self.height - y * scale

    def place_on_ground(self, across: float, ahead: float) -> Point:
        """The (u, v) of a place on the ground, from metres to the right and ahead of the camera."""
        sine, cosine = math.sin(self.yaw), math.cos(self.yaw)
        v = ahead * cosine - across * sine
        return across * cosine + ahead * sine + self.u - self.bend * v * v, v


class Canvas:
    """A picture in the making, twice as large as in the end, so that edges come out smooth.

    Attributes:
        camera: what it is seen with.
        weather: the light it is seen in.
        image: RGB.
    """

    def __init__(self, camera: Camera, weather: Weather) -> None:
        self.camera = camera
        self.weather = weather
        self.image = Image.new("RGB", (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING))
        self.brush = ImageDraw.Draw(self.image, "RGBA")

    def face(self, corners: Sequence[Place], colour: Colour, glowing: bool = False, opacity: float = 1) -> None:
        """A flat polygon in space."""
        seen = _in_front([self.camera.view(corner) for corner in corners])
        if len(seen) < 3:
            return
        depth = sum(z for _, _, z in seen) / len(seen)
        self.polygon([self.camera.screen(one) for one in seen], self.shade(colour, depth, glowing), opacity)

    def polygon(self, points: Sequence[Point], colour: Colour, opacity: float = 1) -> None:
        """A polygon in pixels of the final picture, of a colour that is seen already."""
        scaled = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points]
        self.brush.polygon(scaled, fill=(*colour, int(255 * opacity)))

    def shade(self, colour: Colour, depth: float, glowing: bool = False) -> Colour:
        """A colour as it is seen in this weather from so many metres away."""
        lit = colour if glowing else tinted(colour, self.weather.ambient)
        veil = 1 - math.exp(-max(depth, 0) / self.weather.visibility)
        return mixed(lit, self.weather.haze, veil)

    def standing(self, u: float, v: float, w: float = 0) -> "Cutout | None":
        """A cut-out that stands there and faces the camera, or None where that is behind the camera."""
        seen = self.camera.view((u, w, v))
        if seen[2] < _NEAREST_M * 2:
            return None
        x, y = self.camera.screen(seen)
        return Cutout(self, x, y, self.camera.focal * self.camera.height / seen[2], seen[2])


class Cutout:
    """A flat figure in an upright plane: x in metres to the right, y in metres up from where it stands.

    Attributes:
        scale: pixels of the final picture a metre.
        depth: metres ahead of the camera.
        bounds: left, top, right and bottom of what was drawn, in pixels of the final picture.
    """

    def __init__(self, canvas: Canvas, x: float, y: float, scale: float, depth: float) -> None:
        self.scale, self.depth = scale, depth
        self.bounds = (math.inf, math.inf, -math.inf, -math.inf)
        self._canvas, self._x, self._y = canvas, x, y

    def polygon(self, points: Sequence[Point], colour: Colour, glowing: bool = False, opacity: float = 1) -> None:
        """A polygon."""
        placed = [self.placed(point) for point in points]
        self._reach([x for x, _ in placed], [y for _, y in placed])
        self._canvas.polygon(placed, self._canvas.shade(colour, self.depth, glowing), opacity)

    def disc(
        self,
        centre: Point,
        radius: float,
        colour: Colour,
        height: float | None = None,
        glowing: bool = False,
        opacity: float = 1,
    ) -> None:
        """An ellipse; a circle unless half its height is given too."""
        x, y = self.placed(centre)
        across, up = radius * self.scale, (radius if height is None else height) * self.scale
        left, top, right, bottom = x - across, y - up, x + across, y + up
        self._reach((left, right), (top, bottom))
        box = [side * SUPERSAMPLING for side in (left, top, right, bottom)]
        shade = self._canvas.shade(colour, self.depth, glowing)
        self._canvas.brush.ellipse(box, fill=(*shade, int(255 * opacity)))

    def limb(self, points: Sequence[Point], width: float, colour: Colour, end_width: float | None = None) -> None:
        """A line with round joints and ends, which may taper."""
        last = width if end_width is None else end_width
        for number, (start, end) in enumerate(pairwise(points)):
            from_width = width + (last - width) * number / (len(points) - 1)
            to_width = width + (last - width) * (number + 1) / (len(points) - 1)
            dx, dy = end[0] - start[0], end[1] - start[1]
            length = math.hypot(dx, dy) or 1
            nx, ny = -dy / length / 2, dx / length / 2
            self.disc(start, from_width / 2, colour)
            outline = [
                (start[0] + nx * from_width, start[1] + ny * from_width),
                (end[0] + nx * to_width, end[1] + ny * to_width),
                (end[0] - nx * to_width, end[1] - ny * to_width),
                (start[0] - nx * from_width, start[1] - ny * from_width),
            ]
            self.polygon(outline, colour)
        self.disc(points[-1], last / 2, colour)

    def placed(self, point: Point) -> Point:
        """Where a point is seen, in pixels of the final picture."""
        return self._x + point[0] * self.scale, self._y - point[1] * self.scale

    def _reach(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        left, top, right, bottom = self.bounds
        self.bounds = min(left, *xs), min(top, *ys), max(right, *xs), max(bottom, *ys)


def _in_front(corners: Sequence[Place]) -> list[Place]:
    """The part of a polygon in front of the camera (Sutherland and Hodgman 1974, one plane)."""
    if all(corner[2] >= _NEAREST_M for corner in corners):
        return list(corners)
    kept: list[Place] = []
    for (x0, y0, z0), (x1, y1, z1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if z0 >= _NEAREST_M:
            kept.append((x0, y0, z0))
        if (z0 >= _NEAREST_M) != (z1 >= _NEAREST_M):
            share = (_NEAREST_M - z0) / (z1 - z0)
            kept.append((x0 + share * (x1 - x0), y0 + share * (y1 - y0), _NEAREST_M))
    return kept
