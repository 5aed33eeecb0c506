"""Colours of all figures: Okabe and Ito 2008, told apart by readers with any common kind of colour blindness."""

from covidqu.config.data import CLASSES

BLUE, ORANGE, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#595959", "#000000"
LIGHT_BLUE, YELLOW, PURPLE = (
    "#56B4E9",
    "#F0E442",
    "#CC79A7",
)  # the first two: contours, far apart in lightness
LINES = (BLUE, ORANGE, GREEN, PURPLE)
CLASS_COLOURS = dict(zip(CLASSES, (ORANGE, BLUE, GREEN), strict=True))
