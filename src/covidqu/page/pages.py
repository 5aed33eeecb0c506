"""Which pages there are, in the order of the navigation. Output: `Page` records; imports nothing heavy."""

from dataclasses import dataclass
from urllib.parse import quote

from covidqu.report.core.published import SYSTEMS, paper

RESULTS, PAPERS, OURS, ABOUT = "Results", "Papers", "Ours", "About"


@dataclass(frozen=True)
class Page:
    """`file`: name beside index.html; `template` renders it; `short`: words of the navigation."""

    file: str
    template: str
    title: str
    short: str
    group: str


OVERVIEW = Page("index.html", "index.html", "Five papers, printed and measured", "Overview", RESULTS)
STATISTICS = Page("statistics.html", "statistics.html", "Statistics across systems", "Statistics", RESULTS)
CASES = Page("cases.html", "cases.html", "Case explorer", "Cases", RESULTS)
CURVES = Page("curves.html", "curves.html", "Training curves", "Curves", RESULTS)
REFERENCE = Page("reference.html", "reference.html", "Ours: the reference system", "reference", OURS)
DATA = Page("data.html", "data.html", "The data", "Data", ABOUT)
METHODS = Page("methods.html", "methods.html", "Methods and limits", "Methods", ABOUT)
PROVENANCE = Page("provenance.html", "provenance.html", "Provenance", "Provenance", ABOUT)


def paper_page(system: str) -> Page:
    """The page of one paper."""
    source = paper(system)
    title = f"Paper {source.paper}: {source.name}"
    return Page(paper_file(system), "paper.html", title, system, PAPERS)


def paper_file(system: str) -> str:
    """File of a paper's page."""
    return f"paper-{system}.html"


def pages() -> dict[str, list[Page]]:
    """Group of the navigation -> its pages."""
    return {
        RESULTS: [OVERVIEW, STATISTICS, CASES, CURVES],
        PAPERS: [paper_page(system) for system in SYSTEMS],
        OURS: [REFERENCE],
        ABOUT: [DATA, METHODS, PROVENANCE],
    }


def case_link(image: str) -> str | None:
    """Where the case explorer shows a test image of the infection subset; None for another image, or other text."""
    head = "infection/Test/"
    return f"{CASES.file}#case={quote(image.removeprefix(head))}" if image.startswith(head) else None
