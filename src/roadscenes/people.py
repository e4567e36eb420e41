"""People of any age and dress, walking or waiting, seen from any side, some with bags, pushchairs or dogs."""

import math
from dataclasses import dataclass

from roadscenes.canvas import Cutout, Point
from roadscenes.chance import Chance
from roadscenes.colours import BLACK, CLOTHES, HAIRS, SKINS, STEEL, TROUSERS, Colour, shaded, varied

# Heights of the joints, as shares of the person's height.
_HIP, _SHOULDER, _CHIN, _HEAD = 0.5, 0.81, 0.855, 0.928
_THIGH, _SHIN = 0.245, 0.235
_HEAD_RADIUS = 0.062


@dataclass(frozen=True)
class Person:
    """Looks of a person.

    Attributes:
        height: height in metres.
        build: width of the body; 1 is usual.
        view: walking direction "left" or "right", or visible side "front" or "back".
        stride: half the angle between the legs, in radians.
        garment: "jacket", "coat", "dress" or "shirt".
        hair: "short", "long", "bun", "bald", "cap" or "hood".
        extra: "", "backpack", "bag", "umbrella", "pushchair" or "dog".
    """

    height: float
    build: float
    view: str
    stride: float
    garment: str
    hair: str
    extra: str
    skin: Colour
    hair_colour: Colour
    top: Colour
    bottom: Colour
    shoes: Colour
    extra_colour: Colour


def draw_looks(chance: Chance, rain: bool) -> Person:
    """Draw the looks of a person at random. In rain umbrellas are more frequent."""
    child = chance.happens(0.14)
    extras = ("", "", "", "", "backpack", "bag", "bag", "pushchair", "dog", "umbrella")
    extra = "umbrella" if rain and chance.happens(0.45) else chance.pick(extras)
    if child and extra in ("pushchair", "umbrella"):
        extra = "backpack"
    return Person(
        height=chance.between(1.1, 1.4) if child else chance.between(1.55, 1.9),
        build=chance.between(0.9, 1.2),
        view=chance.pick(("left", "left", "right", "right", "front", "back")),
        stride=chance.between(0.24, 0.56),
        garment=chance.pick(("jacket", "jacket", "shirt", "coat", "dress")),
        hair=chance.pick(("short", "short", "long", "bun", "cap", "hood", "bald")),
        extra=extra,
        skin=varied(chance.pick(SKINS), chance, 6),
        hair_colour=varied(chance.pick(HAIRS), chance, 6),
        top=varied(chance.pick(CLOTHES), chance),
        bottom=varied(chance.pick(TROUSERS), chance),
        shoes=varied(chance.pick((BLACK, (92, 62, 44), (216, 214, 206), (150, 40, 44))), chance),
        extra_colour=varied(chance.pick(CLOTHES), chance),
    )


def draw_person(cutout: Cutout, person: Person) -> None:
    """Draw a person at the place of the cut-out."""
    figure = _Figure(cutout, person)
    if person.view in ("left", "right"):
        figure.from_the_side()
    else:
        figure.face_on()


