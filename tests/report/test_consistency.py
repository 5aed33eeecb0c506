"""Findings on printed numbers are computed: known cases by hand, and verdicts that change with the numbers."""

import ast
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from covidqu.report.arithmetic import consistency, paper_001, paper_003
from covidqu.report.arithmetic.rounded import (
    Rounded,
    compared,
    confusion_matrices,
    counts_that_fit,
    mean_by,
    overlap,
    reach,
    totals_that_fit,
)
from covidqu.report.core.cells import Cell, Table
from covidqu.report.core.heading import Heading
from covidqu.report.core.published import SYSTEMS, Value, paper, printed
from support.places import ROOT

NAME = "common/published-consistency"
PIXELS = {"224", "256", "512"}  # sides of images, which are settings of ours, too
Change = Callable[[str, str, str, Value], None]


def found(row: str, column: str) -> Cell:
    (one,) = [c for c in consistency.table(None) if (c.row, c.column) == (row, column)]
    return one


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Change:
    """Print another value, for this test."""

    def put(name: str, row: str, column: str, value: Value) -> None:
        system, short = name.split("/")
        source = paper(system)
        table = source.tables[short]
        at = table.columns.index(column) + 1
        rows = [[*r[:at], value, *r[at + 1 :]] if r[0] == row else r for r in table.rows]
        assert rows != table.rows
        monkeypatch.setitem(source.tables, short, table.model_copy(update={"rows": rows}))

    return put


def test_every_finding_has_a_value_a_way_and_a_verdict() -> None:
    cells = Table(NAME, Heading("", "", "t"), consistency.table(None)).cells
    for c in cells:
        assert c.measured_correct is not None and c.protocol_correct and c.note, c
        assert c.measured_paper is None and c.n is None and c.run == ""
    for name in ("swin-dual", "unetpp-b3", "unet-roi", "cbam-mtl", "recon-mtl"):
        assert any(c.row.startswith(name) for c in cells)


def test_every_printed_side_is_the_printed_value() -> None:
    """What stands under `published` is a value of the table that the row names."""
    for c in consistency.table(None):
        if c.published is not None and not c.row.startswith(
            ("swin-dual/table-4: overall", "swin-dual/table-5: overall")
        ):
            table = c.row.partition(":")[0]
            values = {str(v) for v in printed(table).values()}
            values |= {str(v) for v in printed("swin-dual/text").values()} if "accuracy" in c.row else set()
            values |= {str(v) for v in printed("unetpp-b3/table-1").values()} if "batch" in c.row else set()
            assert str(c.published) in values, c


