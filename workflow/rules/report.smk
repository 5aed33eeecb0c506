# Tables, figures, and printed against measured values. Small enough for git: not in dvc.yaml.
from covidqu.report.core.provenance import deviations
from covidqu.report.core.published import SYSTEMS, paper

SETTINGS = sorted(glob.glob("src/covidqu/report/settings/*.yaml"))
PUBLISHED = [*sorted(glob.glob("src/covidqu/report/published/*.yaml")), *SETTINGS]
FIGURES = targets.figures(PARAMS)
REPORT = pick(config, "anchor", "systems", "runs", "ablations", "baselines", "evaluate", "report")
READINGS = "src/covidqu/report/readings.yaml"
DESCRIPTION = [
    f"{D}/packed/index.parquet",
    f"{D}/audit/audit.json",
    f"{D}/audit/duplicates.parquet",
    SPLIT,
]


def run_files(runs):
    """What tables and figures read of runs."""
    return expand(
        f"{R}/runs/{{run}}/{{file}}",
        run=runs,
        file=["scores.parquet", "card.json", "history.csv"],
    )


def union(files, names):
    """What several tables or figures read, each file once."""
    return list(dict.fromkeys(file for name in names for file in files(name)))


def both(name):
    """What a table or figure reads beside runs and predictions."""
    return [
        *(DESCRIPTION if targets.needs_data(name) else []),
        *(PACKED if targets.needs_images(name) else []),
        *[f"{R}/runs/{run}/explain.parquet" for run in targets.explain_inputs(name, PARAMS)],
        *[f"{R}/runs/{run}/validation.parquet" for run in targets.validation_inputs(name, PARAMS)],
        *([f"{R}/architectures.json"] if targets.needs_architectures(name) else []),
        *([f"{R}/cost.json"] if targets.needs_cost(name) else []),
    ]


def table_files(name):
    """What a table reads."""
    references = [f"{R}/baselines/{baseline}/scores.parquet" for baseline in targets.baseline_inputs(name, PARAMS)]
    return [*run_files(targets.table_inputs(name, PARAMS)), *references, *both(name)]


def figure_files(name):
    """What a figure reads: predictions and lung masks, too, where it shows them."""
    return [
        *run_files(targets.figure_inputs(name, PARAMS)),
        *both(name),
        *[f"{R}/runs/{run}/predictions.npz" for run in targets.figure_predictions(name, PARAMS)],
        *[f"{D}/roi/{source}.npy" for source in targets.figure_rois(name, PARAMS)],
        *[f"{R}/runs/{run}/cam.npz" for run in targets.figure_cams(name, PARAMS)],
    ]


def state(runs):
    """Whether runs have the settings of the full ones."""
    reduced = [run for run in runs if deviations(PARAMS, run)]
    words = "reduced" if reduced else "full" if runs else "no run"
    return f"{PARAMS.report.title}: {words}" if PARAMS.report.title else words


def listed(kind, name, suffix, runs):
    """A table or figure as Snakemake's report lists it."""
    system, short = name.split("/")
    source = f"paper {paper(system).paper}" if system in SYSTEMS else "all systems"
    return report(
        f"{R}/{kind}s/{name}.{suffix}",
        caption=f"../report/{kind}.rst",
        category=f"{kind.capitalize()}s",
        subcategory=system,
        labels={kind: short, "of": source, "runs": state(runs)},
    )


rule architectures:
    input:
        SETTINGS,
        code=code("architectures"),
        systems=sorted(glob.glob("src/covidqu/systems/[a-z]*.py")),
    output:
        f"{R}/architectures.json",
    log:
        f"logs/{R}/architectures.log",
    benchmark:
        f"logs/{R}/architectures.bench.tsv"
    conda:
        "../envs/train.yaml"
    params:
        values=pick(config, "anchor", "systems", "runs"),
    shell:
        "python -m covidqu architectures --out {output} 2>&1 | tee {log} >&2"


# Measures speed: it has all that --cores allows, so that nothing runs beside it (`workflow.cores` stops `--report`).
# What its file says of unchanged networks stays, so that a clone on another machine keeps the committed speeds.
rule cost:
    input:
        code=code("cost"),
        systems=sorted(glob.glob("src/covidqu/systems/[a-z]*.py")),
    output:
        update(f"{R}/cost.json"),
    log:
        f"logs/{R}/cost.log",
    benchmark:
        f"logs/{R}/cost.bench.tsv"
    conda:
        "../envs/train.yaml"
    threads: os.cpu_count()
    resources:
        gpu=int(any(run.accelerator != "cpu" for run in RUNS.values())),
    params:
        values=pick(config, "anchor", "systems", "runs"),
    shell:
        "python -m covidqu cost --out {output} 2>&1 | tee {log} >&2"


def by_system(names):
    """System, `common` or `audit` -> its tables or figures."""
    return {
        system: [n for n in names if n.startswith(f"{system}/")] for system in sorted({n.split("/")[0] for n in names})
    }


