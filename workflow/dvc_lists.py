"""Write the lists in dvc.yaml that follow from other files: modules from imports, trainings from params.yaml.

python workflow/dvc_lists.py          say what is not up to date (exit status 1)
python workflow/dvc_lists.py --fix    write it

Lists stand between `# code`, `# trainings` or `# explained` and `# end of ...`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from covidqu.config.params import Params, load  # noqa: E402 - from this tree, installed or not
from covidqu.imports import step_files  # noqa: E402

STAGE = re.compile(r"^  (\w+):$", re.MULTILINE)


def written(text: str, params: Params) -> str:
    """The text of dvc.yaml with each list as it should be; ValueError for a stage without markers."""
    starts = [*STAGE.finditer(text, text.index("\nstages:"), text.index("\nplots:"))]
    parts = [text[: starts[0].start()]]
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        stage = start.group(1)
        part = text[start.start() : following.start() if following else len(text)]
        part = filled(part, stage, "code", [f"- {file}" for file in step_files(stage)])
        if stage == "train":
            part = filled(part, stage, "trainings", [item(params, name) for name in params.resolved])
        if stage == "explain":
            part = filled(part, stage, "explained", [item(params, name) for name in params.explain])
        parts.append(part)
    return "".join(parts)


def item(params: Params, training: str) -> str:
    """A training's line: DVC looks its run up in params.yaml, so that it follows `dvc exp run -S`."""
    base = params.base(training)
    return f'{training}: {{of: {base}, run: "${{runs.{base}}}"}}'


def filled(part: str, stage: str, mark: str, lines: list[str]) -> str:
    """The text of a stage with these lines between the comments `mark` and `end of mark`."""
    between = re.compile(rf"^( *)# {mark}\n(?:.*\n)*?( *# end of {mark})$", re.MULTILINE)
    lines = lines or ["{}"]
    part, number = between.subn(lambda m: "\n".join([f"{m[1]}# {mark}", *(m[1] + x for x in lines), m[2]]), part)
    if number != 1:
        raise ValueError(f"dvc.yaml: stage {stage} has {number} lists between `# {mark}` and `# end of {mark}`")
    return part


def main() -> int:
    file = ROOT / "dvc.yaml"
    text = file.read_text(encoding="utf-8")
    try:
        wanted = written(text, load([ROOT / "params.yaml"]))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if wanted == text:
        return 0
    if "--fix" not in sys.argv[1:]:
        print(
            "dvc.yaml: lists are not what imports and params.yaml say; python workflow/dvc_lists.py --fix",
            file=sys.stderr,
        )
        return 1
    file.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
