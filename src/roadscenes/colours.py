"""Colours: mixing, and the palettes of streets and people."""

from roadscenes.chance import Chance

Colour = tuple[int, int, int]
Tint = tuple[float, float, float]

WHITE: Colour = (240, 240, 236)
BLACK: Colour = (26, 27, 32)
STEEL: Colour = (96, 102, 108)
GLASS: Colour = (92, 120, 140)
LAMPLIGHT: Colour = (255, 222, 150)

WALLS: tuple[Colour, ...] = (
    (214, 186, 148), (188, 108, 84), (226, 214, 190), (172, 182, 188), (202, 146, 110), (148, 84, 70),
    (186, 198, 172), (222, 176, 158), (150, 158, 176), (236, 224, 160), (120, 126, 132), (92, 72, 66),
    (170, 204, 214), (206, 206, 202),
)  # fmt: skip
ROOFS: tuple[Colour, ...] = ((140, 66, 52), (88, 76, 74), (66, 72, 84), (164, 92, 62), (104, 60, 56))
CLOTHES: tuple[Colour, ...] = (
    (186, 44, 48), (36, 62, 120), (40, 44, 52), (226, 222, 212), (58, 120, 88), (222, 168, 52), (122, 74, 142),
    (84, 140, 190), (150, 96, 62), (214, 110, 60), (112, 118, 124), (226, 150, 168), (70, 84, 52), (24, 26, 40),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (42, 52, 84), (34, 36, 44), (92, 84, 76), (70, 96, 140), (120, 112, 98), (176, 160, 130), (54, 48, 46),
    (86, 90, 98),
)  # fmt: skip
SKINS: tuple[Colour, ...] = (
    (244, 208, 180), (232, 190, 158), (214, 164, 126), (186, 134, 98), (150, 100, 70), (112, 72, 50), (84, 54, 40),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (36, 28, 26), (62, 42, 32), (104, 70, 44), (164, 120, 66), (206, 174, 112), (134, 62, 38), (158, 156, 152),
)  # fmt: skip
CARS: tuple[Colour, ...] = (
    (170, 36, 40), (34, 62, 118), (46, 48, 54), (222, 222, 220), (150, 156, 160), (58, 104, 92), (214, 160, 50),
    (96, 134, 170), (120, 60, 50), (24, 26, 30),
)  # fmt: skip
LEAVES: dict[str, tuple[Colour, ...]] = {
    "spring": ((124, 172, 84), (150, 190, 98), (222, 170, 184)),
    "summer": ((62, 118, 62), (84, 138, 66), (48, 96, 68)),
    "autumn": ((206, 124, 46), (186, 78, 44), (216, 168, 66)),
    "winter": ((96, 84, 76), (58, 84, 72), (226, 230, 234)),
}
GRASS: dict[str, Colour] = {
    "spring": (132, 172, 92),
    "summer": (110, 146, 78),
    "autumn": (152, 144, 84),
    "winter": (226, 230, 234),
}


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """Mix a colour with a share of another colour, 0 to 1."""
    (red, green, blue), (r, g, b) = colour, other
    return int(red + (r - red) * share), int(green + (g - green) * share), int(blue + (b - blue) * share)


def tinted(colour: Colour, tint: Tint) -> Colour:
    """Light a colour by coloured light; 1 is white light."""
    (red, green, blue), (r, g, b) = colour, tint
    return min(255, int(red * r)), min(255, int(green * g)), min(255, int(blue * b))


def shaded(colour: Colour, brightness: float) -> Colour:
    """Light a colour more or less; 1 leaves the colour unchanged."""
    return tinted(colour, (brightness, brightness, brightness))


def varied(colour: Colour, chance: Chance, by: int = 14) -> Colour:
    """Vary a colour at random, by at most `by` levels per channel."""
    red, green, blue = (min(255, max(0, level + chance.whole(-by, by))) for level in colour)
    return red, green, blue
