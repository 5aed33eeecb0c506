# Tables, figures, and printed against measured values. Small enough for git: not in dvc.yaml.
from covidqu.report.core.artefacts import OF_RUN, Reads
from covidqu.report.core.provenance import deviations
from covidqu.report.core.published import SYSTEMS, paper

SETTINGS = sorted(glob.glob("src/covidqu/report/settings/*.yaml"))
PUBLISHED = [*sorted(glob.glob("src/covidqu/report/published/*.yaml")), *SETTINGS]
TABLES, FIGURES = catalogue.tables(PARAMS), catalogue.figures(PARAMS)
SHOWN = [run for run in RUNS if any(run in one.behind(PARAMS) for one in TABLES.values())]
REPORT = pick(config, "anchor", "systems", "runs", "ablations", "baselines", "evaluate", "report")
SENTENCES = ["src/covidqu/report/readings.yaml", "src/covidqu/report/remarks.yaml"]
DESCRIPTION = [
    f"{D}/packed/index.parquet",
    f"{D}/audit/audit.json",
    f"{D}/audit/duplicates.parquet",
    SPLIT,
]


def run_files(runs):
    """What tables and figures read of runs."""
    return expand(f"{R}/runs/{{run}}/{{file}}", run=runs, file=OF_RUN)


def files(artefacts):
    """What several tables or figures read, each file once."""
    found = {}
    for one in artefacts:
        found |= dict.fromkeys(f"{R}/{file}" for file in one.results(PARAMS))
        found |= dict.fromkeys(DESCRIPTION if Reads.DATA in one.reads else [])
        found |= dict.fromkeys(PACKED if Reads.IMAGES in one.reads else [])
        found |= dict.fromkeys(f"{D}/roi/{source}.npy" for source in one.rois(PARAMS))
    return list(found)


def makers(step, artefacts):
    """The modules behind a step that makes these tables or figures, those that the catalogue names as well."""
    return sorted({*code(step), *catalogue.code(artefacts)})


def state(runs):
    """Whether runs have the settings of the full ones."""
    reduced = [run for run in runs if deviations(PARAMS, run)]
    words = "reduced" if reduced else "full" if runs else "no run"
    return f"{PARAMS.report.title}: {words}" if PARAMS.report.title else words


def listed(kind, suffix, one):
    """A table or figure as Snakemake's report lists it."""
    source = f"paper {paper(one.group).paper}" if one.group in SYSTEMS else "all systems"
    return report(
        f"{R}/{kind}s/{one.name}.{suffix}",
        caption=f"../report/{kind}.rst",
        category=f"{kind.capitalize()}s",
        subcategory=one.group,
        labels={kind: one.short, "of": source, "runs": state(one.behind(PARAMS))},
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
# What its file says of unchanged networks stays, so that a clone on another machine keeps the committed speeds. Snakemake
# deletes the file first, hence the copy; of one that it is told to `update` it forgets that its job has failed.
if workflow.is_main_process and not workflow.output_settings.dryrun and os.path.isfile(f"{R}/cost.json"):
    shutil.copyfile(f"{R}/cost.json", f"{R}/.cost.json.kept")


rule cost:
    input:
        code=code("cost"),
        systems=sorted(glob.glob("src/covidqu/systems/[a-z]*.py")),
    output:
        f"{R}/cost.json",
    log:
        f"logs/{R}/cost.log",
    benchmark:
        f"logs/{R}/cost.bench.tsv"
    conda:
        "../envs/train.yaml"
    threads: os.cpu_count()
    resources:
        gpu=int(any(run.accelerator != "cpu" for run in RUNS.values())),
        mem_mb=8000,
    params:
        values=pick(config, "anchor", "systems", "runs"),
    shell:
        "python -m covidqu cost --out {output} 2>&1 | tee {log} >&2"


def by_system(artefacts):
    """System, `common` or `audit` -> its tables or figures."""
    return {
        group: [one for one in artefacts if one.group == group] for group in sorted({one.group for one in artefacts})
    }


# One process for all of a system: a table takes less time than the start of Python.
for part, shown in by_system(TABLES.values()).items():

    rule:
        name:
            f"tables_{part.replace('-', '_')}"
        input:
            files(shown),
            PUBLISHED,
            SENTENCES,
            code=makers("tables", shown),
        output:
            [listed("table", "csv", one) for one in shown],
            [f"{R}/tables/{one.name}.md" for one in shown],
        log:
            f"logs/{R}/tables/{part}.log",
        benchmark:
            f"logs/{R}/tables/{part}.bench.tsv"
        conda:
            "../envs/report.yaml"
        params:
            values=REPORT,
            names=[one.name for one in shown],
        shell:
            "python -m covidqu tables {params.names} --data {D} --results {R} --out {R}/tables 2>&1 | tee {log} >&2"


for part, shown in by_system(FIGURES.values()).items():

    rule:
        name:
            f"figures_{part.replace('-', '_')}"
        input:
            files(shown),
            PUBLISHED,
            code=makers("figures", shown),
        output:
            [listed("figure", one.kind, one) for one in shown],
        log:
            f"logs/{R}/figures/{part}.log",
        benchmark:
            f"logs/{R}/figures/{part}.bench.tsv"
        conda:
            "../envs/report.yaml"
        params:
            values=REPORT,
            names=[one.name for one in shown],
        shell:
            "python -m covidqu figures {params.names} --data {D} --results {R} --out {R}/figures 2>&1 | tee {log} >&2"


rule comparison:
    input:
        run_files(SHOWN),
        f"{R}/architectures.json",
        [f"{R}/runs/{run}/explain.parquet" for one in TABLES.values() for run in one.explained(PARAMS)],
        DESCRIPTION,
        PACKED,
        PUBLISHED,
        code=makers("comparison", TABLES.values()),
    output:
        report(
            f"{R}/comparison.csv",
            caption="../report/comparison.rst",
            category="Comparison",
            labels=lambda w: {"values": "all papers", "runs": state(SHOWN)},
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
        expand(f"{R}/tables/{{table}}.{{kind}}", table=TABLES, kind=["csv", "md"]),
        [f"{R}/figures/{name}.{one.kind}" for name, one in FIGURES.items()],
        f"{R}/comparison.csv",
        expand(f"{R}/runs/{{run}}/predictions.npz", run=RUNS),
        expand(f"{R}/runs/{{run}}/{{file}}", run=PARAMS.explain, file=["explain.parquet", "cam.npz"]),
        PUBLISHED,
        FILES,
        "CITATION.cff",
        site=sorted(glob.glob("src/covidqu/page/templates/*") + glob.glob("src/covidqu/page/assets/*.*")),
        code=code("page"),
    output:
        f"{R}/report/index.html",
    log:
        f"logs/{R}/page.log",
    benchmark:
        f"logs/{R}/page.bench.tsv"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=8000,
    params:
        values=pick(config, *config),
    shell:
        "python -m covidqu page --data {D} --results {R} --out {R}/report 2>&1 | tee {log} >&2"
