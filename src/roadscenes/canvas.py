"""Camera in a street, canvas, and cut-outs.

Places are (u, w, v) in metres in the street's frame: u to the right from the middle of the street, w up from the
ground, v along the street from the camera. A bent street is sheared: the middle lies at u = bend * v^2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
    """Pinhole camera with a level view. A shift of the picture moves the horizon, so walls stay upright.

    Attributes:
        width, height: size of the picture, in pixels.
        focal: focal length, in heights of the picture.
        horizon: position of the horizon, 0 at the top and 1 at the bottom.
        u: position of the camera across the street, in metres.
        above: height of the camera above the ground, in metres.
        yaw: direction of the view in radians: 0 along the street, pi / 2 to the right.
        bend: bend of the street, per metre.
    """

    width: int
    height: int
    focal: float
    horizon: float
    u: float
    above: float
    yaw: float
    bend: float

    @cached_property
    def _direction(self) -> Point:
        """Sine and cosine of the direction of the view."""
        return math.sin(self.yaw), math.cos(self.yaw)

    def view(self, place: Place) -> Place:
        """Convert a place to the camera's frame: metres to the right, up and ahead."""
        u, w, v = place
        u += self.bend * v * v - self.u
        sine, cosine = self._direction
        return u * cosine - v * sine, w - self.above, u * sine + v * cosine

    def screen(self, seen: Place) -> Point:
        """Project a place in the camera's frame to pixels."""
        x, y, z = seen
        scale = self.focal * self.height / z
        return self.width / 2 + x * scale, self.horizon * self.height - y * scale

    def place_on_ground(self, across: float, ahead: float) -> Point:
        """Compute (u, v) of a place on the ground, from metres to the right and ahead of the camera."""
        sine, cosine = self._direction
        v = ahead * cosine - across * sine
        return across * cosine + ahead * sine + self.u - self.bend * v * v, v


class Canvas:
    """Canvas of twice the final size, so that edges become smooth.

    Attributes:
        camera: camera of the picture.
        weather: weather and light.
        image: RGB picture.
    """

    def __init__(self, camera: Camera, weather: Weather) -> None:
        self.camera = camera
        self.weather = weather
        self.image = Image.new("RGB", (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING))
        self.brush = ImageDraw.Draw(self.image, "RGBA")
        self._opaque = ImageDraw.Draw(self.image)  # faster, for colours that hide what is behind them

    def face(self, corners: Sequence[Place], colour: Colour, glowing: bool = False, opacity: float = 1) -> bool:
        """Draw a flat polygon in space, and return whether it may reach into the picture."""
        seen = _in_front([self.camera.view(corner) for corner in corners])
        if len(seen) < 3:
            return False
        points = [self.camera.screen(one) for one in seen]
        across = [x for x, _ in points]
        if max(across) < -1 or min(across) > self.camera.width + 1:
            return False
        depth = sum([z for _, _, z in seen]) / len(seen)
        self.polygon(points, self.shade(colour, depth, glowing), opacity)
        return True

    def polygon(self, points: Sequence[Point], colour: Colour, opacity: float = 1) -> None:
        """Draw a polygon in pixels of the final picture, in a final colour."""
        scaled = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points]
        if opacity == 1:
            self._opaque.polygon(scaled, fill=colour)
        else:
            self.brush.polygon(scaled, fill=(*colour, int(255 * opacity)))

    def shade(self, colour: Colour, depth: float, glowing: bool = False) -> Colour:
        """Compute a colour in the weather's light, at a distance in metres."""
        lit = colour if glowing else tinted(colour, self.weather.ambient)
        veil = 1 - math.exp(-max(depth, 0) / self.weather.visibility)
        return mixed(lit, self.weather.haze, veil)

    def standing(self, u: float, v: float, w: float = 0) -> "Cutout | None":
        """Make a cut-out at a place, facing the camera; None for a place behind the camera."""
        seen = self.camera.view((u, w, v))
        if seen[2] < _NEAREST_M * 2:
            return None
        x, y = self.camera.screen(seen)
        return Cutout(self, x, y, self.camera.focal * self.camera.height / seen[2], seen[2])


class Cutout:
    """Flat figure in an upright plane: x in metres to the right, y in metres up from the foot.

    Attributes:
        scale: pixels of the final picture per metre.
        depth: distance ahead of the camera, in metres.
        bounds: left, top, right and bottom of the drawn figure, in pixels of the final picture.
    """

    def __init__(self, canvas: Canvas, x: float, y: float, scale: float, depth: float) -> None:
        self.scale, self.depth = scale, depth
        self.bounds = (math.inf, math.inf, -math.inf, -math.inf)
        self._canvas, self._x, self._y = canvas, x, y

    def polygon(self, points: Sequence[Point], colour: Colour, glowing: bool = False, opacity: float = 1) -> None:
        """Draw a polygon."""
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
        """Draw a circle, or with half its height an ellipse."""
        x, y = self.placed(centre)
        across, up = radius * self.scale, (radius if height is None else height) * self.scale
        left, top, right, bottom = x - across, y - up, x + across, y + up
        self._reach((left, right), (top, bottom))
        box = [side * SUPERSAMPLING for side in (left, top, right, bottom)]
        shade = self._canvas.shade(colour, self.depth, glowing)
        self._canvas.brush.ellipse(box, fill=(*shade, int(255 * opacity)))

    def limb(self, points: Sequence[Point], width: float, colour: Colour, end_width: float | None = None) -> None:
        """Draw a line with round joints and ends. The line tapers to `end_width`."""
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
        """Convert a point to pixels of the final picture."""
        return self._x + point[0] * self.scale, self._y - point[1] * self.scale

    def _reach(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        left, top, right, bottom = self.bounds
        self.bounds = min(left, *xs), min(top, *ys), max(right, *xs), max(bottom, *ys)


def _in_front(corners: Sequence[Place]) -> list[Place]:
    """Clip a polygon to the space in front of the camera (Sutherland and Hodgman 1974, one plane)."""
    if min([z for _, _, z in corners]) >= _NEAREST_M:
        return list(corners)
    kept: list[Place] = []
    for (x0, y0, z0), (x1, y1, z1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if z0 >= _NEAREST_M:
            kept.append((x0, y0, z0))
        if (z0 >= _NEAREST_M) != (z1 >= _NEAREST_M):
            share = (_NEAREST_M - z0) / (z1 - z0)
            kept.append((x0 + share * (x1 - x0), y0 + share * (y1 - y0), _NEAREST_M))
    return kept
