"""The report site: links, numbers, verdicts, a build that fails; and, in a browser, what its scripts do."""

import csv
import json
import re
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2
import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from covidqu.cli import main
from covidqu.config.params import Params
from covidqu.page import audit, curves
from covidqu.page import site as site_module
from covidqu.page.built import table
from covidqu.page.pages import pages
from covidqu.page.site import page
from covidqu.report.comparison import comparison
from covidqu.report.core.runs import HEADLINES
from covidqu.report.core.sources import Sources
from covidqu.report.figures import figure
from covidqu.report.tables import build, write
from support.browser import Open, inaccessible, scrolls_sideways
from support.places import ROOT
from support.synthetic_runs import (
    settings,
    write_architectures,
    write_baselines,
    write_data,
    write_explained,
    write_run,
)

RUNS = ("swin-dual-lung", "swin-dual-infection", "unetpp-b3", "unet-roi-lung", "unet-roi-infection", "recon-mtl-t123")
TABLES = (
    "common/overview",
    "common/cross-system",
    "common/data",
    "common/leakage",
    "common/protocols",
    "swin-dual/table-1",
)
TABLES += (
    "swin-dual/table-5",
    "unetpp-b3/table-1",
    "unetpp-b3/table-2",
    "recon-mtl/table-2",
    "audit/000-false-infection",
)
FILES = [item.file for group in pages().values() for item in group]
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
Made = tuple[Params, Path, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Parameters, the data and a results folder with a site in `report`; unetpp-b3 is a reduced run."""
    folder, params = tmp_path_factory.mktemp("page"), settings()
    data, results = folder / "data", folder / "results"
    write_data(data, ("infection",))
    complete_duplicates(data)
    for run in RUNS:
        write_run(results, params, run, {"epochs": 3, "init": "random"} if run == "unetpp-b3" else {})
    write_explained(results, params, "swin-dual-infection")
    write_architectures(results, params)
    write_baselines(results, params)
    sources = Sources(params, data, results)
    for name in TABLES:
        write(build(sources, name), results / "tables" / name)
    comparison(params, data, results, results / "comparison.csv")
    figure(Sources(params, data, results), "swin-dual/figure-2", results / "figures/swin-dual/figure-2.svg")
    drawing = results / "figures/reference/architecture.svg"
    drawing.parent.mkdir(parents=True)
    drawing.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    scored = folder / "scored"  # the packed images are not those of the made-up scores
    shutil.copytree(data, scored, ignore=shutil.ignore_patterns("*.npy"))
    page(params, scored, results, results / "report", [ROOT / "params.yaml"])
    return params, data, results


def complete_duplicates(data: Path) -> None:
    """The audit's pairs with all their columns."""
    ids = pd.read_parquet(data / "packed" / "index.parquet")["id"].to_numpy()
    pairs = pd.read_parquet(data / "audit" / "duplicates.parquet")
    pairs = pairs.assign(id_a=ids[pairs["a"]], id_b=ids[pairs["b"]])
    pairs.to_parquet(data / "audit" / "duplicates.parquet")


@pytest.fixture(scope="module")
def report(made: Made) -> Path:
    return made[2] / "report"


@dataclass
class Document(HTMLParser):
    """What a page holds: ids, targets of links and resources, faults of its markup, exact numbers per table class."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = dict(attributes)
        self.ids += [known["id"]] if known.get("id") else []
        if tag == "a":
            self.links.append(known.get("href") or "")
        elif "src" in known or (tag == "link" and "href" in known):
            self.resources.append(known.get("src") or known.get("href") or "")
        if tag == "img" and not known.get("alt"):
            self.faults.append(f"line {self.getpos()[0]}: an image without words")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"line {self.getpos()[0]}: </{tag}> closes nothing")


def read(path: Path) -> Document:
    found = Document()
    found.feed(path.read_text(encoding="utf-8"))
    found.close()
    return found


@pytest.mark.parametrize("file", FILES)
def test_page_is_whole_and_local(report: Path, file: str):
    found = read(report / file)
    assert not found.faults and not found.open
    assert len(set(found.ids)) == len(found.ids)
    assert {"content"} <= set(found.ids)
    for link in found.links + found.resources:
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https" and link in found.links, f"{file} loads {link}"
            continue
        target = report / unquote(parts.path) if parts.path else report / file
        assert target.is_file(), f"{file} names {link}, which is not there"
        if parts.fragment and target.suffix == ".html" and not parts.fragment.startswith("case="):
            assert unquote(parts.fragment) in read(target).ids, f"{file}: no place {link}"


def test_styles_load_nothing(report: Path):
    for sheet in (report / "assets").glob("*.css"):
        assert not re.search(r"@import|url\(\s*[\"']?(https?:)?//", sheet.read_text())


def test_pages_say_what_they_are_not(report: Path):
    for file in FILES:
        text = (report / file).read_text()
        assert "Not for diagnosis." in text
        assert "1 of 6 runs are reduced" in text


def records(results: Path, name: str) -> list[dict[str, str]]:
    with (results / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_numbers_of_the_overview_are_those_of_the_table(made: Made, report: Path):
    rows = records(made[2], "common/overview")
    text = (report / "index.html").read_text()
    body = text[text.index('class="sortable headlines"') :]
    body = body[: body.index("</table>")]
    shown_numbers = re.findall(r'<data value="([^"]+)">([^<]+)</data>', body)
    columns = ("measured_paper", "measured_correct", "ci_low", "ci_high", "n")
    assert sorted(exact for exact, _ in shown_numbers) == sorted(row[c] for row in rows for c in columns if row[c])
    for exact, words in shown_numbers:
        decimals = len(words.partition(".")[2])
        assert abs(float(words.replace(",", "")) - float(exact)) <= 0.5 * 10**-decimals + 1e-12
        assert decimals >= 1 or float(exact) == int(float(exact))
    for row in rows:
        assert f">{row['published']}</td>" in body


def test_ours_has_a_page_of_its_own(made: Made, report: Path):
    """Its figures and tables, and links to where it stands beside the papers' systems; no word of a print."""
    found, text = read(report / "reference.html"), (report / "reference.html").read_text()
    pictures = {f"reference-{name}-picture" for name in ("architecture", "curves-reference")}
    assert pictures | {"common-ablations"} <= set(found.ids)
    assert "statistics.html#common-cross-system" in found.links
    assert not {"common-ablations", "common-worst-cases"} & set(read(report / "statistics.html").ids)
    assert "reference/architecture.svg" in " ".join(found.resources) and "printed" not in text.split("<main")[1]


def test_layout_of_a_paper_holds_each_printed_value(made: Made):
    params, data, results = made
    found = table(Sources(params, data, results), "swin-dual/table-5")
    printed = {(r["row"], r["column"]): r["published"] for r in records(results, "swin-dual/table-5") if r["published"]}
    cells = {(cell["row"], cell["column"]): cell["published"] for _, line in found.layout for cell in line if cell}
    assert cells == printed
    assert len(printed) == 18


def test_one_set_of_predictions_under_each_protocol_is_one_line(made: Made):
    """The lens: runs down, protocols across, a grid per measure; every number of the CSV is in one of them."""
    params, data, results = made
    sources = Sources(params, data, results)
    found = table(sources, "common/protocols")
    grids = {what: (columns, dict(rows)) for what, columns, rows in found.grids}
    columns, rows = grids["dice"]
    assert len(columns) == 7 and columns[:2] == ["img_covid", "pooled_covid"]
    wanted = ("unetpp-b3", "img_all_e1 dice")
    record = next(r for r in records(results, "common/protocols") if (r["row"], r["column"]) == wanted)
    assert rows["unetpp-b3"][columns.index("img_all_e1")]["measured_paper"] == record["measured_paper"] != ""
    shown = sum(cell is not None for _, _, rows in found.grids for _, cells in rows for cell in cells)
    assert shown == len(found.rows)
    assert table(sources, "unetpp-b3/table-2").grids == [], "printed values have the paper's own layout"


def test_heading_is_taken_apart(made: Made):
    params, data, results = made
    found = table(Sources(params, data, results), "unetpp-b3/table-2")
    assert found.caption == "Table 2: overall test set performance"
    assert found.deviations == ["NOT PRETRAINED (encoder weights: none)", "REDUCED RUN (epochs 3 instead of 30)"]


def test_twins_stand_side_by_side(made: Made, tmp_path: Path):
    params, data, results = made
    found = audit.context(Sources(params, data, results), tmp_path)
    first, second = found["pairs"]  # the one across splits first
    assert first["across_splits"] and first["exact"] and not second["across_splits"]
    assert [side["split"] for side in first["sides"]] == ["Train", "Test"]
    for side in first["sides"]:
        assert cv2.imread(str(tmp_path / side["file"])).shape == (256, 256, 3)
    lungs, infection = (json.loads(area["spec"]) for area in found["areas"])
    values = {name: part["values"] for name, part in (("lungs", lungs["data"]), ("infection", infection["data"]))}
    index = pd.read_parquet(data / "packed" / "index.parquet")
    for name, rows in (("lungs", index), ("infection", index[index["infection_px"] > 0])):
        assert sum(bar["n"] for bar in values[name]) == len(rows)


def test_without_images_the_pairs_are_not_there(report: Path):
    assert "No pairs are shown: the packed images are not here" in (report / "data.html").read_text()


def test_a_broken_table_is_named(made: Made, tmp_path: Path):
    params, data, _ = made
    broken = tmp_path / "tables/common/data.csv"
    broken.parent.mkdir(parents=True)
    broken.write_text("row,column\na,b\n")
    with pytest.raises(ValueError, match=r"data\.csv: damaged \(lacks 'published'\)"):
        table(Sources(params, data, tmp_path), "common/data")


def test_a_build_that_fails_leaves_the_old_site(made: Made, monkeypatch: pytest.MonkeyPatch):
    params, data, results = made
    before = {file: file.read_bytes() for file in (results / "report").rglob("*.html")}

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(site_module.methods, "context", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        page(params, data.with_name("scored"), results, results / "report")
    assert {file: file.read_bytes() for file in (results / "report").rglob("*.html")} == before
    assert [path.name for path in results.iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_is_no_report_is_kept(made: Made, tmp_path: Path):
    params, data, results = made
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="not a report"):
        page(params, data, results, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


# in a browser


def column(view: Page, selector: str, place: int) -> list[str]:
    """Exact texts of a column's cells, top down, without those that hold no number."""
    script = (
        "(rows, i) => rows.map(r => (r.cells[i].querySelector('data') || {value: r.cells[i].textContent}).value.trim())"
    )
    found = view.locator(f"{selector} tbody tr").evaluate_all(script, place)
    return [text for text in found if text not in ("", "not run")]


def test_navigation_reaches_every_page(report: Path, opened: Open):
    view = opened(report / "index.html")
    seen = set()
    for file in FILES:
        view.locator(f'header nav a[href="{file}"]').click()
        view.wait_for_url(f"**/{file}")
        expect(view.locator("header nav a[aria-current=page]")).to_have_count(1)
        seen.add(view.locator("h1").inner_text())
    assert len(seen) == len(FILES)


def test_skip_link_is_the_first_stop(report: Path, opened: Open):
    view = opened(report / "methods.html")
    view.keyboard.press("Tab")
    expect(view.locator(".skip")).to_be_focused()
    view.keyboard.press("Enter")
    expect(view.locator("#content")).to_be_focused()


def test_columns_sort_up_down_and_back(report: Path, opened: Open):
    view = opened(report / "index.html")
    selector = "table.headlines"
    header = view.locator(f"{selector} thead th").nth(2)
    before = column(view, selector, 2)
    header.locator("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert column(view, selector, 2) == sorted(before, key=float)
    header.locator("button").press("Enter")
    assert column(view, selector, 2) == sorted(before, key=float, reverse=True)
    header.locator("button").click()
    assert column(view, selector, 2) == before != sorted(before, key=float)


def test_filter_leaves_rows_with_all_words(made: Made, report: Path, opened: Open):
    view = opened(report / "statistics.html")
    rows = records(made[2], "common/protocols")
    wanted = [r for r in rows if "unetpp-b3" in r["row"] and "img_covid" in r["column"]]
    assert 0 < len(wanted) < len(rows)
    view.locator("#common-protocols details:not(.deviations) > summary").click()
    view.locator("#common-protocols-filter").fill("UNETPP-b3 img_covid")
    expect(view.locator("#common-protocols table[data-filter] tbody tr:visible")).to_have_count(len(wanted))
    expect(view.locator("#common-protocols output")).to_have_text(f"{len(wanted)} of {len(rows)} rows")


def test_link_into_a_closed_run_opens_it(report: Path, opened: Open):
    view = opened(report / "provenance.html", "swin-dual-infection")
    expect(view.locator("#swin-dual-infection dl")).to_be_visible()


def test_curves_follow_the_choice(report: Path, opened: Open):
    view = opened(report / "curves.html")
    lines, said = view.locator("#curves-chart .mark-line path"), view.locator("#curves-say")
    chosen = view.locator("input[name=run]:checked").count()
    expect(said).to_contain_text(f"loss: {chosen} of {len(RUNS)} runs")
    expect(lines).to_have_count(2 * chosen)  # training and validation
    view.locator("#none").click()
    expect(said).to_contain_text("0 of")
    expect(lines).to_have_count(0)
    view.locator("input[value=unetpp-b3]").check()
    expect(lines).to_have_count(2)
    view.locator("#training-too").uncheck()
    expect(lines).to_have_count(1)
    straight = lines.first.get_attribute("d")
    view.locator("#log").check()
    expect(lines.first).not_to_have_attribute("d", straight or "")
    view.locator("#metric").select_option("lung_dice")
    expect(said).to_contain_text("No lung Dice in unetpp-b3")


def test_charts_are_drawn(report: Path, opened: Open):
    view = opened(report / "index.html")
    expect(view.locator("#headline-chart svg .mark-symbol path").first).to_be_visible()


@pytest.mark.parametrize("file", FILES)
def test_a_phone_does_not_scroll_sideways(report: Path, opened: Open, file: str):
    view = opened(report / file, width=360, height=740)
    view.wait_for_load_state("load")
    assert not scrolls_sideways(view)


def test_dark_mode_reaches_page_and_charts(report: Path, opened: Open):
    def colours(dark: bool) -> tuple[int, str]:
        view = opened(report / "index.html", dark=dark)
        label = view.locator("#headline-chart svg text").first
        expect(label).to_be_visible()
        page_colour = view.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", page_colour)[:3])), label.get_attribute("fill") or ""

    light, dark = colours(dark=False), colours(dark=True)
    assert light[0] > 3 * 200 > 3 * 60 > dark[0]
    assert light[1] != dark[1]


def test_overview_opens_with_the_systems_and_names_the_papers(report: Path, opened: Open):
    text = (report / "index.html").read_text()
    assert text.index('id="leaderboard"') < text.index('id="papers"') < text.index('id="headlines"')
    assert "No full-size run yet" not in text, "five of the six runs are full ones"
    view = opened(report / "index.html")
    ours = view.locator("table.leaders tr.ours").bounding_box()
    assert ours and ours["y"] + ours["height"] <= 900, "ours is seen without scrolling"
    assert "Normal" in view.locator("table.leaders thead").inner_text()
    assert "other pneumonia" in view.locator("table.leaders thead").inner_text()
    for system, title in (
        ("recon-mtl", "Multi-task Deep Learning Based CT Imaging Analysis"),
        ("swin-dual", "Practice 3"),
    ):
        assert title in text and title in (report / f"paper-{system}.html").read_text()


def test_what_was_reduced_is_a_badge_with_a_link(report: Path):
    for file in ("index.html", "paper-unetpp-b3.html", "statistics.html"):
        text = (report / file).read_text()
        assert 'class="badge reduced" href="provenance.html#deviations"' in text
        assert "instead of" not in text, "settings stand on Provenance alone"


def test_a_remark_stands_once_on_its_page(report: Path):
    text = (report / "statistics.html").read_text()
    remarks = re.findall(r'<li id="note-\d+">(.*?)</li>', text, re.DOTALL)
    assert remarks and len(set(remarks)) == len(remarks)
    assert all(text.count(remark) == 1 for remark in remarks)


def test_the_chart_has_room_on_a_phone(report: Path, opened: Open):
    view = opened(report / "index.html", width=390, height=844)
    plot = view.locator("#headline-chart svg .mark-group.role-frame .background").first
    expect(plot).to_be_attached()
    assert plot.bounding_box()["width"] > 100


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(report: Path, opened: Open, width: int, dark: bool):
    found = {}
    some = ("index.html", "cases.html", "paper-unetpp-b3.html")  # one page of a kind; light and dark, wide and narrow
    for file in FILES if (width == 1280) is not dark else some:
        view = opened(report / file, width=width, dark=dark)
        if view.locator("figure.chart").count():
            expect(view.locator("figure.chart svg.marks").first).to_be_visible()
        if faults := inaccessible(view):
            found[file] = faults
        view.context.close()
    assert not found


@pytest.mark.parametrize(("file", "last"), [("index.html", "Images"), ("statistics.html", "Run and remark")])
def test_paper_holds_whole_tables_with_their_headers(report: Path, opened: Open, tmp_path: Path, file: str, last: str):
    view = opened(report / file)
    view.emulate_media(media="print")
    wide = view.locator("table").evaluate_all(
        "all => all.filter(t => t.checkVisibility() && t.getBoundingClientRect().right > innerWidth).length"
    )
    assert not wide
    view.locator("table").evaluate_all("all => all.forEach(t => t.closest('details')?.setAttribute('open', ''))")
    view.pdf(path=tmp_path / "printed.pdf", prefer_css_page_size=True)
    sheets = [" ".join(sheet.extract_text().split()) for sheet in PdfReader(tmp_path / "printed.pdf").pages]
    assert sum(last in sheet for sheet in sheets) >= 1
    long = [sheet for sheet in sheets if "Ours, correct protocol" in sheet or f" {last}" in sheet]
    assert len(long) >= 2, "a header stands on every sheet that its table goes on to"


def test_runs_that_are_shown_first_have_colours_of_their_own(report: Path, opened: Open):
    view = opened(report / "curves.html")
    lines = view.locator("#curves-chart .mark-line path")
    chosen = view.locator("input[name=run]:checked").count()
    expect(lines).to_have_count(2 * chosen)
    strokes = lines.evaluate_all("all => all.map(path => path.getAttribute('stroke'))")
    assert len(set(strokes)) == chosen > 3
    assert len(set(curves.PALETTE)) >= len(HEADLINES) - 1, "one of the headline runs takes the weights of another"


def test_a_public_site_has_no_image_of_a_patient(made: Made, tmp_path: Path):
    params, data, results = made
    folder = tmp_path / "results"
    shutil.copytree(results, folder, ignore=shutil.ignore_patterns("report"))
    (folder / "figures/swin-dual/figure-9.png").write_bytes(b"an X-ray with outlines")
    page(params, data, folder, tmp_path / "site", public=True)
    kept = {path.suffix for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert kept == {".html", ".css", ".js", ".svg", ".csv", ".yaml"}
    assert "The X-rays are not here" in (tmp_path / "site/cases.html").read_text()
    assert "figure-9-picture" not in " ".join(read(tmp_path / "site/paper-swin-dual.html").resources)
    arguments = ["page", "--public", "--data", str(data), "--results", str(folder), "--out", str(tmp_path / "other")]
    assert main(["--params", str(ROOT / "params.yaml"), *arguments]) == 0, "the documented command"
    assert (tmp_path / "other/index.html").is_file() and not list((tmp_path / "other").rglob("*.webp"))


def test_the_page_that_reads_is_linked_where_it_lies_beside(made: Made, tmp_path: Path) -> None:
    params, data, results = made
    for there in (False, True):
        if there:
            (tmp_path / "reader").mkdir()
            (tmp_path / "reader" / "reader.css").touch()
        page(params, data.with_name("scored"), results, tmp_path / "report")
        linked = ["../reader/index.html" in (tmp_path / "report" / file).read_text() for file in FILES]
        assert set(linked) == {there}
