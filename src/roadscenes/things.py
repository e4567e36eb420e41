"""Things in a street, in addition to houses, cars and people: trees, lamps, signs, and obstacles on the road."""

import math
from collections.abc import Callable

from roadscenes.canvas import Cutout, Point
from roadscenes.chance import Chance
from roadscenes.colours import (
    BLACK,
    CLOTHES,
    LAMPLIGHT,
    LEAVES,
    STEEL,
    TROUSERS,
    WHITE,
    Colour,
    mixed,
    shaded,
    varied,
)

ORANGE: Colour = (232, 104, 38)
RED: Colour = (200, 40, 40)
CARDBOARD: Colour = (184, 142, 92)


def draw_tree(cutout: Cutout, season: str, chance: Chance) -> None:
    """Draw a round tree, a fir, a poplar or, in winter, bare branches."""
    height = chance.between(4.5, 10)
    leaf = varied(chance.pick(LEAVES[season]), chance)
    bark = varied((92, 72, 56), chance)
    kind = chance.pick(("round", "round", "fir", "poplar"))
    cutout.limb([(0, 0), (chance.between(-0.1, 0.1), height * 0.55)], height * 0.045, bark, height * 0.025)
    if season == "winter" and kind == "round":
        for _ in range(9):
            start, angle = height * chance.between(0.3, 0.55), chance.between(0.3, 2.8)
            reach = height * chance.between(0.22, 0.42)
            end = (reach * math.cos(angle), start + reach * math.sin(angle))
            cutout.limb([(0, start), end], height * 0.02, bark, height * 0.006)
        return
    if kind == "fir":
        for layer in range(4):
            low, half = height * (0.14 + 0.2 * layer), height * (0.24 - 0.05 * layer)
            peak = low + height * 0.34
            cutout.polygon([(-half, low), (half, low), (0, peak)], shaded(leaf, 0.8 + 0.07 * layer))
            cutout.polygon([(half * 0.1, low), (half, low), (0, peak)], shaded(leaf, 0.66 + 0.07 * layer))
        return
    wide = height * (0.13 if kind == "poplar" else 0.27)
    tall = height * (0.4 if kind == "poplar" else 0.26)
    for step in range(14):
        around, out = chance.between(0, 2 * math.pi), chance.between(0.2, 0.75)
        x, y = wide * out * math.cos(around), height * 0.64 + tall * out * math.sin(around)
        brightness = 0.72 + 0.03 * step + 0.12 * math.sin(around)
        cutout.disc((x, y), wide * 0.52, shaded(leaf, brightness), tall * 0.5)


def draw_bush(cutout: Cutout, season: str, chance: Chance) -> None:
    """Draw a low round bush."""
    leaf, size = varied(chance.pick(LEAVES[season]), chance), chance.between(0.5, 0.9)
    for step in range(6):
        x = size * chance.between(-0.9, 0.9)
        cutout.disc((x, size * chance.between(0.45, 0.75)), size * 0.55, shaded(leaf, 0.76 + 0.05 * step))


def draw_lamp(cutout: Cutout, lit: bool, chance: Chance) -> Point:
    """Draw a lamp post, and return the position of the lamp."""
    height, side = chance.between(4.5, 7), chance.pick((-1, 1))
    arm = chance.between(0, 1.2) * side
    cutout.limb([(0, 0), (0, height)], 0.14, STEEL, 0.09)
    cutout.limb([(0, height), (arm, height + 0.15)], 0.07, STEEL)
    cutout.disc((arm, height), 0.3, LAMPLIGHT if lit else mixed(STEEL, WHITE, 0.4), 0.16, glowing=lit)
    return arm, height


def draw_traffic_light(cutout: Cutout, chance: Chance) -> None:
    """Draw a post with a signal of three lamps, one of them lit."""
    cutout.limb([(0, 0), (0, 2.6)], 0.1, STEEL)
    cutout.polygon([(-0.17, 2.3), (0.17, 2.3), (0.17, 3.3), (-0.17, 3.3)], BLACK)
    lit = chance.whole(0, 2)
    for number, colour in enumerate(((60, 200, 110), (250, 190, 60), (236, 50, 46))):
        shown = colour if number == lit else shaded(colour, 0.25)
        cutout.disc((0, 2.47 + 0.32 * number), 0.12, shown, glowing=number == lit)


