# Weights: not trained here (`initial`), or a run (`train`) that starts from such weights or from another run's.


rule initial:
    input:
        code=code("initial"),
    output:
        f"{R}/weights/{{name}}.safetensors",
    log:
        f"logs/{R}/initial/{{name}}.log",
    benchmark:
        f"logs/{R}/initial/{{name}}.bench.tsv"
    wildcard_constraints:
        name=one_of(PARAMS.initial),
    conda:
        "../envs/train.yaml"
    shell:
        "python -m covidqu initial {wildcards.name} --out {output} 2>&1 | tee {log} >&2"


# --resume is no output: Snakemake deletes outputs of a job that was interrupted.
rule train:
    input:
        [*PACKED, SPLIT],
        roi=lambda w: f"{D}/roi/{RUNS[w.run].roi}.npy",
        init=lambda w: f"{R}/weights/{RUNS[w.run].init}.safetensors",
        code=code("train"),
        system=system,
    output:
        weights=f"{R}/weights/{{run}}.safetensors",
        files=multiext(f"{R}/runs/{{run}}/", "last.safetensors", "history.csv", "card.json"),
    log:
        f"logs/{R}/train/{{run}}.log",
    benchmark:
        f"logs/{R}/train/{{run}}.bench.tsv"
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        gpu=gpus,
        mem_mb=8000,
    params:
        values=lambda w: pick(config, *settings(w.run)),
    shell:
        "python -m covidqu train {wildcards.run} --packed {D}/packed --split {SPLIT} --roi {input.roi}"
        " --init {input.init} --weights {output.weights} --out {R}/runs/{wildcards.run}"
        " --resume {R}/resume/{wildcards.run} 2>&1 | tee {log} >&2"
