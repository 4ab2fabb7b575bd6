"""A shop's colour can be read wherever it is used, whatever it is."""

import random
import re

from app.pages.colour import DARK, LIGHT, contrast, stylesheet


def test_contrast_is_that_of_wcag() -> None:
    assert round(contrast("#ffffff", "#000000"), 2) == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
    assert contrast("#1d4f7c", "#1d4f7c") == 1


def test_every_colour_is_made_legible() -> None:
    dice = random.Random(1)
    colours = ["#ffffff", "#000000", "#ffff00", "#0000ff", *(f"#{dice.randrange(1 << 24):06x}" for _ in range(200))]
    for colour in colours:
        light, ink_of_light, dark, ink_of_dark = re.findall(r"#[0-9a-f]{6}", stylesheet(colour))
        assert contrast(light, LIGHT) >= 4.5, colour
        assert contrast(dark, DARK) >= 4.5, colour
        assert contrast(light, ink_of_light) >= 4.5, colour
        assert contrast(dark, ink_of_dark) >= 4.5, colour


def test_a_colour_that_is_legible_stays() -> None:
    assert "--accent:#1d4f7c" in stylesheet("#1d4f7c")