# One process for all of a system: a table takes less time than the start of Python.
for part, names in by_system(targets.tables(PARAMS)).items():

    rule:
        name:
            f"tables_{part.replace('-', '_')}"
        input:
            union(table_files, names),
            PUBLISHED,
            READINGS,
            code=code("tables"),
        output:
            [listed("table", name, "csv", targets.table_inputs(name, PARAMS)) for name in names],
            expand(f"{R}/tables/{{table}}.md", table=names),
        log:
            f"logs/{R}/tables/{part}.log",
        benchmark:
            f"logs/{R}/tables/{part}.bench.tsv"
        conda:
            "../envs/report.yaml"
        params:
            values=REPORT,
            names=names,
        shell:
            "python -m covidqu tables {params.names} --data {D} --results {R} --out {R}/tables 2>&1 | tee {log} >&2"


for part, names in by_system(FIGURES).items():

    rule:
        name:
            f"figures_{part.replace('-', '_')}"
        input:
            union(figure_files, names),
            PUBLISHED,
            code=code("figures"),
        output:
            [listed("figure", name, FIGURES[name], targets.figure_inputs(name, PARAMS)) for name in names],
        log:
            f"logs/{R}/figures/{part}.log",
        benchmark:
            f"logs/{R}/figures/{part}.bench.tsv"
        conda:
            "../envs/report.yaml"
        params:
            values=REPORT,
            names=names,
        shell:
            "python -m covidqu figures {params.names} --data {D} --results {R} --out {R}/figures 2>&1 | tee {log} >&2"


rule comparison:
    input:
        run_files(targets.comparison_inputs(PARAMS)),
        f"{R}/architectures.json",
        [f"{R}/runs/{run}/explain.parquet" for run in targets.comparison_explains(PARAMS)],
        DESCRIPTION,
        PACKED,
        PUBLISHED,
        code=code("comparison"),
    output:
        report(
            f"{R}/comparison.csv",
            caption="../report/comparison.rst",
            category="Comparison",
            labels=lambda w: {"values": "all papers", "runs": state(targets.comparison_inputs(PARAMS))},
        ),
    log:
        f"logs/{R}/comparison.log",
    benchmark:
        f"logs/{R}/comparison.bench.tsv"
    conda:
        "../envs/report.yaml"
    params:
        values=REPORT,
    shell:
        "python -m covidqu comparison --data {D} --results {R} --out {output} 2>&1 | tee {log} >&2"


# The cards; a phantom's archive has no release whose hash could be named.
CARDS = [*expand(f"{R}/runs/{{run}}/README.md", run=RUNS), f"{R}/data-card.md", f"{R}/croissant.json"]


rule cards:
    input:
        run_files(RUNS),
        expand(f"{R}/baselines/{{name}}/scores.parquet", name=PARAMS.baselines),
        f"{R}/architectures.json",
        DESCRIPTION,
        PUBLISHED,
        archive=[f"{D}/raw/covidqu.zip"] if PARAMS.download.source == "phantom" else [],
        templates=sorted(glob.glob("src/covidqu/standards/templates/*.md")),
        code=code("cards"),
    output:
        CARDS,
    log:
        f"logs/{R}/cards.log",
    benchmark:
        f"logs/{R}/cards.bench.tsv"
    conda:
        "../envs/report.yaml"
    params:
        values=pick(
            config,
            *("paths", "download", "audit", "split", "anchor", "systems", "runs", "baselines", "evaluate", "report"),
        ),
    shell:
        "python -m covidqu cards --data {D} --results {R} --out {R} 2>&1 | tee {log} >&2"


# The site shows what is there already; its templates and assets decide on it as its modules do.
rule page:
    input:
        run_files(RUNS),
        [*PACKED, *DESCRIPTION],
        expand(f"{R}/tables/{{table}}.{{kind}}", table=targets.tables(PARAMS), kind=["csv", "md"]),
        [f"{R}/figures/{name}.{kind}" for name, kind in FIGURES.items()],
        f"{R}/comparison.csv",
        expand(f"{R}/runs/{{run}}/predictions.npz", run=RUNS),
        expand(f"{R}/runs/{{run}}/{{file}}", run=PARAMS.explain, file=["explain.parquet", "cam.npz"]),
        PUBLISHED,
        FILES,
        "CITATION.cff",
        site=sorted(glob.glob("src/covidqu/page/templates/*") + glob.glob("src/covidqu/page/assets/*")),
        code=code("page"),
    output:
        f"{R}/report/index.html",
    log:
        f"logs/{R}/page.log",
    benchmark:
        f"logs/{R}/page.bench.tsv"
    conda:
        "../envs/report.yaml"
    params:
        values=pick(config, *config),
    shell:
        "python -m covidqu page --data {D} --results {R} --out {R}/report 2>&1 | tee {log} >&2"
