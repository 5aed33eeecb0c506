# Logits on the test images, and from them one row of counts per image: all tables and figures start there.
# Reference points are scored in the same way.


rule predict:
    input:
        [*PACKED, SPLIT],
        roi=lambda w: f"{D}/roi/{RUNS[w.run].roi}.npy",
        weights=f"{R}/weights/{{run}}.safetensors",
        code=code("predict"),
        system=system,
    output:
        f"{R}/runs/{{run}}/predictions.npz",
    log:
        f"logs/{R}/predict/{{run}}.log",
    benchmark:
        f"logs/{R}/predict/{{run}}.bench.tsv"
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        gpu=gpus,
        mem_mb=10000,
    params:
        values=lambda w: pick(config, *settings(w.run), "roi"),
    shell:
        "python -m covidqu predict {wildcards.run} --packed {D}/packed --split {SPLIT} --roi {input.roi}"
        " --weights {input.weights} --out {output} 2>&1 | tee {log} >&2"


# Counts on Val, for ablations and thresholds: as small as scores, so in git and not in dvc.yaml.
rule validate:
    input:
        [*PACKED, SPLIT],
        roi=lambda w: f"{D}/roi/{RUNS[w.run].roi}.npy",
        weights=f"{R}/weights/{{run}}.safetensors",
        code=code("validate"),
        system=system,
    output:
        f"{R}/runs/{{run}}/validation.parquet",
    log:
        f"logs/{R}/validate/{{run}}.log",
    benchmark:
        f"logs/{R}/validate/{{run}}.bench.tsv"
    wildcard_constraints:
        run=one_of(catalogue.validated(PARAMS)),
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        gpu=gpus,
        mem_mb=8000,
    params:
        values=lambda w: pick(config, *settings(w.run)),
    shell:
        "python -m covidqu validate {wildcards.run} --packed {D}/packed --split {SPLIT} --roi {input.roi}"
        " --weights {input.weights} --out {output} 2>&1 | tee {log} >&2"


# The systems with a class head; all of them see the whole image.
rule explain:
    input:
        [*PACKED, SPLIT],
        roi=f"{D}/roi/whole.npy",
        weights=f"{R}/weights/{{run}}.safetensors",
        code=code("explain"),
        system=system,
    output:
        f"{R}/runs/{{run}}/explain.parquet",
        f"{R}/runs/{{run}}/cam.npz",
    log:
        f"logs/{R}/explain/{{run}}.log",
    benchmark:
        f"logs/{R}/explain/{{run}}.bench.tsv"
    wildcard_constraints:
        run=one_of(PARAMS.explain),
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        gpu=gpus,
        mem_mb=8000,
    params:
        values=lambda w: pick(config, *settings(w.run), "explain"),
    shell:
        "python -m covidqu explain {wildcards.run} --packed {D}/packed --split {SPLIT} --roi {input.roi}"
        " --weights {input.weights} --out {R}/runs/{wildcards.run} 2>&1 | tee {log} >&2"


rule score:
    input:
        [*PACKED, SPLIT],
        predictions=f"{R}/runs/{{run}}/predictions.npz",
        code=code("score"),
    output:
        f"{R}/runs/{{run}}/scores.parquet",
        f"{R}/runs/{{run}}/metrics.json",
    log:
        f"logs/{R}/score/{{run}}.log",
    benchmark:
        f"logs/{R}/score/{{run}}.bench.tsv"
    conda:
        "../envs/data.yaml"
    params:
        values=pick(config, "evaluate"),
    shell:
        "python -m covidqu score {wildcards.run} --packed {D}/packed --split {SPLIT}"
        " --predictions {input.predictions} --out {R}/runs/{wildcards.run} 2>&1 | tee {log} >&2"


# Reference points: predictors that look at no image, classifiers that see no lung. Seconds on one core.
rule baseline:
    input:
        [*PACKED, SPLIT],
        code=code("baseline"),
    output:
        f"{R}/baselines/{{name}}/scores.parquet",
        f"{R}/baselines/{{name}}/card.json",
    log:
        f"logs/{R}/baseline/{{name}}.log",
    benchmark:
        f"logs/{R}/baseline/{{name}}.bench.tsv"
    wildcard_constraints:
        name=one_of(PARAMS.baselines),
    conda:
        "../envs/data.yaml"
    params:
        values=lambda w: pick(config, f"baselines.{w.name}"),
    shell:
        "python -m covidqu baseline {wildcards.name} --packed {D}/packed --split {SPLIT}"
        " --out {R}/baselines/{wildcards.name} 2>&1 | tee {log} >&2"
