# The modules that decide what a step writes, as in dvc.yaml; tests/test_imports.py compares both with the imports.
CODE = {
    "download": "config/base config/data data/archive data/kaggle data/kaggle_client data/phantom files",
    "pack": "config/base config/data data/index data/layout data/pack data/schema",
    "audit": "config/base config/data data/audit data/index data/pairs files",
    "split": "config/base config/data data/index data/split files",
    "roi": "config/base config/data data/index data/roi files",
    "roi_predicted": "config/base config/data data/index data/roi files",
    "initial": "files initial",
    "train": "card config/base config/data config/training data/augment data/dataset data/filters data/index files "
    "launch losses optimization systems/base train",
    "predict": "config/base config/data config/training data/augment data/dataset data/filters data/index files "
    "predict systems/base",
    "score": "config/base config/data config/evaluation data/index evaluate/boundary evaluate/predictions "
    "evaluate/protocols evaluate/scores evaluate/statistics files",
    "table": "config/base config/data config/evaluation config/params config/training data/index "
    "evaluate/protocols evaluate/statistics files report/cells report/data_tables report/leakage "
    "report/measures report/overview report/paper_001 report/paper_002 report/protocol_table "
    "report/published report/sources report/tables report/targets report/titles",
    "figure": "config/base config/data config/evaluation config/params config/training data/index "
    "evaluate/protocols evaluate/statistics files report/cells report/figures report/measures "
    "report/panels report/published report/sources report/targets report/titles",
    "comparison": "config/base config/data config/evaluation config/params config/training data/index "
    "evaluate/protocols evaluate/statistics files report/cells report/comparison report/data_tables "
    "report/leakage report/measures report/overview report/paper_001 report/paper_002 "
    "report/protocol_table report/published report/sources report/tables report/targets report/titles",
}


def code(step):
    """Paths of the modules behind a step: an edit makes the step run again."""
    return [f"src/covidqu/{module}.py" for module in CODE[step].split()]