class _Figure:
    """Drawing of a person, in shares of the height. `_toward` is -1 for a walk to the left, else 1."""

    def __init__(self, cutout: Cutout, person: Person) -> None:
        self._cutout, self._person = cutout, person
        self._toward = -1 if person.view == "left" else 1
        self._dark_top, self._dark_bottom = shaded(person.top, 0.72), shaded(person.bottom, 0.72)

    def from_the_side(self) -> None:
        """Draw a striding person: the far limbs first, then the body, then the near arm."""
        p, swing = self._person, self._person.stride
        lift = _HIP - (_THIGH * math.cos(swing) + _SHIN * math.cos(swing * 0.75)) - 0.015
        self._arm(-swing, self._dark_top, -lift)
        self._leg(swing, swing * 0.5, self._dark_bottom, -lift)
        self._leg(-swing * 0.8, -swing * 1.3, p.bottom, -lift)
        if p.extra == "backpack":
            self._ellipse((-0.1, 0.69 - lift), 0.055, 0.1, p.extra_colour)
        self._torso(0.072 * p.build, -lift)
        self._head(-lift, 0.012)
        self._arm(0.5 if p.extra in ("umbrella", "pushchair") else swing, self._lit_sleeve(), -lift)
        self._extra(-lift)

    def face_on(self) -> None:
        """Draw the front or the back: a step in depth, with one foot a little higher."""
        p = self._person
        spread, step = 0.055 * p.build, 0.05 * p.stride / 0.5
        for side, raised, colour in ((-1, step, self._dark_bottom), (1, 0.0, p.bottom)):
            self._limb([(side * spread * 0.9, _HIP), (side * spread * 1.1, 0.26 + raised),
                        (side * spread, 0.03 + raised)],
                       0.085 * p.build, self._leg_colour(colour), 0.05)  # fmt: skip
            self._ellipse((side * spread * 1.1, 0.018 + raised), 0.034, 0.018, p.shoes)
        if p.extra == "backpack" and p.view == "front":
            self._ellipse((0, 0.72), 0.13, 0.09, p.extra_colour)
        self._torso(0.108 * p.build, 0)
        for side, colour in ((-1, self._dark_top), (1, self._lit_sleeve())):
            hand = (side * (0.15 * p.build + 0.01), 0.47)
            self._limb([(side * 0.105 * p.build, _SHOULDER - 0.025), (side * 0.145 * p.build, 0.63), hand],
                       0.055, colour, 0.04)  # fmt: skip
            self._ellipse(hand, 0.02, 0.022, p.skin)
        if p.extra == "backpack" and p.view == "back":
            self._ellipse((0, 0.69), 0.085, 0.115, p.extra_colour)
        self._head(0, 0)
        self._extra(0)

    def _torso(self, half: float, lift: float) -> None:
        p = self._person
        hem = {"jacket": 0.47, "shirt": 0.5, "coat": 0.3, "dress": 0.28}[p.garment]
        flare = {"jacket": 1.0, "shirt": 0.92, "coat": 1.25, "dress": 1.55}[p.garment]
        waist = 0.8 if p.garment in ("dress", "shirt") else 0.95
        self._limb([(0, _SHOULDER), (0, _CHIN + 0.015)], 0.05, shaded(p.skin, 0.9), None, lift)
        outline = [(-half * 0.75, _SHOULDER + 0.018), (half * 0.75, _SHOULDER + 0.018), (half, _SHOULDER - 0.02),
                   (half * waist, 0.6), (half * flare, hem), (-half * flare, hem), (-half * waist, 0.6),
                   (-half, _SHOULDER - 0.02)]  # fmt: skip
        self._shape(outline, p.top, lift)
        shadow = [(0.2 * half, _SHOULDER + 0.018), (half * 0.75, _SHOULDER + 0.018), (half, _SHOULDER - 0.02),
                  (half * waist, 0.6), (half * flare, hem), (0.35 * half, hem)]  # fmt: skip
        self._shape([(-self._toward * x, y) for x, y in shadow], self._dark_top, lift, 0.55)
        if p.garment == "jacket":
            self._shape([(-half, hem + 0.02), (half, hem + 0.02), (half, hem), (-half, hem)], self._dark_top, lift)

    def _head(self, lift: float, nose: float) -> None:
        p, r = self._person, _HEAD_RADIUS
        x, y = self._toward * nose, _HEAD + lift
        if p.hair == "long":
            self._ellipse((x - self._toward * nose * 2.5, y - 0.03), r * 1.05, r * 1.5, p.hair_colour)
        if p.hair == "bun":
            self._ellipse((x - self._toward * nose * 5, y + 0.035), r * 0.5, r * 0.45, p.hair_colour)
        if p.hair == "hood":
            self._ellipse((x - self._toward * nose, y - 0.005), r * 1.22, r * 1.3, self._dark_top)
        self._ellipse((x, y), r * 0.86, r * 1.1, p.skin)
        if p.view == "back" and p.hair not in ("bald", "hood"):
            self._ellipse((x, y + 0.006), r * 0.9, r * 1.08, p.hair_colour)
        elif p.hair in ("short", "long", "bun"):
            self._cap_of_hair(x, y, nose, p.hair_colour)
        if p.hair == "cap":
            self._cap_of_hair(x, y, nose, p.extra_colour)
            if p.view != "back":
                brim = r * 1.5 * self._toward if nose else 0
                self._ellipse((x + brim * 0.6, y + 0.022), r * 0.75, 0.01, shaded(p.extra_colour, 0.75))
        if p.view == "front":
            for side in (-1, 1):
                self._ellipse((x + side * 0.02, y + 0.004), 0.0075, 0.0085, BLACK)
            self._shape([(x - 0.016, y - 0.03), (x + 0.016, y - 0.03), (x, y - 0.037)], shaded(p.skin, 0.6), 0)
        elif nose:
            self._ellipse((x + self._toward * r * 0.8, y - 0.008), 0.012, 0.01, p.skin)
            self._ellipse((x + self._toward * r * 0.48, y + 0.006), 0.0075, 0.0085, BLACK)

    def _cap_of_hair(self, x: float, y: float, nose: float, colour: Colour) -> None:
        """Draw hair on the upper half of the head; from the side also on the back."""
        r, points = _HEAD_RADIUS, []
        start, end = (0.15 * math.pi, 1.3 * math.pi) if nose else (0.02 * math.pi, 0.98 * math.pi)
        for step in range(11):
            angle = start + (end - start) * step / 10
            points.append((x + self._toward * r * 0.96 * math.cos(angle), y + 0.004 + r * 1.14 * math.sin(angle)))
        self._shape(points, colour, 0)

    def _leg(self, thigh: float, shin: float, colour: Colour, lift: float) -> None:
        """Draw a leg from the hip, with angles of thigh and shin in radians, positive to the front."""
        knee = (self._toward * _THIGH * math.sin(thigh), _HIP - _THIGH * math.cos(thigh))
        ankle = (knee[0] + self._toward * _SHIN * math.sin(shin), knee[1] - _SHIN * math.cos(shin))
        self._limb([(0, _HIP), knee, ankle], 0.095 * self._person.build, self._leg_colour(colour), 0.05, lift)
        toe = (ankle[0] + self._toward * 0.06 * math.cos(shin), ankle[1] - 0.008 + 0.06 * max(-shin, 0) * -0.6)
        self._limb([ankle, toe], 0.038, self._person.shoes, 0.028, lift)

    def _arm(self, swing: float, colour: Colour, lift: float) -> None:
        """Draw an arm from the shoulder at an angle in radians, slightly bent at the elbow."""
        elbow = (self._toward * 0.16 * math.sin(swing), _SHOULDER - 0.03 - 0.16 * math.cos(swing))
        bent = swing + 0.35
        hand = (elbow[0] + self._toward * 0.15 * math.sin(bent), elbow[1] - 0.15 * math.cos(bent))
        self._limb([(0, _SHOULDER - 0.03), elbow, hand], 0.06, colour, 0.04, lift)
        self._ellipse((hand[0], hand[1] + lift), 0.021, 0.021, self._person.skin)

    def _extra(self, lift: float) -> None:
        p, ahead = self._person, self._toward
        if p.extra == "bag":
            self._limb(
                [(-ahead * 0.02, _SHOULDER), (ahead * 0.06, 0.56)], 0.012, shaded(p.extra_colour, 0.6), None, lift
            )
            self._shape([(ahead * x, y) for x, y in ((0.02, 0.57), (0.13, 0.57), (0.145, 0.42), (0.01, 0.42))],
                        p.extra_colour, lift)  # fmt: skip
        elif p.extra == "umbrella":
            self._limb([(ahead * 0.1, 0.62), (ahead * 0.06, 1.12)], 0.012, BLACK, None, lift)
            rim = [(0.06 * ahead + 0.29 * math.cos(a * math.pi / 12), 1.02 + 0.19 * math.sin(a * math.pi / 12))
                   for a in range(13)]  # fmt: skip
            self._shape(rim, p.extra_colour, lift)
            self._shape([rim[3], (0.06 * ahead, 1.2), rim[9], (0.06 * ahead, 1.02)], shaded(p.extra_colour, 0.8), lift)
        elif p.extra == "pushchair":
            self._pushchair(lift)
        elif p.extra == "dog":
            self._dog()

    def _pushchair(self, lift: float) -> None:
        ahead, colour = self._toward, self._person.extra_colour
        self._limb([(ahead * 0.2, 0.53), (ahead * 0.3, 0.3), (ahead * 0.5, 0.05)], 0.016, STEEL, None, lift)
        self._limb([(ahead * 0.46, 0.3), (ahead * 0.27, 0.06)], 0.016, STEEL)
        self._shape([(ahead * x, y) for x, y in ((0.25, 0.36), (0.28, 0.2), (0.5, 0.2), (0.56, 0.36))], colour, 0)
        hood = [(ahead * (0.36 - 0.14 * math.cos(a)), 0.36 + 0.15 * math.sin(a)) for a in (0, 0.4, 0.8, 1.2, 1.6, 2.0)]
        self._shape([*hood, (ahead * 0.36, 0.36)], shaded(colour, 0.75), 0)
        for x in (0.27, 0.5):
            self._ellipse((ahead * x, 0.045), 0.045, 0.045, BLACK)
            self._ellipse((ahead * x, 0.045), 0.02, 0.02, STEEL)

    def _dog(self) -> None:
        ahead, coat = self._toward, shaded(self._person.hair_colour, 1.2)
        self._limb([(ahead * 0.1, 0.46), (ahead * 0.4, 0.24)], 0.008, BLACK)
        for x in (0.3, 0.34, 0.47, 0.5):
            self._limb([(ahead * x, 0.15), (ahead * (x + 0.01), 0.01)], 0.03, shaded(coat, 0.8))
        self._limb([(ahead * 0.31, 0.19), (ahead * 0.48, 0.2)], 0.095, coat)
        self._limb([(ahead * 0.29, 0.2), (ahead * 0.23, 0.29)], 0.022, coat)
        self._ellipse((ahead * 0.545, 0.275), 0.05, 0.042, coat)
        self._limb([(ahead * 0.56, 0.265), (ahead * 0.605, 0.258)], 0.036, coat)
        self._ellipse((ahead * 0.515, 0.29), 0.018, 0.035, shaded(coat, 0.7))

    def _lit_sleeve(self) -> Colour:
        return shaded(self._person.top, 1.1)

    def _leg_colour(self, colour: Colour) -> Colour:
        return shaded(self._person.skin, 0.92) if self._person.garment == "dress" else colour

    def _limb(
        self, points: list[Point], width: float, colour: Colour, end_width: float | None = None, lift: float = 0
    ) -> None:
        h = self._person.height
        end = None if end_width is None else end_width * h
        self._cutout.limb([(x * h, (y + lift) * h) for x, y in points], width * h, colour, end)

    def _shape(self, points: list[Point], colour: Colour, lift: float, opacity: float = 1) -> None:
        h = self._person.height
        self._cutout.polygon([(x * h, (y + lift) * h) for x, y in points], colour, opacity=opacity)

    def _ellipse(self, centre: Point, across: float, up: float, colour: Colour) -> None:
        h = self._person.height
        self._cutout.disc((centre[0] * h, centre[1] * h), across * h, colour, up * h)
