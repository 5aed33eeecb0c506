"""Whether two SVG figures of matplotlib show the same numbers.

Input: the text of two files. Output: one line per text, shape or colour that moved. A figure is read as parts, each
called by the identifiers around it (`axes_1/line2d_3`). Hashed identifiers, glyphs and metadata are no content.
"""

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

TOLERANCE = 0.01  # points; a Dice axis of 280 points moves by that for a difference of 4e-5
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
LINKS = ("id", "clip-path", "{http://www.w3.org/1999/xlink}href")  # names that depend on hashes of coordinates
NO_CONTENT = ("{http://www.w3.org/2000/svg}metadata", "{http://www.w3.org/2000/svg}defs")


@dataclass
class Part:
    """What is drawn in one place: written texts, kinds of shapes and their colours, and coordinates in points."""

    texts: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)


def compare_svg(was: str, now: str, tolerance: float = TOLERANCE) -> list[str]:
    """Differences between two figures in words, none when only unseen details differ.

    Coordinates may differ by `tolerance`; ValueError when a file is no well-formed SVG.
    """
    old, new = parts(was), parts(now)
    faults = [f"{place}: is missing" for place in old if place not in new]
    faults += [f"{place}: is new" for place in new if place not in old]
    for place in (place for place in old if place in new):
        faults += [f"{place}: {words}" for words in _moved(old[place], new[place], tolerance)]
    return faults


def parts(svg: str) -> dict[str, Part]:
    """Place -> what is drawn there, in the order of the file. Comments hold the texts that are drawn as glyphs."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    try:
        root = ET.fromstring(svg, parser=parser)
    except ET.ParseError as error:
        raise ValueError(f"not well-formed SVG ({error}); write the figure again") from None
    found: dict[str, Part] = {}
    _read(root, "", found)
    return found


def _read(node: ET.Element, place: str, found: dict[str, Part]) -> None:
    if node.tag in NO_CONTENT:
        return
    name = node.get("id")
    place = "/".join(word for word in (place, name) if word)
    part = found.setdefault(place or "figure", Part())
    if node.tag is ET.Comment:
        part.texts.append((node.text or "").strip())
        return
    if _is_glyph(node):
        return
    part.shapes.append(str(node.tag).rpartition("}")[2])
    for key, value in node.attrib.items():
        if key == "style":  # colours, and widths of lines
            part.shapes.append(value)
        elif key not in LINKS:
            part.shapes.append(NUMBER.sub("#", value))
            part.numbers += [float(number) for number in NUMBER.findall(value)]
    for child in node:
        _read(child, place, found)


def _is_glyph(node: ET.Element) -> bool:
    """Markers are used by hash, glyphs by the name of their font: their text is in a comment."""
    link = node.get(LINKS[-1], "")
    return bool(re.fullmatch(r"#[A-Za-z]+(-[A-Za-z]+)*-[0-9a-f]+", link))


def _moved(was: Part, now: Part, tolerance: float) -> list[str]:
    if was.texts != now.texts:
        return [f"text moved: '{' '.join(was.texts)}' -> '{' '.join(now.texts)}'"]
    if len(was.numbers) != len(now.numbers):
        return [f"{len(was.numbers)} coordinates -> {len(now.numbers)}"]
    found = []
    if was.shapes != now.shapes:
        changed = [pair for pair in zip(was.shapes, now.shapes, strict=False) if pair[0] != pair[1]]
        shown = f"'{changed[0][0]}' -> '{changed[0][1]}'" if changed else f"{len(was.shapes)} -> {len(now.shapes)}"
        found.append(f"shape or colour moved: {shown}")
    pairs = [pair for pair in zip(was.numbers, now.numbers, strict=True) if abs(pair[0] - pair[1]) > tolerance]
    if pairs:
        one, other = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
        found.append(f"{len(pairs)} coordinates moved, the farthest {one:g} -> {other:g} (tolerance {tolerance:g})")
    return found
