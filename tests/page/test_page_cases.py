"""The case explorer: its files against masks and scores, then the page driven in a browser."""

import base64
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from scipy.ndimage import gaussian_filter
from skimage.draw import polygon2mask

from covidqu.config.params import Params
from covidqu.data.index import open_packed, unpack_mask
from covidqu.evaluate.predictions import open_predictions
from covidqu.page import cases, contours, pages
from covidqu.report.core.sources import Sources
from support.browser import Open, scrolls_sideways
from support.explorer import RUNS, build, content, render, test_rows

A, B, BARE = RUNS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Path]:
    folder = tmp_path_factory.mktemp("explorer")
    params = build(folder)
    render(params, folder, folder / "site")
    return params, folder


@pytest.fixture(scope="module")
def html(made: tuple[Params, Path]) -> Path:
    return made[1] / "site" / "cases.html"


@pytest.fixture(scope="module")
def scores(made: tuple[Params, Path]) -> dict[str, pd.DataFrame]:
    """Of each run, with Dice by its definition, nan where nothing is annotated."""
    found = {run: pd.read_parquet(made[1] / "results" / "runs" / run / "scores.parquet") for run in RUNS}
    for frame in found.values():
        tp, fp, fn = (frame[f"infection_{c}"] for c in ("tp", "fp", "fn"))
        frame["annotated"], frame["dice"] = tp + fn, (2 * tp / (2 * tp + fp + fn)).where(tp + fn > 0)
    return found


# ---- files


def polygons(path: str) -> list[np.ndarray]:
    """(n, 2) x, y in half pixels for each ring of SVG path data."""
    found = []
    for ring in re.findall(r"M([^z]*)z", path):
        numbers = [int(n) for n in re.findall(r"-?\d+", ring)]
        found.append(np.cumsum(np.reshape(numbers, (-1, 2)), axis=0))
    return found


def filled(path: str) -> np.ndarray:
    """(256, 256) bool: pixels whose centre is inside, by the even-odd rule."""
    inside = np.zeros((256, 256), bool)
    for ring in polygons(path):
        inside ^= polygon2mask((256, 256), (ring[:, ::-1] - 1) / 2)
    return inside


def blobs(seed: int, sigma: float, share: float) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(256, 256)), sigma)
    return field > np.quantile(field, 1 - share)


@pytest.mark.parametrize(("sigma", "share"), [(30, 0.2), (12, 0.3), (8, 0.02), (20, 0.9), (5, 0.1)])
def test_outline_agrees_with_the_mask(sigma: float, share: float) -> None:
    mask = blobs(7, sigma, share)
    assert mask.sum() > 200
    again = filled(contours.outline(mask))
    assert (again & mask).sum() / (again | mask).sum() > 0.98


def edges(mask: np.ndarray) -> np.ndarray:
    """(n, 2) x, y in half pixels: middles of all pixel edges between inside and outside."""
    padded = np.pad(mask, 1)
    rows, columns = np.nonzero(padded[:, 1:] != padded[:, :-1])
    upright = np.stack([2 * columns, 2 * rows - 1], axis=1)
    rows, columns = np.nonzero(padded[1:] != padded[:-1])
    return np.concatenate([upright, np.stack([2 * columns - 1, 2 * rows], axis=1)])


