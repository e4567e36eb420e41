"""Composition of a scene: positions of all things, drawn from far to near.

One random stream, independent of the label, decides street, weather, surroundings and spots on the carriageway. Only
then each spot gets a person or an obstacle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from roadscenes.blocks import draw_car, draw_house
from roadscenes.canvas import SUPERSAMPLING, Canvas, Cutout
from roadscenes.chance import Chance
from roadscenes.people import draw_looks, draw_person
from roadscenes.street import draw_camera, draw_street, paint_ground, paint_skyline
from roadscenes.things import (
    draw_bin,
    draw_bollard,
    draw_bush,
    draw_lamp,
    draw_obstacle,
    draw_sign,
    draw_traffic_light,
    draw_tree,
)
from roadscenes.weather import Glow, draw_weather, finished, sky_picture

Bounds = tuple[float, float, float, float]
Spot = tuple[float, float]
Drawing = Callable[[Cutout], None]

_STREET, _SPOTS = 0, 1
_WIDTHS, _HEIGHTS = (288, 352), (216, 264)
_PERSON_M = 1.72
_USUAL_SHARES, _SMALL_SHARES, _ANY_SHARES = (0.26, 0.6), (0.16, 0.26), (0.08, 0.9)
_SMALL = 0.12
_GRID = 24
_APART = 0.09
_ZONE_M = 2.0
_FIRST_HOUSE, _LAST_HOUSE = -26.0, 75.0


@dataclass(frozen=True)
class Composition:
    """Finished picture, with the bounds of people on the carriageway: left, top, right, bottom in pixels."""

    image: Image.Image
    people: tuple[Bounds, ...]


@dataclass(frozen=True)
class Walker:
    """Person in a frame of a clip.

    Attributes:
        u: metres to the right of the street's middle.
        v: metres along the street.
        looks: seed of the person's looks.
        view: walking direction "left" or "right", or visible side "front" or "back".
        stride: half the angle between the legs, in radians.
    """

    u: float
    v: float
    looks: int
    view: str
    stride: float


def compose(seed: int, number: int, crossing: bool) -> Composition:
    """Draw a scene. Equal arguments give equal pixels."""
    return _Scene(seed, number).composed(crossing)


def compose_frame(seed: int, number: int, frame: int, walkers: Sequence[Walker]) -> Composition:
    """Draw one frame of a clip: the scene of the same seed and number, with walking people and without obstacles.

    Rain and grain differ from frame to frame. `Composition.people` has the bounds of the walkers, far walkers first.
    """
    return _Scene(seed, number).composed(None, frame, walkers)


class View:
    """Fixed view of a clip: where people can walk in the scene of a seed and number.

    Attributes:
        street: layout of the street.
        crossing_at: metres along the street at which people cross.
    """

    def __init__(self, seed: int, number: int) -> None:
        scene = _Scene(seed, number)
        scene._choose_spots()
        self.street = scene._street
        self._camera = scene._camera
        self.crossing_at = tuple(v for _, v in scene._spots)

    def zone(self, v: float) -> tuple[tuple[float, float], ...]:
        """Return the part of the picture in which people cross at `v`, as shares of width and height: four corners."""
        camera, corners = self._camera, list[tuple[float, float]]()
        for u in (-self.street.half, self.street.half):
            for w in (0.0, _ZONE_M):
                seen = camera.view((u, w, v))
                x, y = camera.screen((seen[0], seen[1], max(seen[2], 1.0)))
                corners.append((min(max(x / camera.width, 0), 1), min(max(y / camera.height, 0), 1)))
        xs, ys = zip(*corners, strict=True)
        return ((min(xs), min(ys)), (max(xs), min(ys)), (max(xs), max(ys)), (min(xs), max(ys)))

    def x(self, u: float, v: float) -> float | None:
        """Return where a place lies across the picture, 0 at the left edge to 1; None for a place behind the camera."""
        seen = self._camera.view((u, 0, v))
        return None if seen[2] < 1.2 else self._camera.screen(seen)[0] / self._camera.width


class _Scene:
    """Unfinished scene. Standing things are collected with their depths, and drawn at the end."""

    def __init__(self, seed: int, number: int) -> None:
        self._key = seed, number
        chance = self._chance = Chance(seed, number, _STREET)
        width, height = chance.whole(*_WIDTHS), chance.whole(*_HEIGHTS)
        self._weather = draw_weather(chance)
        self._street = draw_street(chance, self._weather.season)
        self._camera = draw_camera(chance, self._street, width, height)
        self._canvas = Canvas(self._camera, self._weather)
        self._glows: list[Glow] = []
        self._standing: list[tuple[float, Callable[[], None]]] = []
        self._people: list[Bounds] = []
        self._spots: list[Spot] = []
        self._parked: list[Spot] = []

    def composed(self, crossing: bool | None, frame: int = 0, walkers: Sequence[Walker] = ()) -> Composition:
        canvas, chance = self._canvas, self._chance
        canvas.image.paste(sky_picture(self._weather, *canvas.image.size, self._camera.horizon))
        paint_skyline(canvas, self._street, chance)
        paint_ground(canvas, self._street, chance)
        self._choose_spots()
        self._draw_houses()
        self._add_cars()
        self._add_furniture()
        self._add_passers_by()
        rain_and_grain = Chance(*self._key, _STREET, frame), chance.whole(0, 2**31) + frame
        if crossing is not None:
            self._fill_spots(crossing)
        for walker in walkers:
            self._add_walker(walker)
        for _, draw in sorted(self._standing, key=lambda one: -one[0]):
            draw()
        picture = canvas.image.reduce(SUPERSAMPLING)
        return Composition(finished(picture, self._weather, self._glows, *rain_and_grain), tuple(self._people))

    def _choose_spots(self) -> None:
        """Choose one to four spots on the carriageway, where a person is in full view and large enough."""
        chance, taken = self._chance, list[float]()
        for _ in range(chance.pick((1, 2, 2, 3, 3, 4))):
            shares = _SMALL_SHARES if chance.happens(_SMALL) else _USUAL_SHARES
            found = [
                (spot, x) for spot, x in self._spots_of_size(*shares) if all(abs(x - other) > _APART for other in taken)
            ]
            if not found and not taken:
                found = self._spots_of_size(*_ANY_SHARES) or [(self._camera.place_on_ground(0, 6), 0.5)]
            if found:
                spot, x = chance.pick(found)
                self._spots.append(spot)
                taken.append(x)

    def _spots_of_size(self, low: float, high: float) -> list[tuple[Spot, float]]:
        """Find spots where a person fills `low` to `high` of the picture's height, with x as a share of the width."""
        camera, found = self._camera, []
        for row in range(_GRID):
            ahead = camera.focal * _PERSON_M / (high - (high - low) * row / _GRID)
            if camera.horizon + camera.focal * camera.above / ahead > 0.985:
                continue
            for column in range(_GRID):
                x = 0.08 + 0.84 * column / (_GRID - 1)
                sideways = (x - 0.5) * camera.width / camera.height * ahead / camera.focal
                u, v = camera.place_on_ground(sideways, ahead)
                if self._street.on_carriageway(u, v, 0.35):
                    found.append(((u, v), x))
        return found

    def _fill_spots(self, crossing: bool) -> None:
        for number, (u, v) in enumerate(self._spots):
            chance = Chance(*self._key, _SPOTS, number)
            if crossing:
                self._add_person(u, v, chance, on_carriageway=True)
            else:
                self._add(u, v, 1.0, 0.4, lambda cutout, chance=chance: draw_obstacle(cutout, chance))  # type: ignore[misc]

    def _draw_houses(self) -> None:
        chance, street = self._chance, self._street
        houses: list[tuple[float, Callable[[], None]]] = []
        density = {"town": 1.0, "suburb": 0.7, "country": 0.2}[street.setting]
        tall = chance.whole(2, 6) if street.setting == "town" else 2
        for side in (-1, 1):
            v = _FIRST_HOUSE + chance.between(0, 8)
            while v < _LAST_HOUSE:
                length, depth = chance.between(6, 13), chance.between(7, 11)
                gap = 0.0 if street.setting == "town" else chance.between(2, 7)
                front = street.half + street.pavement + (0 if street.setting == "town" else chance.between(2, 6))
                key, floors = chance.whole(0, 2**31), max(1, tall + chance.whole(-1, 1))
                across = (front, front + depth) if side > 0 else (-front - depth, -front)
                if chance.happens(density) and not self._in_side_road(v, v + length):
                    self._add_house(houses, across, (v, v + length), floors, Chance(key))
                elif street.setting != "town" and chance.happens(0.8):
                    self._add_greenery(side * (front + chance.between(-1, 3)), v + length / 2)
                v += length + gap
        for _, draw in sorted(houses, key=lambda one: -one[0]):
            draw()

    def _add_house(
        self,
        houses: list[tuple[float, Callable[[], None]]],
        across: Spot,
        along: Spot,
        floors: int,
        chance: Chance,
    ) -> None:
        x, _, depth = self._camera.view((sum(across) / 2, 0, sum(along) / 2))
        if depth > -8 and abs(x) < 14 + 1.6 * max(depth, 0):
            houses.append((x * x + depth * depth, lambda: draw_house(self._canvas, across, along, floors, chance)))

    def _add_greenery(self, u: float, v: float) -> None:
        chance, season = self._chance, self._weather.season
        key, tree = chance.whole(0, 2**31), chance.happens(0.65)
        if self._street.on_carriageway(u, v, -1):
            return
        draw_it = draw_tree if tree else draw_bush
        self._add(u, v, 5.0 if tree else 0.8, 0.5, lambda cutout: draw_it(cutout, season, Chance(key)))

    def _add_cars(self) -> None:
        """Add parked and driving cars, none in front of a spot."""
        chance, street = self._chance, self._street
        for _ in range(chance.whole(0, 6)):
            lane = chance.pick((street.half - 1.05, street.half - 1.05, street.half * 0.45))
            u, v, key = chance.pick((-1, 1)) * lane, chance.between(-8, 45), chance.whole(0, 2**31)
            blocked = self._in_side_road(v - 3, v + 3) or self._on_zebra(v - 3, v + 3)
            others = [other for other in self._parked if abs(other[0] - u) < 2.2 and abs(other[1] - v) < 6]
            if not blocked and not others and self._free(u, v, 2.7):
                self._parked.append((u, v))
                self._shadow(u, v, 1.3, 0.9, 2.1)
                depth = self._camera.view((u, 0, v))[2]
                self._standing.append((depth, lambda u=u, v=v, key=key: draw_car(self._canvas, u, v, Chance(key))))  # type: ignore[misc]

    def _add_furniture(self) -> None:
        chance, street, weather = self._chance, self._street, self._weather
        self._add_lamps()
        trees = chance.happens(0.45)
        for side in (-1, 1):
            for step in range(9):
                u, v = (
                    side * (street.half + chance.between(0.4, street.pavement)),
                    -4 + 4.5 * step + chance.between(0, 4),
                )
                kind, key = (
                    chance.pick(("bin", "sign", "bollard", "bollard", "tree", "tree", "none")),
                    chance.whole(0, 2**31),
                )
                if kind == "none" or (kind == "tree" and not trees) or street.on_carriageway(u, v, -0.3):
                    continue
                if not self._free(u, v, 0.6):
                    continue
                if kind == "tree":
                    self._add(u, v, 6, 0.7, lambda cutout, key=key: draw_tree(cutout, weather.season, Chance(key)))  # type: ignore[misc]
                else:
                    draw_it = {"bin": draw_bin, "sign": draw_sign, "bollard": draw_bollard}[kind]
                    self._add(u, v, 1.2, 0.2, lambda cutout, draw_it=draw_it, key=key: draw_it(cutout, Chance(key)))  # type: ignore[misc]
        if street.zebra is not None and chance.happens(0.6):
            for side in (-1, 1):
                u, v, key = side * (street.half + 0.5), street.zebra[0] - 0.4, chance.whole(0, 2**31)
                if self._free(u, v, 0.3):
                    self._add(u, v, 3, 0.1, lambda cutout, key=key: draw_traffic_light(cutout, Chance(key)))  # type: ignore[misc]

    def _add_lamps(self) -> None:
        chance, street = self._chance, self._street
        spacing, side = chance.between(9, 18), chance.pick((-1, 1))
        for step in range(5):
            u, v, key = side * (street.half + 0.45), chance.between(1, 4) + spacing * step, chance.whole(0, 2**31)
            if not street.on_carriageway(u, v, -0.3) and self._free(u, v, 0.2):
                self._add(u, v, 5, 0.08, lambda cutout, key=key: self._draw_lamp(cutout, Chance(key)))  # type: ignore[misc]

    def _draw_lamp(self, cutout: Cutout, chance: Chance) -> None:
        x, y = cutout.placed(draw_lamp(cutout, self._weather.lamps, chance))
        if self._weather.lamps:
            self._glows.append((x, y, 1.1 * cutout.scale))

    def _add_passers_by(self) -> None:
        """Add people on the pavement to some scenes of both classes."""
        chance, street = self._chance, self._street
        if not chance.happens(0.3):
            return
        for _ in range(chance.whole(1, 2)):
            u = chance.pick((-1, 1)) * (street.half + chance.between(0.7, street.pavement))
            v, key = chance.between(3, 24), chance.whole(0, 2**31)
            if not street.on_carriageway(u, v, -0.5) and self._free(u, v, 0.5):
                self._add_person(u, v, Chance(key), on_carriageway=False)

    def _add_person(self, u: float, v: float, chance: Chance, on_carriageway: bool) -> None:
        person = draw_looks(chance, self._weather.name == "rain")

        def draw(cutout: Cutout) -> None:
            draw_person(cutout, person)
            if on_carriageway:
                self._people.append(cutout.bounds)

        self._add(u, v, person.height, 0.24, draw)

    def _add_walker(self, walker: Walker) -> None:
        looks = draw_looks(Chance(*self._key, _SPOTS, walker.looks), self._weather.name == "rain")
        person = replace(looks, view=walker.view, stride=walker.stride)

        def draw(cutout: Cutout) -> None:
            draw_person(cutout, person)
            self._people.append(cutout.bounds)

        self._add(walker.u, walker.v, person.height, 0.24, draw)

    def _add(self, u: float, v: float, height: float, half: float, draw: Drawing) -> None:
        """Add a standing thing, and paint its shadow at once."""
        cutout = self._canvas.standing(u, v)
        if cutout is not None:
            self._shadow(u, v, height, half, half)
            self._standing.append((cutout.depth, lambda: draw(cutout)))

    def _shadow(self, u: float, v: float, height: float, half_u: float, half_v: float) -> None:
        du, dv = (metres * height for metres in self._weather.sun)
        ring = [(-half_u, -half_v), (half_u, -half_v), (half_u, half_v), (-half_u, half_v)]
        base = [(u + a, 0.0, v + b) for a, b in ring]
        self._canvas.face(base, (20, 20, 30), opacity=0.3)
        if self._weather.shadow > 0.2:
            length = (du * du + dv * dv) ** 0.5 or 1
            nu, nv = -dv / length * half_u, du / length * half_u
            far = [(u + du - nu, 0.0, v + dv - nv), (u + du + nu, 0.0, v + dv + nv)]
            near = [(u + nu, 0.0, v + nv), (u - nu, 0.0, v - nv)]
            self._canvas.face([*near, *far], (20, 22, 40), opacity=self._weather.shadow)

    def _free(self, u: float, v: float, half: float) -> bool:
        """Whether a thing at the place is in view, and hides no spot."""
        seen = [self._camera.view((u + a, 0, v + b)) for a in (-0.5, 0.5) for b in (-half, half)]
        if min(z for _, _, z in seen) < 1.2:
            return False
        xs = [self._camera.screen(one)[0] for one in seen]
        margin = 0.05 * self._camera.width
        for spot_u, spot_v in self._spots:
            place = self._camera.view((spot_u, 0, spot_v))
            hidden = min(xs) - margin < self._camera.screen(place)[0] < max(xs) + margin
            if hidden and min(z for _, _, z in seen) < place[2] + 0.8:
                return False
        return True

    def _in_side_road(self, low: float, high: float) -> bool:
        road = self._street.side_road
        return road is not None and low < road[1] + self._street.pavement and high > road[0] - self._street.pavement

    def _on_zebra(self, low: float, high: float) -> bool:
        return self._street.zebra is not None and low < self._street.zebra[1] and high > self._street.zebra[0]