def draw_sign(cutout: Cutout, chance: Chance) -> None:
    """Draw a road sign: a disc, a triangle or a board on a post."""
    cutout.limb([(0, 0), (0, 2.2)], 0.07, STEEL)
    kind = chance.pick(("disc", "triangle", "board"))
    if kind == "disc":
        cutout.disc((0, 2.3), 0.33, RED)
        cutout.disc((0, 2.3), 0.24, chance.pick((WHITE, (40, 80, 170))))
    elif kind == "triangle":
        cutout.polygon([(-0.4, 1.98), (0.4, 1.98), (0, 2.68)], RED)
        cutout.polygon([(-0.24, 2.08), (0.24, 2.08), (0, 2.5)], WHITE)
    else:
        cutout.polygon([(-0.35, 1.95), (0.35, 1.95), (0.35, 2.65), (-0.35, 2.65)], (40, 84, 160))
        cutout.polygon([(-0.18, 2.05), (0.18, 2.05), (0, 2.5)], WHITE)


def draw_bin(cutout: Cutout, chance: Chance) -> None:
    """Draw a wheeled bin or a litter bin."""
    colour = varied(chance.pick(((58, 96, 66), (52, 58, 66), (42, 84, 140), (150, 60, 44))), chance)
    half, tall = chance.between(0.25, 0.34), chance.between(0.8, 1.1)
    cutout.polygon([(-half * 0.85, 0), (half * 0.85, 0), (half, tall), (-half, tall)], colour)
    cutout.polygon([(half * 0.2, 0), (half * 0.85, 0), (half, tall), (half * 0.2, tall)], shaded(colour, 0.78))
    lid = [(-half * 1.1, tall), (half * 1.1, tall), (half, tall + 0.1), (-half, tall + 0.1)]
    cutout.polygon(lid, shaded(colour, 0.6))


def draw_bollard(cutout: Cutout, chance: Chance) -> None:
    """Draw a low post with a bright band."""
    tall = chance.between(0.8, 1.1)
    cutout.limb([(0, 0), (0, tall)], 0.15, chance.pick((BLACK, STEEL, (120, 44, 40))))
    cutout.polygon([(-0.075, tall * 0.7), (0.075, tall * 0.7), (0.075, tall * 0.84), (-0.075, tall * 0.84)], WHITE)


def draw_obstacle(cutout: Cutout, chance: Chance) -> None:
    """Draw an obstacle on a road that is not a person."""
    chance.pick(_OBSTACLES)(cutout, chance)


def _cones(cutout: Cutout, chance: Chance) -> None:
    for number in range(chance.whole(2, 4)):
        x, tall = 0.55 * number - 0.8 + chance.between(-0.1, 0.1), chance.between(0.75, 1.05)
        cutout.polygon([(x - 0.26, 0), (x + 0.26, 0), (x + 0.26, 0.06), (x - 0.26, 0.06)], shaded(ORANGE, 0.7))
        cutout.polygon([(x - 0.19, 0.05), (x + 0.19, 0.05), (x + 0.03, tall), (x - 0.03, tall)], ORANGE)
        for low, high in ((0.35, 0.5), (0.62, 0.74)):
            a, b = 0.19 - 0.16 * low, 0.19 - 0.16 * high
            cutout.polygon(
                [(x - a, low * tall), (x + a, low * tall), (x + b, high * tall), (x - b, high * tall)], WHITE
            )


def _barrier(cutout: Cutout, chance: Chance) -> None:
    half, paint = chance.between(0.7, 1.2), chance.pick((RED, ORANGE, BLACK, (40, 84, 160)))
    for x in (-half * 0.8, half * 0.8):
        cutout.limb([(x, 0), (x, 1.05)], 0.07, STEEL)
    for low in (0.45, 0.8):
        cutout.polygon([(-half, low), (half, low), (half, low + 0.25), (-half, low + 0.25)], WHITE)
        for stripe in range(4):
            x = -half + half * stripe / 2
            points = [(x, low), (x + half / 4, low), (x + half / 2, low + 0.25), (x + half / 4, low + 0.25)]
            cutout.polygon(points, paint)


def _heap(cutout: Cutout, chance: Chance) -> None:
    """Draw a heap of leaves, sand or snow."""
    colour = varied(
        chance.pick(((190, 116, 50), (206, 180, 130), (110, 98, 84), (222, 226, 230), (96, 120, 66))), chance
    )
    half, tall = chance.between(0.6, 1.1), chance.between(0.4, 0.8)
    cutout.polygon([(half * math.cos(a / 8 * math.pi), tall * math.sin(a / 8 * math.pi)) for a in range(9)], colour)
    for _ in range(14):
        x, y = half * chance.between(-0.8, 0.8), tall * chance.between(0.05, 0.6)
        cutout.disc((x, y), 0.07, shaded(colour, chance.between(0.7, 1.25)), 0.04)


