"""Step `page`: the report as a static site that needs neither server nor network.

Input: the data folder (index, audit, packed images; optional), the results folder (tables, figures, comparison.csv,
cards, histories) and the parameter files; output: the folder `out`, written under a temporary name and then renamed, so
that a build that fails leaves the site that was there.
"""

import re
import shutil
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup, escape

from covidqu.config.params import Params
from covidqu.page import audit, cases, charts, curves, methods, overview, pages
from covidqu.page.built import BuiltFigure, figures, notes, table, tables
from covidqu.page.citations import references
from covidqu.page.folder import replacing_folder
from covidqu.page.numbers import number, percent, printed
from covidqu.page.public import Public, figure_kinds
from covidqu.page.reader import MARK as READER
from covidqu.page.runs import RunState, by_system, reduced, states
from covidqu.report import catalogue
from covidqu.report.core.artefacts import Page
from covidqu.report.core.published import OURS, SYSTEMS, paper
from covidqu.report.core.sources import Sources


def page(
    params: Params, data: Path, results: Path, out: Path, settings: list[Path] | None = None, *, public: bool = False
) -> None:
    """Write the site to `out`; `settings`: the parameter files, kept beside it; `public`: without patients' images.

    ValueError where the results folder has no tables, or `out` holds something that is not a report.
    """
    if not (results / "tables").is_dir():
        raise ValueError(f"{results}/tables: no such folder; run the pipeline first")
    sources = (Public if public else Sources)(params, data, results)
    with replacing_folder(out) as part:
        _keep(sources, part, settings or [])
        _assets(part)
        _write(sources, part, out)


def _keep(sources: Sources, out: Path, settings: list[Path]) -> None:
    """Copies of what the pages link to: tables, figures, the comparison, the settings."""
    for folder, kinds in (("tables", ("csv",)), ("figures", figure_kinds(sources))):
        for kind in kinds:
            for file in sorted((sources.results / folder).rglob(f"*.{kind}")):
                target = out / folder / file.relative_to(sources.results / folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    comparison = sources.results / "comparison.csv"
    if comparison.is_file():
        shutil.copyfile(comparison, out / "tables" / comparison.name)
    (out / "settings").mkdir()
    for file in settings:
        shutil.copyfile(file, out / "settings" / file.name)
    merged = yaml.safe_dump(sources.params.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (out / "settings" / "merged.yaml").write_text(merged, encoding="utf-8")


def _assets(out: Path) -> None:
    """Style, scripts, and Vega once for all charts."""
    target = out / "assets"
    target.mkdir()
    for asset in (resources("covidqu.page") / "assets").iterdir():
        if asset.is_file():  # what is in folders is of other pages
            (target / asset.name).write_bytes(asset.read_bytes())
    (target / "vega.js").write_text(charts.bundle(), encoding="utf-8")


def _write(sources: Sources, out: Path, final: Path) -> None:
    """The pages, into `out`; `final`: where the folder will lie."""
    runs = states(sources)
    environment = _environment()
    shared = {"pages": pages.pages(), "reduced": reduced(sources.params, runs), "reader": _beside(final)}
    contents: dict[pages.Page, dict[str, Any]] = {
        pages.OVERVIEW: overview.context(sources, runs),
        pages.STATISTICS: _statistics(sources),
        pages.CASES: cases.write(sources, out),
        pages.CURVES: curves.context(sources, runs),
        pages.REFERENCE: _reference(sources),
        pages.DATA: audit.context(sources, out),
        pages.METHODS: methods.context(sources.params, runs),
        pages.PROVENANCE: _provenance(runs, out),
    }
    contents |= {pages.paper_page(system): _paper(sources, system, runs) for system in SYSTEMS}
    for one, values in contents.items():
        text = environment.get_template(one.template).render(page=one, **shared, **values)
        (out / one.file).write_text(text, encoding="utf-8")


def _beside(out: Path) -> str:
    """Address of the page that reads X-rays, where it lies beside the site; else empty."""
    return "../reader/index.html" if (out.absolute().parent / "reader" / READER).is_file() else ""


def _paper(sources: Sources, system: str, runs: list[RunState]) -> dict[str, Any]:
    """A paper's page: its tables and figures in its order, then the training of its runs."""
    built, missing = tables(sources, system)
    drawn = figures(sources, system)
    return {
        "paper": paper(system),
        "reference": references()[system],
        "tables": built,
        "notes": notes(built),
        "missing": missing,
        "figures": [figure for figure in drawn if not _training(figure)],
        "training": [figure for figure in drawn if _training(figure)],
        "undrawn": _undrawn(system, drawn),
        "runs": by_system(runs).get(system, []),
    }


def _reference(sources: Sources) -> dict[str, Any]:
    """Our system's page: its tables and figures, its training, and the tables where it stands beside the papers'."""
    known = sorted(
        (one for one in catalogue.tables(sources.params).values() if one.ours), key=lambda one: one.ours or 0
    )
    built = {one: table(sources, one.name) for one in known}
    alone = {one.name: found for one, found in built.items() if one.page is Page.OURS}
    own = [figure for system in OURS for figure in figures(sources, system)]
    return {
        "tables": [found for found in alone.values() if found],
        "notes": notes(found for found in alone.values() if found),
        "missing": [name for name, found in alone.items() if not found],
        "figures": [*(figure for figure in own if not _training(figure)), *figures(sources, "common", Page.OURS)],
        "training": [figure for figure in own if _training(figure)],
        "beside": [found for one, found in built.items() if found and one.name not in alone],
    }


def _training(figure: BuiltFigure) -> bool:
    return "/curves-" in figure.name


def _undrawn(system: str, drawn: list[BuiltFigure]) -> dict[str, str]:
    """Figures of the paper without a counterpart here: label -> what it shows."""
    names = {figure.name.split("/")[1] for figure in drawn}
    known = {short: words for short, words in paper(system).figures.items() if short.rstrip("abc") not in names}
    return {short.replace("-", " ").capitalize(): words for short, words in known.items()}


def _statistics(sources: Sources) -> dict[str, Any]:
    groups: list[dict[str, Any]] = []
    for title, folder in (("Across the systems", "common"), ("Audits of single claims", "audit")):
        built, missing = tables(sources, folder)
        groups.append({"title": title, "tables": built, "missing": missing, "figures": figures(sources, folder)})
    return {"groups": groups, "notes": notes(item for group in groups for item in group["tables"])}


def _provenance(runs: list[RunState], out: Path) -> dict[str, Any]:
    hashes = {run.of_card("data_hash") for run in runs if run.card} - {""}
    return {
        "groups": by_system(runs),
        "commits": sorted({run.commit for run in runs if run.commit}),
        "hashes": sorted(hashes),
        "settings": sorted(file.name for file in (out / "settings").iterdir()),
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("covidqu.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "printed": printed, "prose": prose}
    return environment


def prose(text: str) -> Markup:
    """A remark with its `names` set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
