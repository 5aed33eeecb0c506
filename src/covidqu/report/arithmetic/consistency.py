"""Table `common/published-consistency`: do the papers' printed numbers fit each other? Arithmetic, nothing measured.

Input: report/published/*.yaml through `printed`; output: cells with the printed value, what other printed values give
(`measured_correct`, with the arithmetic named in `protocol_correct`), and a verdict in words (`note`).
"""

from covidqu.report.arithmetic import paper_000, paper_001, paper_002, paper_003, paper_004
from covidqu.report.core.cells import Cell
from covidqu.report.core.sources import Sources


def table(_: Sources) -> list[Cell]:
    """All findings, paper by paper."""
    return [cell for paper in (paper_000, paper_001, paper_002, paper_003, paper_004) for cell in paper.findings()]
