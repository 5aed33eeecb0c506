"""What is wrong with the data, counted and listed, and a gate that stops the pipeline on the faults one names.

Input: the packed data. Output, in `out`: `duplicates.parquet` and `.csv` (one row per pair), `duplicates.png` (pairs
to be looked at), `audit.json` (counts against the papers' tables, pairs, faults, areas, limits).
"""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from covidqu.config.data import CLASSES, PX, SPLITS, SUBSETS, Audit, Fault
from covidqu.cores import cores
from covidqu.data.index import Packed, open_packed
from covidqu.files import replacing, write_text
from covidqu.ingest.copy_sheet import sheet
from covidqu.ingest.pairs import disagreeing, find_pairs, groups, leaks
from covidqu.stored import write_parquet

# paper 000, Tables I and II (the same in paper 002): images per split, classes in the order of CLASSES
PAPERS = {
    "infection": {"Train": (1864, 932, 932), "Val": (466, 233, 233), "Test": (583, 292, 291)},
    "lung": {"Train": (7658, 7208, 6849), "Val": (1903, 1802, 1712), "Test": (2395, 2253, 2140)},
}
SHOWN = 10
REMEDY = {
    "counts": "get the whole archive with `download`, or set audit.expect_counts: none",
    "exact_duplicates": "train with split: deduplicated",
    "near_duplicates": "train with split: deduplicated",
    "label_conflicts": "look at the pairs; train with split: deduplicated",
    "split_disagreement": "train the lung runs with split: deduplicated",
}
LIMITS = [
    "There are no patient identifiers: images of one patient in two splits cannot be found, so leakage at patient "
    "level cannot be excluded.",
    "Near-duplicates are copies of one radiograph found by their thumbnails and verified by alignment. Crops beyond "
    "about a tenth, mirrored crops, turns beyond 20 degrees, and copies that several other images resemble more by "
    "thumbnail may escape: of 320 pairs that wider searches had found in the infection subset, 32 do. Two radiographs "
    "of one patient are not listed as a rule; two taken within moments may be.",
]
Counts = dict[str, dict[str, dict[str, int]]]


def audit(packed: Path, out: Path, config: Audit) -> None:
    """Write the audit into the folder `out`, then stop if it found what `config.stop_on` names.

    The ValueError repeats up to ten findings of each kind, because an engine removes the outputs of a failed step.
    """
    data = open_packed(packed)
    pairs = find_pairs(data, config.copies, cores())
    counts = count_images(data.index)
    expected = expected_counts(counts) if config.expect_counts == "papers" else None
    findings = {**findings_of_pairs(pairs), "counts": _wrong_counts(counts, expected)}
    report = {
        "counts": counts,
        "expected_counts": expected,
        "counts_agree": None if expected is None else not findings["counts"],
        "copies": config.copies.model_dump(),
        "pairs": summary_of_pairs(pairs, list(counts)),
        "images_with_an_earlier_copy": earlier_copies(data.index, pairs),
        "agreement_of_annotations": agreement_of_copies(pairs),
        "faults": {k: None if k == "counts" and expected is None else len(findings[k]) for k in get_args(Fault)},
        **areas(data),
        "limits": LIMITS,
    }
    write_parquet(out / "duplicates.parquet", pairs)
    write_text(out / "duplicates.csv", pairs.to_csv(index=False))
    with replacing(out / "duplicates.png") as part:
        part.write_bytes(sheet(data, pairs))
    write_text(out / "audit.json", json.dumps(report, indent=2) + "\n")
    print(readable(report))
    _gate(findings, config, out)


def count_images(index: pd.DataFrame) -> Counts:
    """Images per subset that is present, split and class."""
    sizes = index.groupby(["subset", "split", "label"]).size()
    present = [s for s in SUBSETS if s in sizes.index.get_level_values(0)]
    return {s: {k: {c: int(sizes.get((s, k, c), 0)) for c in CLASSES} for k in SPLITS} for s in present}


def expected_counts(counts: Counts) -> Counts:
    """The papers' counts of the subsets that are present."""
    return {s: {k: dict(zip(CLASSES, PAPERS[s][k], strict=True)) for k in SPLITS} for s in counts}


def _wrong_counts(counts: Counts, expected: Counts | None) -> list[str]:
    cells = [(s, k, c, want) for s, parts in (expected or {}).items() for k in SPLITS for c, want in parts[k].items()]
    return [
        f"{s}/{k}/{c} has {counts[s][k][c]} images, printed {want}"
        for s, k, c, want in cells
        if counts[s][k][c] != want
    ]


def findings_of_pairs(pairs: pd.DataFrame) -> dict[str, list[str]]:
    """The pairs behind every kind of fault, as text. Equal images of the two subsets are no `exact_duplicates`."""
    within = pairs["subset_a"] == pairs["subset_b"]
    chosen = {
        "exact_duplicates": pairs["exact"] & within,
        "near_duplicates": ~pairs["exact"],
        "label_conflicts": pairs["label_conflict"],
        "split_disagreement": disagreeing(pairs),
    }
    return {
        kind: [
            f"{a} = {b} ({r:.4f})" for a, b, r in pairs.loc[rows, ["id_a", "id_b", "aligned_correlation"]].to_numpy()
        ]
        for kind, rows in chosen.items()
    }


