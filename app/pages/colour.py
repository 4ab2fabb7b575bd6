"""A shop's own colour, made legible: darker on light ground and lighter on dark, as far as it has to be.

Contrast is that of WCAG 2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
"""

import re
from colorsys import hls_to_rgb, rgb_to_hls
from functools import lru_cache

SHAPE = re.compile("#?[0-9a-f]{6}")
# Text needs 4.5 (WCAG 1.4.3); some more, so that it is so on the ground and on cards alike.
ENOUGH = 5.0
LIGHT, DARK = "#f6f7f9", "#19212a"
_WHITE, _BLACK = "#ffffff", "#0c1722"
_STEP = 0.02


def contrast(one: str, other: str) -> float:
    """From 1 to 21, of two colours such as `#1d4f7c`."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@lru_cache(1_000)
def stylesheet(accent: str) -> str:
    """The variables of `page.css` for an accent, on light ground and on dark."""
    light, dark = _legible(accent, LIGHT, -_STEP), _legible(accent, DARK, _STEP)
    return (
        f":root{{--accent:{light};--on-accent:{_written_on(light)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{--accent:{dark};--on-accent:{_written_on(dark)}}}}}"
    )


def _written_on(colour: str) -> str:
    return max(_WHITE, _BLACK, key=lambda ink: contrast(ink, colour))


def _legible(colour: str, ground: str, step: float) -> str:
    """The colour, or the nearest of the same hue that has enough contrast."""
    hue, lightness, saturation = rgb_to_hls(*_parts(colour))
    while contrast(colour, ground) < ENOUGH and 0 < lightness + step < 1:
        lightness += step
        colour = "#" + "".join(f"{round(part * 255):02x}" for part in hls_to_rgb(hue, lightness, saturation))
    return colour


def _luminance(colour: str) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parts(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue
