# The modules that decide what a step writes, as in dvc.yaml; tests/test_imports.py compares both with the imports.
# Reports are made in seconds: any edit of their modules makes all of them again.
REPORT_CODE = "config/base config/baselines config/data config/evaluation config/params config/models config/training evaluate/* files report/*"
CODE = {
    "download": "config/base config/data data/archive data/kaggle data/kaggle_client data/phantom files",
    "pack": "config/base config/data data/index data/layout data/pack data/schema",
    "audit": "config/base config/data data/audit data/index data/pairs files",
    "split": "config/base config/data data/index data/split files",
    "roi": "config/base config/data data/index data/roi files",
    "roi_predicted": "config/base config/data data/index data/roi files",
    "initial": "files initial",
    "train": "card config/base config/data config/models config/training data/augment data/dataset data/filters data/index files "
    "launch losses memory optimization systems/base train",
    "predict": "config/base config/data config/models config/training data/augment data/dataset data/filters data/index files memory "
    "predict systems/base",
    "validate": "config/base config/data config/evaluation config/models config/training data/augment data/dataset data/filters data/index "
    "evaluate/boundary evaluate/classification evaluate/predictions evaluate/protocols evaluate/quality evaluate/scores evaluate/statistics "
    "files memory predict systems/base validate",
    "score": "config/base config/data config/evaluation data/index evaluate/boundary "
    "evaluate/classification evaluate/predictions evaluate/protocols evaluate/quality evaluate/scores evaluate/statistics files",
    "explain": "config/base config/data config/models config/training data/augment data/dataset data/filters data/index explain files "
    "systems/base",
    "baseline": "baselines config/base config/baselines config/data config/evaluation config/models config/training data/index "
    "evaluate/boundary evaluate/classification evaluate/predictions evaluate/protocols evaluate/quality evaluate/scores "
    "evaluate/statistics files shortcuts",
    "architectures": "architectures config/base config/baselines config/data config/evaluation config/params config/models config/training files "
    "systems/base",
    "cost": "architectures card config/base config/baselines config/data config/evaluation config/models config/params config/training "
    "cost data/augment data/dataset data/filters data/index files launch losses memory optimization predict systems/base train",
    "tables": f"{REPORT_CODE} data/index",
    "figures": f"{REPORT_CODE} data/filters data/index",
    "cards": f"{REPORT_CODE} data/index data/layout standards/cards standards/croissant standards/data_card "
    "standards/evaluation standards/model_card standards/rendering",
    "comparison": f"{REPORT_CODE} data/index",
    "page": f"{REPORT_CODE} data/index data/pairs page/*",
}


def code(step):
    """Paths of the modules behind a step: an edit makes the step run again."""
    paths = [f"src/covidqu/{module}.py" for module in CODE[step].split()]
    return sorted({file for path in paths for file in (glob.glob(path) if "*" in path else [path])})
