# Tables, figures, and printed against measured values. Small enough for git: not in dvc.yaml.
PUBLISHED = sorted(glob.glob("src/covidqu/report/published/*.yaml"))
REPORT = pick(config, "anchor", "runs", "full_runs", "evaluate", "report")
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


def data_files(name):
    """What a table or figure reads of the data."""
    return [
        *(DESCRIPTION if targets.needs_data(name) else []),
        *(PACKED if targets.needs_images(name) else []),
    ]


def explained(name):
    """What was found out about class heads, and the networks' layers, where a table or figure shows them."""
    return [
        *[f"{R}/runs/{run}/explain.parquet" for run in targets.explain_inputs(name, PARAMS)],
        *([f"{R}/architectures.json"] if targets.needs_architectures(name) else []),
    ]


def figure_files(name):
    """What a figure reads: runs, data, and predictions and lung masks where it shows them."""
    shown = [f"{R}/runs/{run}/predictions.npz" for run in targets.figure_predictions(name, PARAMS)]
    masks = [f"{D}/roi/{source}.npy" for source in targets.figure_rois(name, PARAMS)]
    return [
        *run_files(targets.figure_inputs(name, PARAMS)),
        *data_files(name),
        *shown,
        *masks,
        *[f"{R}/runs/{run}/cam.npz" for run in targets.figure_cams(name, PARAMS)],
        *explained(name),
    ]


def table_files(name):
    """What a table reads."""
    return [*run_files(targets.table_inputs(name, PARAMS)), *data_files(name), *explained(name)]


rule architectures:
    input:
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
        values=pick(config, "anchor", "runs", "full_runs"),
    shell:
        "python -m covidqu architectures --out {output} 2>&1 | tee {log} >&2"


rule table:
    input:
        lambda w: table_files(f"{w.system}/{w.name}"),
        PUBLISHED,
        code=code("table"),
    output:
        report(
            f"{R}/tables/{{system}}/{{name}}.csv",
            caption="../report/table.rst",
            category="Tables",
            subcategory="{system}",
            labels={"table": "{name}"},
        ),
        f"{R}/tables/{{system}}/{{name}}.md",
    log:
        f"logs/{R}/table/{{system}}/{{name}}.log",
    benchmark:
        f"logs/{R}/table/{{system}}/{{name}}.bench.tsv"
    conda:
        "../envs/report.yaml"
    params:
        values=REPORT,
    shell:
        "python -m covidqu table {wildcards.system}/{wildcards.name} --data {D} --results {R}"
        " --out {R}/tables/{wildcards.system}/{wildcards.name} 2>&1 | tee {log} >&2"


rule figure:
    input:
        lambda w: figure_files(f"{w.system}/{w.name}"),
        PUBLISHED,
        code=code("figure"),
    output:
        report(
            f"{R}/figures/{{system}}/{{name}}.{{kind}}",
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{system}",
            labels={"figure": "{name}"},
        ),
    log:
        f"logs/{R}/figure/{{system}}/{{name}}.{{kind}}.log",
    benchmark:
        f"logs/{R}/figure/{{system}}/{{name}}.{{kind}}.bench.tsv"
    conda:
        "../envs/report.yaml"
    params:
        values=REPORT,
    shell:
        "python -m covidqu figure {wildcards.system}/{wildcards.name} --data {D} --results {R}"
        " --out {output} 2>&1 | tee {log} >&2"


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