def distances(points: np.ndarray, rings: list[np.ndarray]) -> np.ndarray:
    """Of each point to the nearest segment of any ring."""
    start = np.concatenate(rings)
    along = np.concatenate([np.roll(ring, -1, axis=0) - ring for ring in rings])
    offset = points[:, None] - start
    share = ((offset * along).sum(-1) / (along**2).sum(-1)).clip(0, 1)
    return np.linalg.norm(offset - share[..., None] * along, axis=-1).min(axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_outline_is_within_half_a_pixel(seed: int) -> None:
    mask = blobs(seed, 4, 0.15)
    assert distances(edges(mask), contours.rings(mask)).max() <= contours.TOLERANCE + 1e-9 == 1 + 1e-9


def test_outline_of_few_pixels() -> None:
    mask = np.zeros((256, 256), bool)
    assert contours.outline(mask) == ""
    mask[0, 0] = mask[255, 255] = True
    mask[10:13, 10:13], mask[11, 11] = True, False
    mask[20, 20] = mask[21, 21] = True
    again = filled(contours.outline(mask))
    np.testing.assert_array_equal(again, mask)
    assert all(ring.min() >= 0 and ring.max() <= 512 for ring in polygons(contours.outline(~mask)))


def test_outlines_are_those_of_the_masks_that_were_scored(made: tuple[Params, Path]) -> None:
    _, folder = made
    data = open_packed(folder / "data" / "packed")
    rows = test_rows(data.index)
    truth = content(folder / "site", "annotation/0")
    assert len(truth["infection"]) == len(rows)
    wanted = unpack_mask(data.infection_masks[rows[0]])
    assert (filled(truth["infection"][0]) & wanted).sum() / wanted.sum() > 0.98
    found = content(folder / "site", f"contours/{B}/0")["infection"]
    (logits,) = open_predictions(folder / "results" / "runs" / B / "predictions.npz").logits("infection", 100)
    for path, mask in zip(found, logits > 0, strict=True):
        again = filled(path)
        assert (again & mask).sum() >= 0.98 * (again | mask).sum()


def test_small_logits_are_enlarged_as_they_are_scored() -> None:
    class Small:
        px = 64

        def logits(self, task, images):
            yield np.where(np.indices((1, 64, 64))[2] < 32, 1.0, -1.0).astype(np.float16)

    (path,) = contours.predicted(Small(), "infection")
    np.testing.assert_array_equal(filled(path), np.indices((256, 256))[1] < 128)


def test_numbers_are_those_of_the_scores(made: tuple[Params, Path], scores: dict[str, pd.DataFrame]) -> None:
    found, frame = content(made[1] / "site", f"scores/{A}"), scores[A]
    dice = [None if np.isnan(v) else round(v, 4) for v in frame["dice"]]
    assert found["infection"]["dice"] == dice and None in dice
    assert found["infection"]["wrong"] == frame["infection_fp"].tolist()
    assert found["infection"]["found"] == (frame["infection_tp"] + frame["infection_fp"]).tolist()
    missing = np.isnan(frame["infection_hd95"]) | (frame["annotated"] == 0)
    assert [v is None for v in found["infection"]["hd95"]] == missing.tolist()
    np.testing.assert_allclose(np.sum(found["class"]["p"], axis=0), 1, atol=2e-4)
    assert found["class"]["target"] == frame["class_target"].tolist()


def test_heat_is_in_bytes(made: tuple[Params, Path]) -> None:
    maps = content(made[1] / "site", f"heat/{A}/0")["maps"]
    assert {base64.b64decode(text) for text in maps} == {bytes([0, 255, 0, 0])}
    assert content(made[1] / "site", "index")["runs"][0]["heat"] == [2, 2]


def test_scores_of_other_data_are_refused(made: tuple[Params, Path]) -> None:
    params, folder = made
    data, scored = open_packed(folder / "data" / "packed"), Sources(params, folder / "data", folder / "results")
    listed = cases.every_case({A: scored.scores(A)})
    listed.loc[3, "id"] = "infection/Test/Normal/another"
    with pytest.raises(ValueError, match=r"Normal/another; score these data"):
        cases.check(listed, data, scored)


# ---- the page


def matching(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#count")).to_have_text(text)


def number(page: Page) -> int:
    return int(page.locator("#count").inner_text().split(" of ")[0])


def first_names(page: Page, count: int) -> list[str]:
    return page.locator(".thumb .name").all_inner_texts()[:count]


def show_filters(page: Page) -> None:
    page.locator("#filters summary").click()


def test_each_filter_counts_what_pandas_counts(html: Path, opened: Open, scores: dict[str, pd.DataFrame]) -> None:
    page, frame = opened(html), scores[A]
    matching(page, "17 of 17 images")
    show_filters(page)
    page.get_by_label("Normal", exact=True).uncheck()
    matching(page, f"{(frame['label'] != 'Normal').sum()} of 17 images")
    page.get_by_role("button", name="Reset").click()
    low = float(np.floor(100 * frame["dice"].median()) / 100)
    page.get_by_label("Dice of A, from").fill(str(low))
    matching(page, f"{(frame['dice'] >= low).sum()} of 17 images")
    page.get_by_role("button", name="Reset").click()
    area = 100 * frame["annotated"] / 256**2
    page.get_by_label("Annotated infection, to").fill("8")
    matching(page, f"{(area <= 8).sum()} of 17 images")
    page.get_by_role("button", name="Reset").click()
    others, wrong = frame["annotated"] == 0, frame["infection_fp"]
    for value, rows in {"any": wrong > 0, "over": wrong > 655.36, "blank": wrong == 0}.items():
        page.locator("[name=unannotated]").select_option(value)
        matching(page, f"{(others & rows).sum()} of 17 images")
    page.get_by_role("button", name="Reset").click()
    page.locator("[name=near]").select_option("only")
    matching(page, "2 of 17 images")
    page.locator("[name=near]").select_option("without")
    matching(page, "15 of 17 images")
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Image name").fill("NON_covid")
    matching(page, f"{(frame['label'] == 'Non-COVID').sum()} of 17 images")
    page.get_by_label("Image name").fill("no such image")
    matching(page, "0 of 17 images")
    expect(page.locator("#nothing")).to_be_visible()


def test_sorting_puts_the_worst_first(html: Path, opened: Open, scores: dict[str, pd.DataFrame]) -> None:
    page, frame, other = opened(html), scores[A], scores[B]
    matching(page, "17 of 17 images")
    worst = frame.sort_values("dice")["name"].tolist()[:9]
    assert first_names(page, 9) == worst
    page.locator("[name=order]").select_option("highest")
    assert first_names(page, 9) == worst[::-1]
    page.locator("[name=sort]").select_option("wrong")
    assert first_names(page, 3) == frame.sort_values("infection_fp", ascending=False)["name"].tolist()[:3]
    page.locator("[name=sort]").select_option("difference")
    gap = (frame["dice"] - other["dice"]).abs().sort_values(ascending=False)
    assert first_names(page, 3) == frame["name"][gap.index[:3]].tolist()
    page.locator("[name=a]").select_option(B)
    page.locator("[name=sort]").select_option("dice")
    best = other.sort_values("dice", ascending=False)["name"].tolist()[:4]
    expect(page.locator(".thumb .name").first).to_have_text(best[0])
    assert first_names(page, 4) == best
    page.get_by_role("button", name="False infection where none is annotated").click()
    matching(page, f"{((other['annotated'] == 0) & (other['infection_fp'] > 0)).sum()} of 17 images")
    assert page.locator(".strip rect").count() == 40


def test_two_runs_side_by_side(html: Path, opened: Open, scores: dict[str, pd.DataFrame]) -> None:
    page = opened(html, f"b={B}")
    page.locator(".thumb").last.scroll_into_view_if_needed()
    page.locator(".thumb").nth(2).click()
    name = page.locator("#case-name").inner_text()
    expect(page.locator(".panel")).to_have_count(2)
    assert page.locator(".panel b").all_inner_texts() == [f"A: {A}", f"B: {B}"]
    expect(page.locator(".panel[data-side=b] path:not(.halo).found-infection")).to_have_count(1)
    boxes = page.locator(".panel").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().toJSON())"
    )  # at once:
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[1]["x"] >= boxes[0]["right"]  # the page may still be scrolling
    cells = page.locator("#measures tbody tr").first.locator("td").all_inner_texts()
    dice = [float(scores[run].set_index("name")["dice"][name]) for run in (A, B)]
    assert [float(text) for text in cells[1:]] == pytest.approx(dice, abs=6e-4)
    loaded = page.locator(".panel img").first.evaluate("image => image.complete && image.naturalWidth")
    assert loaded == 256
    page.locator("[name=b]").select_option("")
    expect(page.locator(".panel")).to_have_count(1)


