"""README's picture: one phantom of a finished demo in the report's case explorer, annotated and as two networks see it.

python docs/pictures/make.py [results/demo/report]      (wants chromium)

Reports that show patients are refused: their images may not be published here.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

OUT = Path(__file__).with_name("case.webp")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CASE = "order=highest&case=COVID-19%2Fcovid_40"
MARGIN, WINDOW = 8, {"width": 1280, "height": 1000}


def picture(report: Path) -> Image.Image:
    """The two panels of the case with the legend of their outlines; ValueError for a report of patients."""
    program = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if program is None:
        raise ValueError(f"no browser: none of {', '.join(BROWSERS)} is on the path; install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=WINDOW)
        page.goto(f"{(report / 'cases.html').resolve().as_uri()}#{CASE}")
        if "synthetic phantoms" not in page.inner_text("body"):
            raise ValueError(f"{report}: no report of the demo; make it with workflow/overlays/demo.yaml")
        page.locator("#panels img").first.wait_for()
        page.add_style_tag(content="#detail > :not(#panels) { display: none }")
        page.wait_for_timeout(500)  # outlines are drawn after the image
        page.evaluate("window.scrollTo(0, document.getElementById('layers').offsetTop)")
        top, bottom = (page.locator(name).bounding_box() for name in ("#layers", "#panels"))
        if top is None or bottom is None:
            raise ValueError(f"{report}: the explorer shows no case {CASE}")
        left, right = top["x"] - MARGIN, top["x"] + top["width"] + MARGIN
        clip = {"x": left, "y": top["y"], "width": right - left, "height": bottom["y"] + bottom["height"] - top["y"]}
        shot = Image.open(io.BytesIO(page.screenshot(clip=clip)))
        browser.close()
    return shot.convert("RGB")


if __name__ == "__main__":
    picture(Path(sys.argv[1] if len(sys.argv) > 1 else "results/demo/report")).save(OUT, quality=80)
