"""Committed figures in a browser: no text leaves the canvas."""

import subprocess
from pathlib import Path

import pytest

from support.browser import Open
from support.places import EXPECTED, ROOT

FIGURES = ["git", "ls-files", "results/*.svg", f"{EXPECTED}/*.svg"]
LISTED = subprocess.run(FIGURES, cwd=ROOT, capture_output=True, text=True, check=True).stdout
OUTSIDE = """() => {
  const svg = document.documentElement, page = svg.getBoundingClientRect();
  const words = text => [...text.childNodes].filter(node => node.nodeType === Node.COMMENT_NODE)[0]?.data.trim();
  return [...svg.querySelectorAll('g[id^="text_"]')].map(text => [words(text), text.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.left < page.left - 1 || box.right > page.right + 1 ||
                                       box.top < page.top - 1 || box.bottom > page.bottom + 1))
    .map(([name]) => name);
}"""


@pytest.mark.parametrize("folder", sorted({str(Path(name).parent) for name in LISTED.split()}))
def test_every_text_is_inside_its_canvas(folder: str, opened: Open) -> None:
    found = {}
    for name in (name for name in LISTED.split() if str(Path(name).parent) == folder):
        page = opened(ROOT / name, width=2400, height=2400)
        assert page.locator('g[id^="text_"]').count(), name
        if outside := page.evaluate(OUTSIDE):
            found[name] = outside
    assert not found