def test_outlines_lie_on_the_image(html: Path, opened: Open) -> None:
    page = opened(html, "case=COVID-19/covid_4")
    path = page.locator(".panel[data-side=a] path:not(.halo).truth-lung")
    expect(path).to_have_count(1)
    frame, drawn = page.locator(".panel .frame").first.bounding_box(), path.bounding_box()
    rings = polygons(path.get_attribute("d"))
    left, right = (min(r[:, 0].min() for r in rings), max(r[:, 0].max() for r in rings))
    assert drawn["x"] - frame["x"] == pytest.approx(left * frame["width"] / 512, abs=2.5)
    assert drawn["x"] + drawn["width"] - frame["x"] == pytest.approx(right * frame["width"] / 512, abs=2.5)


def test_keys_and_legend_toggle_layers(html: Path, opened: Open) -> None:
    page = opened(html, "case=COVID-19/covid_4")
    panel = page.locator(".panel[data-side=a]")
    layers = ["truth-lung", "truth-infection", "found-lung", "found-infection"]
    for number_, layer in enumerate(layers, start=1):
        line = panel.locator(f"path:not(.halo).{layer}")
        expect(line).to_be_visible()
        page.keyboard.press(str(number_))
        expect(line).to_be_hidden()
        assert not page.locator(f"[value={layer}]").is_checked()
        page.locator(f"label:has([value={layer}])").click()
        expect(line).to_be_visible()
    dashed = "path => getComputedStyle(path).strokeDasharray"
    assert panel.locator("path:not(.halo).truth-infection").evaluate(dashed) == "none"
    assert panel.locator("path:not(.halo).found-infection").evaluate(dashed) != "none"
    heat = panel.locator("canvas")
    expect(heat).to_be_hidden()
    page.keyboard.press("5")
    expect(heat).to_be_visible()
    alpha = heat.evaluate("c => [...c.getContext('2d').getImageData(0, 0, 2, 2).data].filter((_, k) => k % 4 === 3)")
    assert alpha == [0, 191, 0, 0]


