# The pipeline at a glance. Settings: params.yaml (+ overlays); the same steps for DVC: dvc.yaml.
#   snakemake --cores 8                                                the whole pipeline
#   snakemake --cores 2 --configfile workflow/overlays/demo.yaml      synthetic phantoms, minutes
#   snakemake --cores 8 --profile profiles/quiet                       without a block of lines per job
from importlib.util import find_spec

from snakemake.utils import min_version

min_version("9.8")


configfile: "params.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/settings.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


localrules:
    all,


# Data, weights and predictions are asked for by name: when only tables were, a clone without data
# would have "nothing to be done".
rule all:
    input:
        PACKED,
        AUDIT,
        SPLIT,
        expand(
            f"{D}/roi/{{source}}.npy",
            source=[*PARAMS.roi.annotated, *PARAMS.roi.predicted],
        ),
        expand(f"{R}/weights/{{name}}.safetensors", name=[*PARAMS.initial, *RUNS]),
        expand(f"{R}/runs/{{run}}/predictions.npz", run=RUNS),
        run_files(RUNS),
        expand(f"{R}/runs/{{run}}/validation.parquet", run=catalogue.validated(PARAMS)),
        expand(f"{R}/runs/{{run}}/{{file}}", run=PARAMS.explain, file=["explain.parquet", "cam.npz"]),
        expand(f"{R}/baselines/{{name}}/{{file}}", name=PARAMS.baselines, file=["scores.parquet", "card.json"]),
        f"{R}/architectures.json",
        f"{R}/cost.json",
        expand(
            f"{R}/tables/{{table}}.{{kind}}",
            table=TABLES,
            kind=["csv", "md"],
        ),
        [f"{R}/figures/{name}.{one.kind}" for name, one in FIGURES.items()],
        f"{R}/comparison.csv",
        CARDS,
        f"{R}/report/index.html",


# Jobs run on this machine (on a cluster each looks for its own device), in this environment (else it may lack torch).
onstart:
    if workflow.executor_plugin.name == "local" and all(map(find_spec, ("torch", "segmentation_models_pytorch"))):
        chosen = sorted({job.wildcards.run for job in workflow.dag.needrun_jobs() if job.rule.name == "train"})
        if chosen:
            shell("{sys.executable:q} -m covidqu ready {chosen}")


onsuccess:
    if not OVERLAYS:  # DVC knows params.yaml only
        shell("{sys.executable:q} workflow/sync.py after-snakemake")
    page = f"{R}/report/index.html"
    if set(workflow.dag_settings.targets) <= {"all", page}:  # else it may be an older one
        print(f"Report: {os.path.abspath(page)}", file=sys.stderr)
    print(
        f"Tables: {R}/tables  Figures: {R}/figures  Comparison: {R}/comparison.csv",
        file=sys.stderr,
    )


onerror:
    print(
        f"A step failed: its message is above and in logs/{R}. After a remedy, the same command",
        file=sys.stderr,
    )
    print(
        "goes on where this one stopped; an interrupted training continues at its last epoch.",
        file=sys.stderr,
    )