@pytest.mark.parametrize(
    ("row", "column", "value", "verdict"),
    [
        ("swin-dual/table-4: Normal", "correct images", 1922, "one count fits"),
        ("swin-dual/table-4: Non-COVID", "images given this class", 2349, "one count fits"),
        ("swin-dual/table-4: accuracy", "all images", 6380 / 6788, "agrees"),
        ("swin-dual/table-4: overall Dice", "weighted by images", 0.97269, "agrees"),
        ("swin-dual/table-4: overall Dice", "three classes", 0.97287, "does not agree"),
        ("swin-dual/table-4: overall IoU", "three classes", 0.94807, "does not agree"),
        ("swin-dual/table-4: COVID-19", "F1", 0.9777, "follows"),
        ("swin-dual/table-4: macro F1", "three classes", 0.9388, "follows"),
        ("swin-dual/table-4: confusion matrix", "matrices", 27, "Normal taken for Non-COVID between 192 and 218"),
        ("swin-dual/table-4: Normal", "Acc", 0.8981, "the recall printed twice"),
        ("swin-dual/table-5: COVID-19", "correct images", 571, "one count fits"),
        ("swin-dual/table-5: COVID-19", "images given this class", 584, "one count fits"),
        ("swin-dual/table-5: accuracy", "all images", 1075 / 1166, "agrees"),
        ("swin-dual/table-5: Non-COVID", "F1", 0.8527, "agrees"),
        ("swin-dual/table-5: overall L.Dice", "weighted by images", 0.96451, "agrees"),
        ("swin-dual/table-5: confusion matrix", "matrices", 7, "Normal taken"),
        ("swin-dual/table-5: Normal I.Dice", "least mean with one blank", 1 / 291, "above the printed value"),
        ("swin-dual/table-5: overall I.Dice", "weighted by images", 0.3704, "does not agree"),
        ("swin-dual/text: lung Dice", "phase 2 - phase 1", -0.0082, "lower after phase 2"),
        ("unetpp-b3/table-2: Dice Coefficient", "weighted by images", 0.8815, "does not agree"),
        ("unetpp-b3/table-2: IoU Score", "weighted by images", 0.8270, "does not agree"),
        ("unetpp-b3/table-2: Recall", "weighted by images", 0.4615, "does not agree"),
        ("unetpp-b3/table-2: Dice Coefficient", "three classes", 0.9193, "does not agree"),
        ("unetpp-b3/table-3: Non-COVID", "images with false positives", 3, "IoU is the same number"),
        ("unetpp-b3/table-2: batches", "in file order", 146, "73 hold a COVID-19 image"),
        ("unetpp-b3/table-2: F1-Score", "mean over COVID-19 batches", 0.832, "0.8310 to 0.8330"),
        ("unetpp-b3/table-2: Dice Coefficient", "false-positive batches that fit", 3, "as many batches as"),
        ("unet-roi/table-3: Mean IoU Score", "least value", 0.9399, "possible"),
        ("unet-roi/table-3: Mean Loss", "soft Dice", 0.9628, "soft Dice is below"),
        ("unet-roi/table-4: Mean Dice Score", "blank share at COVID-19 Dice 0.75", 0.4834, "0.645"),
        ("unet-roi/table-4: Mean Dice Score", "SD if COVID-19 only", 0.3958, "32%"),
        ("unet-roi/table-4: Mean Loss", "BCE at soft Dice = Dice", 0.3479, "BCE that is needed"),
        ("cbam-mtl/table-3: Proposed Model", "PSNR", 15.23, "does not agree"),
        ("cbam-mtl/table-3: Proposed Model", "MSE for this PSNR", 2.138e-4, "does not agree"),
        ("cbam-mtl/table-3: Proposed Model", "MSE", 0.0416, "does not agree"),
        ("cbam-mtl/table-4: Proposed Model", "MCC", 92.44, "does not agree"),
        ("cbam-mtl/table-7: all rows", "Spec - Acc", 1.08, "in 7 of 8 rows; not in Proposed"),
        ("cbam-mtl/table-9: all rows", "MCC - Acc", -4.08, "in 4 of 6 rows"),
        ("cbam-mtl/table-9: Proposed Method / RESUNET", "Acc, gain", -0.21, "lower with CBAM"),
        ("cbam-mtl/text: paired t-test", "t", -20.4201, "agrees"),
        ("recon-mtl/table-2: Exp1: T1 & T3", "Acc", 0.75, "does not agree: no whole numbers"),
        ("recon-mtl/table-2: Exp1: T2 & T3", "Sens", 0.68, "not a multiple"),
        ("recon-mtl/table-2: Exp1: T1 & T3", "Spec", 0.9, "a multiple"),
        ("recon-mtl/text: COVID-19", "two public sources", 447, "does not agree: -2"),
        ("recon-mtl/text: patients total", "sources", 1042, "does not agree: -2"),
        ("recon-mtl/text: patients total", "classes", 1044, "agrees"),
        ("recon-mtl/table-2: Exp1: Ours (T1&T2&T3 256 x 256)", "gain over Exp1: T1 & T2", 9.58, "relative"),
    ],
)
def test_findings_known_by_hand(row: str, column: str, value: float, verdict: str) -> None:
    one = found(row, column)
    tolerance = 0 if isinstance(value, int) else 6e-3 if abs(value) > 1.5 else min(6e-5, abs(value) / 100)
    assert one.measured_correct == pytest.approx(value, abs=tolerance, rel=0)
    assert verdict in one.note


def test_all_seven_baselines_have_an_impossible_accuracy() -> None:
    outside = [c.row for c in consistency.table(None) if c.column == "Acc" and c.note.startswith("outside")]
    assert outside == [f"cbam-mtl/table-7: [{k}]" for k in (7, 9, 10, 11, 12, 13, 15)]


def test_the_printed_batch_size_is_among_those_that_fit() -> None:
    sizes = found("unetpp-b3/table-2: batch size", "sizes that fit")
    assert "8 (k = 3)" in sizes.measured_correct and "16 (k = 1)" in sizes.measured_correct
    assert sizes.note == "the printed batch size is among them"
    assert paper_001.layout(8) == (146, 73)
    assert [k for k in range(74) if paper_001.fits(8, k)] == [3]


