"""Printed values: complete, unique, and consistent with themselves where the papers' arithmetic allows a check."""

import pytest

from covidqu.report.core.published import SYSTEMS, paper, parse, printed


def test_every_paper_is_read_and_477_values_are_there() -> None:
    values = [v for system in SYSTEMS for t in paper(system).tables.values() for v in t.cells().values()]
    assert [paper(system).paper for system in SYSTEMS] == ["000", "001", "002", "003", "004"]
    assert len(values) == 477


@pytest.mark.parametrize("table", ["swin-dual/table-1", "swin-dual/table-2"])
def test_counts_add_up(table: str) -> None:
    cells = printed(table)
    classes, splits = ("Normal", "Non-COVID", "COVID-19"), ("Train", "Validation", "Test")
    for row in (*splits, "Total"):
        assert sum(cells[row, c] for c in classes) == cells[row, "Total"]
    for column in (*classes, "Total"):
        assert sum(cells[s, column] for s in splits) == cells["Total", column]


def test_papers_000_and_002_print_the_same_counts() -> None:
    for table in ("table-1", "table-2"):
        one, other = printed(f"swin-dual/{table}"), printed(f"unet-roi/{table}")
        for split, short in (("Train", "Train"), ("Validation", "Val"), ("Test", "Test")):
            for label in ("Normal", "Non-COVID", "COVID-19"):
                assert one[split, label] == other[label, short]


def test_f1_of_paper_000_follows_from_its_precision_and_recall() -> None:
    cells = printed("swin-dual/table-5")
    for label in ("Normal", "Non-COVID", "COVID-19"):
        p, r = cells[label, "Precision"], cells[label, "Recall"]
        assert 2 * p * r / (p + r) == pytest.approx(cells[label, "F1"], abs=1.1e-4)


def test_open_cells_are_not_values() -> None:
    assert ("Exp1: T1 & T2", "Acc") not in printed("recon-mtl/table-2")


def test_a_table_of_no_paper_has_no_printed_values() -> None:
    assert printed("common/leakage") == {}


def test_values_of_others_are_printed_only() -> None:
    assert "other authors" in paper("cbam-mtl").only("table-7", "[7]")
    assert paper("cbam-mtl").only("table-7", "Proposed") is None
    assert "chest X-rays" in paper("recon-mtl").only("text", "patients total")
    assert paper("recon-mtl").only("table-1", "Train") is None, "our split in the paper's two classes stands beside it"


GOOD = """
paper: "001"
system: x
name: x
modality: X-ray
printed_only: []
tables: {table-1: {caption: c, columns: [A, B], rows: [[r, 1, 2], [s, 3, null]]}}
figures: {}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[s, 3, null]", "[r, 3, null]", "named twice"),
        ("[A, B]", "[A, A]", "named twice"),
        ("[s, 3, null]", "[s, 3]", "wanted a label and 2 values"),
        ("printed_only: []", "printed_only: [{table: table-1, rows: [z], reason: q}]", "match no row"),
        ("caption: c", "capton: c", "unknown key"),
        ("caption: c", "caption: c, kind: performnce", "kind"),
        ("caption: c", 'caption: c, unit: {"t / *": percent}', "no printed value fits"),
        ("caption: c", "caption: c, decimals: {C: 2}", "no printed value fits"),
        ("modality: X-ray", "modality: MRI", "modality"),
    ],
)
def test_faults_are_refused(old: str, new: str, message: str) -> None:
    assert parse(GOOD, "x.yaml").tables["table-1"].cells() == {("r", "A"): 1, ("r", "B"): 2, ("s", "A"): 3}
    assert old in GOOD
    with pytest.raises(ValueError, match=message):
        parse(GOOD.replace(old, new), "x.yaml")


def test_the_first_pattern_that_fits_says_what_a_value_is() -> None:
    text = GOOD.replace("caption: c", 'caption: c, kind: {"r / B": data, "r / *": setting}, unit: {"*": percent}')
    table = parse(text.replace("1, 2", "0.5, 2"), "x.yaml").tables["table-1"]
    assert [table.kind_of(*place) for place in table.cells()] == ["setting", "data", "performance"]
    assert table.unit_of("s", "A") == "percent"
    assert (table.decimals_of("A"), table.decimals_of("B"), table.decimals_of("C")) == (1, 0, None)


def test_lost_zeros_are_known_from_the_column() -> None:
    assert paper("recon-mtl").tables["table-2"].decimals_of("Sens") == 2  # 0.6 stands in a column of 0.67
    assert paper("cbam-mtl").tables["text"].decimals_of("value") == 2, "not those of 8.97e-7"