def test_keys_step_zoom_and_leave(html: Path, opened: Open) -> None:
    page = opened(html)
    page.locator(".thumb").first.click()
    expect(page.locator("#position")).to_have_text("1 of 17")
    names = [page.locator("#case-name").inner_text()]
    for press, place in [("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("ArrowLeft", 1), ("ArrowLeft", 17)]:
        page.keyboard.press(press)
        expect(page.locator("#position")).to_have_text(f"{place} of 17")
        names.append(page.locator("#case-name").inner_text())
    assert names[0] == names[4] != names[1] == names[3]
    width = page.locator(".panel svg").first.bounding_box()["width"]
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.locator(".panel svg").first.bounding_box()["width"] == pytest.approx(2 * width, rel=0.01)
    page.keyboard.press("0")
    assert page.locator(".panel svg").first.bounding_box()["width"] == pytest.approx(width, rel=0.01)
    page.locator("#brightness").fill("1.5")
    assert "brightness(1.5)" in page.locator(".panel img").first.evaluate("image => getComputedStyle(image).filter")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator(".thumb:focus .name")).to_have_text(names[-1])


def test_address_restores_the_state(html: Path, opened: Open) -> None:
    page = opened(html)
    page.locator("[name=a]").select_option(B)
    page.locator("[name=b]").select_option(A)
    page.locator("[name=sort]").select_option("wrong")
    show_filters(page)
    page.get_by_label("Normal", exact=True).uncheck()
    matching(page, "13 of 17 images")
    page.locator(".thumb").nth(4).click()
    expect(page.locator("#position")).to_have_text("5 of 13")
    page.keyboard.press("2")
    fragment = page.url.split("#")[1]
    again = opened(html, fragment)
    expect(again.locator("#position")).to_have_text("5 of 13")
    assert again.locator("#case-name").inner_text() == page.locator("#case-name").inner_text()
    assert [again.locator(f"[name={n}]").input_value() for n in ("a", "b", "sort")] == [B, A, "wrong"]
    expect(again.locator(".panel[data-side=a] path:not(.halo).found-infection")).to_be_visible()
    expect(again.locator(".panel[data-side=a] path:not(.halo).truth-infection")).to_be_hidden()
    again.evaluate("location.hash = 'near=only'")
    matching(again, "2 of 17 images")
    expect(again.locator("#detail")).to_be_hidden()


def test_address_is_bare_where_nothing_is_chosen(html: Path, opened: Open) -> None:
    page = opened(html)
    matching(page, "17 of 17 images")
    assert page.url == html.resolve().as_uri()
    page.locator("[name=sort]").select_option("wrong")
    expect(page).to_have_url(re.compile(r"#sort=wrong$"))
    page.locator("[name=sort]").select_option(index=0)
    expect(page).to_have_url(html.resolve().as_uri())


def test_near_duplicate_names_its_counterpart(made: tuple[Params, Path], html: Path, opened: Open) -> None:
    index = open_packed(made[1] / "data" / "packed").index
    case = index["id"][test_rows(index)[0]].removeprefix("infection/Test/")
    page = opened(html, f"case={case}")
    expect(page.locator("#facts")).to_contain_text(
        f"near-duplicate of {index['id'][0]} (correlation after alignment 0.9951)"
    )


@pytest.mark.parametrize("fragment", ["", "case=COVID-19/covid_4"])
@pytest.mark.parametrize("dark", [False, True])
def test_phone_width_has_no_sideways_scroll(html: Path, opened: Open, fragment: str, dark: bool) -> None:
    page = opened(html, fragment, width=360, height=740, dark=dark)
    expect(page.locator(".panel svg" if fragment else ".thumb svg").first).to_be_attached()
    if not fragment:
        show_filters(page)
    assert not scrolls_sideways(page)


def test_run_without_predictions_says_so(html: Path, opened: Open) -> None:
    page = opened(html, f"a={BARE}&b=&case=COVID-19/covid_4")
    expect(page.locator(".panel small").first).to_contain_text("predictions.npz is not here")
    expect(page.locator(".panel path:not(.halo).truth-infection")).to_be_visible()
    expect(page.locator(".panel .found-infection")).to_have_count(0)
    assert re.fullmatch(r"[01]\.\d{3}", page.locator("#measures tbody td").nth(1).inner_text())
    text = " ".join(html.read_text().split())
    assert f"<dt>no outlines: predictions.npz is not here (step: predict)</dt><dd>{BARE}</dd>" in text
    (reason,) = re.findall(r"<dt>(not in the explorer: has no scores.parquet[^<]*)</dt>", text)
    assert "unet-roi-lung, " in text.split(reason)[1].split("</dd>")[0], "a reason is said once, with its runs"


def test_clone_without_data(made: tuple[Params, Path], opened: Open, tmp_path: Path) -> None:
    params, folder = made
    for run in RUNS:
        shutil.copytree(folder / "results" / "runs" / run, tmp_path / "results" / "runs" / run)
        for file in ("predictions.npz", "cam.npz"):
            (tmp_path / "results" / "runs" / run / file).unlink(missing_ok=True)
    page = opened(render(params, tmp_path, tmp_path / "site"))
    expect(page.locator(".missing").first).to_contain_text("The X-rays are not here")
    expect(page.locator(".missing").first).to_contain_text("so only scores are shown")
    matching(page, "17 of 17 images")
    expect(page.locator(".thumb").first).to_contain_text("no X-ray here")
    assert page.locator("[name=layer]:enabled").count() == 0
    page.locator(".thumb").first.click()
    expect(page.locator("#measures tbody tr")).to_have_count(7)


def test_nothing_scored(made: tuple[Params, Path], opened: Open, tmp_path: Path) -> None:
    page = opened(render(made[0], tmp_path, tmp_path / "site"))
    expect(page.locator("main")).to_contain_text("there is nothing to explore")


def test_back_closes_a_case(html: Path, opened: Open) -> None:
    page = opened(html, "sort=wrong")
    page.locator(".thumb").nth(2).click()
    expect(page.locator("#position")).to_have_text("3 of 17")
    name = page.locator("#case-name").inner_text()
    page.go_back()
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator(".thumb:focus .name")).to_have_text(name)
    assert page.url.endswith("#sort=wrong")
    page.locator(".thumb").nth(2).click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#position")).to_have_text("4 of 17")
    page.keyboard.press("Escape")  # as Back does: no entry of the closed case stays
    expect(page.locator("#detail")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#position")).to_have_text("4 of 17")


def test_images_are_two_stops_away(html: Path, opened: Open) -> None:
    page = opened(html)
    matching(page, "17 of 17 images")
    page.locator("#to-images").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".thumb").first).to_be_focused()