def _boxes(cutout: Cutout, chance: Chance) -> None:
    low = 0.0
    for _ in range(chance.whole(2, 3)):
        half, tall, x = chance.between(0.25, 0.5), chance.between(0.35, 0.55), chance.between(-0.12, 0.12)
        colour = varied(chance.pick((CARDBOARD, CARDBOARD, *CLOTHES)), chance)
        cutout.polygon([(x - half, low), (x + half, low), (x + half, low + tall), (x - half, low + tall)], colour)
        shade = [(x + half * 0.4, low), (x + half, low), (x + half, low + tall), (x + half * 0.4, low + tall)]
        cutout.polygon(shade, shaded(colour, 0.8))
        tape = [(x - 0.04, low), (x + 0.04, low), (x + 0.04, low + tall), (x - 0.04, low + tall)]
        cutout.polygon(tape, shaded(colour, 1.2))
        low += tall


def _barrels(cutout: Cutout, chance: Chance) -> None:
    for number in range(chance.whole(1, 3)):
        x, colour = 0.7 * number - 0.5, varied(chance.pick((*CLOTHES, *TROUSERS)), chance)
        cutout.polygon([(x - 0.3, 0.05), (x + 0.3, 0.05), (x + 0.3, 0.95), (x - 0.3, 0.95)], colour)
        cutout.polygon([(x + 0.08, 0.05), (x + 0.3, 0.05), (x + 0.3, 0.95), (x + 0.08, 0.95)], shaded(colour, 0.78))
        for low in (0.05, 0.35, 0.65, 0.95):
            cutout.disc((x, low), 0.31, shaded(colour, 0.7), 0.04)
        cutout.disc((x, 0.96), 0.28, shaded(colour, 1.15), 0.07)


def _hoarding(cutout: Cutout, chance: Chance) -> None:
    """Draw a tall board on feet, as at road works."""
    colour, band = varied(chance.pick(CLOTHES), chance), varied(chance.pick(CLOTHES), chance)
    half, tall = chance.between(0.45, 0.7), chance.between(1.3, 1.8)
    cutout.polygon([(-half * 1.2, 0), (half * 1.2, 0), (half * 1.2, 0.12), (-half * 1.2, 0.12)], BLACK)
    cutout.polygon([(-half, 0.1), (half, 0.1), (half, tall), (-half, tall)], colour)
    cutout.polygon([(-half * 0.85, tall * 0.6), (half * 0.85, tall * 0.6), (half * 0.85, tall * 0.92),
                    (-half * 0.85, tall * 0.92)], band)  # fmt: skip
    arrow = [(-half * 0.6, 0.35 * tall), (0.1 * half, 0.35 * tall), (0.1 * half, 0.22 * tall), (half * 0.7, 0.4 * tall),
             (0.1 * half, 0.55 * tall), (0.1 * half, 0.45 * tall), (-half * 0.6, 0.45 * tall)]  # fmt: skip
    cutout.polygon(arrow, WHITE)


def _bicycle(cutout: Cutout, chance: Chance) -> None:
    """Draw a bicycle on its stand."""
    colour = varied(chance.pick(CLOTHES), chance)
    for x in (-0.52, 0.52):
        for step in range(16):
            a, b = step * math.pi / 8, (step + 1) * math.pi / 8
            points = [(x + 0.33 * math.cos(t), 0.34 + 0.33 * math.sin(t)) for t in (a, b)]
            cutout.limb(points, 0.05, BLACK)
    frame = [(-0.52, 0.34), (-0.12, 0.34), (0.36, 0.82), (-0.22, 0.82), (-0.12, 0.34)]
    cutout.limb(frame, 0.06, colour)
    cutout.limb([(-0.22, 0.82), (-0.52, 0.34)], 0.05, colour)
    cutout.limb([(0.52, 0.34), (0.34, 0.98), (0.5, 1.02)], 0.05, colour)
    cutout.limb([(-0.32, 0.93), (-0.12, 0.94)], 0.08, BLACK)


def _wheeled_bins(cutout: Cutout, chance: Chance) -> None:
    draw_bin(cutout, chance)


_OBSTACLES: tuple[Callable[[Cutout, Chance], None], ...] = (
    _cones, _barrier, _barrier, _heap, _boxes, _boxes, _barrels, _hoarding, _hoarding, _bicycle, _wheeled_bins,
)  # fmt: skip