def summary_of_pairs(pairs: pd.DataFrame, subsets: list[str]) -> dict[str, Any]:
    """Numbers of pairs inside each subset that is present and between the two.

    `test_and_earlier` pairs Test with Train or Val; `shared_images` are infection images that the lung subset also
    holds, in whatever split, `membership` the pairs of these in the same split.
    """
    scopes = {s: (pairs["subset_a"] == s) & (pairs["subset_b"] == s) for s in subsets}
    if len(subsets) > 1:
        scopes["between"] = pairs["subset_a"] != pairs["subset_b"]
    summary: dict[str, Any] = {
        name: {
            "exact": int((rows & pairs["exact"]).sum()),
            "near": int((rows & ~pairs["exact"]).sum()),
            "across_splits": int((rows & pairs["across_splits"]).sum()),
            "test_and_earlier": int((rows & leaks(pairs)).sum()),
        }
        for name, rows in scopes.items()
    }
    if "between" not in scopes:
        return {**summary, "shared_images": None, "membership": None}
    shared = pairs[scopes["between"] & pairs["exact"]]
    infected = shared["a"].where(shared["subset_a"] == "infection", shared["b"])
    return {**summary, "shared_images": int(infected.nunique()), "membership": int(pairs["membership"].sum())}


def earlier_copies(index: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Images per subset and split, Val and Test, that are linked to an image of an earlier split of any subset."""
    order = index["split"].map(SPLITS.index).to_numpy()
    linked = pd.Series(order).groupby(groups(pairs["a"].to_numpy(), pairs["b"].to_numpy(), len(index)))
    late = index[order > linked.transform("min").to_numpy()].groupby(["subset", "split"]).size()
    return {s: {k: int(late.get((s, k), 0)) for k in SPLITS[1:]} for s in SUBSETS if (index["subset"] == s).any()}


def agreement_of_copies(pairs: pd.DataFrame) -> dict[str, dict[str, float | int | None]]:
    """Dice of the two annotations over pairs that are no membership: pairs with both masks, mean, median."""
    chosen = pairs[~pairs["membership"]]
    dice = {name: chosen[f"{name}_dice"].dropna() for name in ("lung", "infection")}
    return {
        name: {
            "pairs": len(values),
            "mean_dice": float(values.mean()) if len(values) else None,
            "median_dice": float(values.median()) if len(values) else None,
        }
        for name, values in dice.items()
    }


def areas(data: Packed) -> dict[str, Any]:
    """Facts of the masks; areas are shares of the image, means over images; None for a subset that is absent."""
    index, rows = data.index, len(data.infection_masks)
    lung_area = index.groupby(["subset", "label"])["lung_px"].mean() / PX**2
    facts: dict[str, Any] = {
        "empty_lung_masks": int((index["lung_px"] == 0).sum()),
        "mean_lung_area": {s: {c: float(v) for c, v in lung_area[s].items()} for s in lung_area.index.unique(0)},
    }
    if not rows:
        return {**facts, "empty_covid_masks": None, "infection_outside_lung": None, "mean_infected_area": None}
    outside = np.bitwise_count(data.infection_masks & ~data.lung_masks[:rows]).sum(dtype=np.int64)
    infected = int(index["infection_px"].sum())
    covid = index[(index["subset"] == "infection") & (index["label"] == "COVID-19")]
    empty = (covid["infection_px"] == 0).groupby(covid["split"]).sum()
    area = covid.groupby("split")["infection_px"].mean() / PX**2
    return {
        **facts,
        "empty_covid_masks": {k: int(empty.get(k, 0)) for k in SPLITS},
        "infection_outside_lung": float(outside / infected) if infected else None,
        "mean_infected_area": {
            **{k: float(area[k]) for k in SPLITS if k in area},
            "all": float(covid["infection_px"].mean() / PX**2) if len(covid) else None,
        },
    }


def readable(report: dict[str, Any]) -> str:
    """The audit in a few lines."""
    agree = {True: "agree with the papers", False: "DIFFER from the papers", None: "not compared"}
    lines = [f"audit: counts {agree[report['counts_agree']]}"]
    for subset, splits in report["counts"].items():
        totals = ", ".join(f"{split} {sum(labels.values())}" for split, labels in splits.items())
        lines.append(f"  {subset}: {totals}")
    for scope in [s for s in (*SUBSETS, "between") if s in report["pairs"]]:
        pairs = report["pairs"][scope]
        lines.append(
            f"  {scope}: {pairs['exact']} exact and {pairs['near']} near pairs, {pairs['across_splits']} across "
            f"splits, {pairs['test_and_earlier']} between Test and Train/Val"
        )
    lines.append("  faults: " + ", ".join(f"{kind} {n}" for kind, n in report["faults"].items()))
    lines.append(f"  limits: {report['limits'][0]}")
    return "\n".join(lines)


def _gate(findings: dict[str, list[str]], config: Audit, out: Path) -> None:
    lines = []
    for kind in config.stop_on:
        found = findings[kind]
        if found:
            more = f"\n    and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            lines.append(f"  {kind} ({len(found)}):\n    " + "\n    ".join(found[:SHOWN]) + more)
            lines.append(f"  remedy: {REMEDY[kind]}; to go on as it is, take '{kind}' out of audit.stop_on")
    if lines:
        raise ValueError("\n".join([f"{out}: the audit stops the pipeline (audit.stop_on)", *lines]))