def test_a_blank_map_says_so(made: tuple[Params, Path], html: Path, opened: Open) -> None:
    page = opened(html, "case=COVID-19/covid_4")
    expect(page.locator(".panel")).to_have_count(2)
    expect(page.locator(".panel small", has_text="Grad-CAM is zero")).to_have_count(0)
    blank = base64.b64encode(bytes(4)).decode()
    page.evaluate("text => loaded.get(`heat/${read('a')}/0`).maps.fill(text)", blank)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".panel[data-side=a] small", has_text="Grad-CAM is zero")).to_have_count(1)


def test_layers_that_no_run_has_cannot_be_chosen(html: Path, opened: Open) -> None:
    page = opened(html)
    matching(page, "17 of 17 images")
    expect(page.locator("[value=heat]")).to_be_enabled()
    page.evaluate("() => { for (const one of index.runs) one.heat = null; offer(); }")
    expect(page.locator("[value=heat]")).to_be_disabled()


def test_a_case_repeats_no_settings(html: Path, opened: Open) -> None:
    page = opened(html, "case=COVID-19/covid_4")
    expect(page.locator(".panel")).to_have_count(2)
    assert "instead of" not in page.locator("#detail").inner_text()
    assert "256 x 256 pixels" in page.locator("#detail").inner_text()


def test_explorer_opens_with_ours() -> None:
    def shown(name: str, drawn: list[str]) -> cases.Shown:
        return cases.Shown(name, "", ["infection"], drawn, None, [], "whole", False, "")

    runs = [shown("swin-dual-infection", ["infection"]), shown("unetpp-b3", ["infection"])]
    assert cases.start([*runs, shown("reference", ["infection"])])[0] == "reference"
    assert cases.start([*runs, shown("reference", [])]) == ["swin-dual-infection", "unetpp-b3"]


def test_an_image_leads_to_its_case() -> None:
    assert pages.case_link("infection/Test/COVID-19/covid_4") == "cases.html#case=COVID-19/covid_4"
    assert pages.case_link("infection/Train/COVID-19/covid_4") is None
