# The archive, packed once, audited, split; and the lung masks that runs can name.
PACKED = [f"{D}/packed/{file}" for file in ("images.npy", "lung_masks.npy", "infection_masks.npy", "index.parquet")]
AUDIT = [f"{D}/audit/{file}" for file in ("duplicates.parquet", "duplicates.csv", "duplicates.png", "audit.json")]
SPLIT = f"{D}/split.parquet"


# Cheap. Its settings are what source.json should say now: looked at with each start, so another folder, changed images
# or another source are noticed, and settings of sources that are not in use are not.
rule source:
    input:
        code=code("source"),
    output:
        f"{D}/source.json",
    log:
        f"logs/{R}/source.log",
    benchmark:
        f"logs/{R}/source.bench.tsv"
    conda:
        "../envs/data.yaml"
    params:
        now=SOURCE,
    shell:
        "python -m covidqu source --out {output} 2>&1 | tee {log} >&2"


rule download:
    input:
        source=f"{D}/source.json",
        code=code("download"),
    output:
        f"{D}/raw/covidqu.zip",
    log:
        f"logs/{R}/download.log",
    benchmark:
        f"logs/{R}/download.bench.tsv"
    conda:
        "../envs/data.yaml"
    shell:
        "python -m covidqu download --source {input.source} --out {output} 2>&1 | tee {log} >&2"


rule pack:
    input:
        archive=f"{D}/raw/covidqu.zip",
        code=code("pack"),
    output:
        PACKED,
    log:
        f"logs/{R}/pack.log",
    benchmark:
        f"logs/{R}/pack.bench.tsv"
    conda:
        "../envs/data.yaml"
    shell:
        "python -m covidqu pack --archive {input.archive} --out {D}/packed 2>&1 | tee {log} >&2"


rule audit:
    input:
        PACKED,
        code=code("audit"),
    output:
        AUDIT,
    log:
        f"logs/{R}/audit.log",
    benchmark:
        f"logs/{R}/audit.bench.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=3000,
    params:
        values=pick(config, "audit"),
    shell:
        "python -m covidqu audit --packed {D}/packed --out {D}/audit 2>&1 | tee {log} >&2"


rule split:
    input:
        PACKED,
        AUDIT,
        code=code("split"),
    output:
        SPLIT,
    log:
        f"logs/{R}/split.log",
    benchmark:
        f"logs/{R}/split.bench.tsv"
    conda:
        "../envs/data.yaml"
    params:
        values=pick(config, "split"),
    shell:
        "python -m covidqu split --packed {D}/packed --audit {D}/audit --out {output} 2>&1 | tee {log} >&2"


rule roi:
    input:
        PACKED,
        code=code("roi"),
    output:
        masks=f"{D}/roi/{{source}}.npy",
        sheet=f"{D}/roi/{{source}}.png",
    log:
        f"logs/{R}/roi/{{source}}.log",
    benchmark:
        f"logs/{R}/roi/{{source}}.bench.tsv"
    wildcard_constraints:
        source=one_of(PARAMS.roi.annotated),
    conda:
        "../envs/data.yaml"
    shell:
        "python -m covidqu roi {wildcards.source} --packed {D}/packed"
        " --out {output.masks} --sheet {output.sheet} 2>&1 | tee {log} >&2"


rule roi_predicted:
    input:
        PACKED,
        predictions=f"{R}/runs/{{source}}/predictions.npz",
        code=code("roi_predicted"),
    output:
        masks=f"{D}/roi/{{source}}.npy",
        sheet=f"{D}/roi/{{source}}.png",
    log:
        f"logs/{R}/roi/{{source}}.log",
    benchmark:
        f"logs/{R}/roi/{{source}}.bench.tsv"
    wildcard_constraints:
        source=one_of(PARAMS.roi.predicted),
    conda:
        "../envs/data.yaml"
    shell:
        "python -m covidqu roi_predicted {wildcards.source} --packed {D}/packed --predictions {input.predictions}"
        " --out {output.masks} --sheet {output.sheet} 2>&1 | tee {log} >&2"