def test_verdicts_follow_the_numbers(change: Change) -> None:
    change("swin-dual/table-5", "Normal", "I.Dice", 0.0050)
    assert "possible" in found("swin-dual/table-5: Normal I.Dice", "least mean with one blank").note
    change("swin-dual/text", "phase1 lung Dice (test 6788)", "value", 0.9729)
    assert found("swin-dual/table-4: overall Dice", "three classes").note.startswith("agrees")
    assert found("swin-dual/table-4: overall Dice", "weighted by images").note.startswith("does not agree")
    change("swin-dual/table-4", "Normal", "Recall", 0.9001)
    assert found("swin-dual/table-4: Normal", "Acc").note == "differs from the recall"
    assert "no confusion matrix" in found("swin-dual/table-4: confusion matrix", "matrices").note
    change("cbam-mtl/table-7", "[7]", "Acc", 95.0)
    assert found("cbam-mtl/table-7: [7]", "Acc").note == "between them"
    change("cbam-mtl/table-3", "Proposed Model", "PSNR", 15.2)
    assert found("cbam-mtl/table-3: Proposed Model", "PSNR").note.startswith("agrees")
    change("recon-mtl/table-2", "Exp1: T1 & T3", "Acc", 0.75)
    assert found("recon-mtl/table-2: Exp1: T1 & T3", "Acc").note == "agrees"
    change("unetpp-b3/table-1", "Batch size", "Value", 9)
    assert found("unetpp-b3/table-2: batch size", "sizes that fit").note == "the printed one is not"
    change("cbam-mtl/text", "paired t-test on Table 4: t", "value", -20.5)
    assert found("cbam-mtl/text: paired t-test", "t").note.startswith("does not agree")


def test_ranges_of_rounded_values() -> None:
    assert Rounded(0.3, 1).span == pytest.approx((0.25, 0.35))
    assert reach(lambda a, b: a - b, [Rounded(0.5, 1), Rounded(0.2, 1)]) == pytest.approx((0.2, 0.4))
    assert overlap((0, 1), (1, 2)) == (1, 1) and overlap((0, 1), (1.1, 2)) is None
    assert counts_that_fit(50, Rounded(0.67, 2)) == [] and counts_that_fit(3, Rounded(0.67, 2)) == [2]
    assert counts_that_fit(2140, Rounded(0.9, 1)) == list(range(1819, 2034))
    assert totals_that_fit(2, Rounded(0.67, 2), 9) == [3]


def test_a_comparison_without_a_printed_value_says_so() -> None:
    one = compared("r", "c", "how", None, mean_by((1, 3)), [Rounded(0.0, 1), Rounded(1.0, 1)])
    assert one.measured_correct == 0.75 and one.published is None and one.note.startswith("follows")
    assert replace(one, note="").measured


def test_confusion_matrices_are_counted_by_brute_force() -> None:
    diagonal, rows, columns = (3, 2, 4), (5, 5, 6), (6, 4, 6)
    every = [
        m
        for a in range(3)
        for b in range(4)
        for c in range(3)
        for m in [((3, a, 2 - a), (b, 2, 3 - b), (c, 2 - c, 4))]
        if tuple(np.sum(m, axis=0)) == columns
    ]
    assert every and sorted(confusion_matrices(diagonal, rows, columns)) == sorted(every)
    assert confusion_matrices((5, 5, 6), (5, 5, 6), (6, 4, 6)) == []


@pytest.mark.parametrize(("sens", "spec"), [(0.9, 0.8), (0.6, 0.95)])
def test_balanced_measures_are_those_of_scikit_learn(sens: float, spec: float) -> None:
    truth = np.repeat([1, 0], 100)
    decided = np.concatenate([np.arange(100) < 100 * sens, np.arange(100) >= 100 * spec]).astype(int)
    assert paper_003.balanced_precision(sens, spec) == pytest.approx(metrics.precision_score(truth, decided))
    assert paper_003.balanced_f1(sens, spec) == pytest.approx(metrics.f1_score(truth, decided))
    assert paper_003.balanced_mcc(sens, spec) == pytest.approx(metrics.matthews_corrcoef(truth, decided))


def test_a_mean_outside_its_range_is_found(change: Change) -> None:
    table, row = "recon-mtl/text", "public COVID-CT: width"
    assert found(f"{table}: {row}, mean", "range").note.startswith("does not agree")
    assert found(f"{table}: public COVID-CT: height, mean", "range").note == "agrees"
    largest, mean = (int(printed(table)[f"{row}, {which}", "value"]) for which in ("largest", "mean"))
    change(table, f"{row}, largest", "value", mean)
    change(table, f"{row}, mean", "value", largest)
    assert found(f"{table}: {row}, mean", "range").note == "agrees"


def test_no_printed_value_is_written_into_the_code() -> None:
    """Printed values reach tables and figures only through report/published: none of at least three digits is a number
    or a text of the code.
    """
    folder = ROOT / "src/covidqu/report"
    printed = {str(value) for name in SYSTEMS for t in paper(name).tables.values() for value in t.cells().values()}
    telling = {
        text for text in printed if len(text.replace(".", "").strip("0")) >= 3 and text.replace(".", "").isdigit()
    }
    assert len(telling) > 200
    found = {}
    for file in folder.rglob("*.py"):
        constants = [node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
        written = {str(value) for value in constants if isinstance(value, int | float | str)}
        if values := written & telling - PIXELS:
            found[file.name] = values
    assert not found
