"""Write the lists of modules in dvc.yaml, between `# code` and `# end of code` of each stage, from the imports.

python workflow/dvc_code.py          say what is not up to date (exit status 1)
python workflow/dvc_code.py --fix    write it
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from covidqu.imports import step_files  # noqa: E402 - from this tree, installed or not

STAGE = re.compile(r"^  (\w+):$", re.MULTILINE)
LIST = re.compile(r"^( *)# code\n(?: *- src/covidqu/[\w/]+\.py\n)*( *# end of code)$", re.MULTILINE)


def written(text: str) -> str:
    """The text of dvc.yaml with each stage's list as the imports say; ValueError for a stage without markers."""
    starts = [*STAGE.finditer(text, text.index("\nstages:"), text.index("\nplots:"))]
    parts = [text[: starts[0].start()]]
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        part = text[start.start() : following.start() if following else len(text)]
        lines = [f"- {file}" for file in step_files(start.group(1))]
        part, number = LIST.subn(
            lambda m, lines=lines: "\n".join([f"{m[1]}# code", *(m[1] + x for x in lines), m[2]]), part
        )
        if number != 1:
            raise ValueError(
                f"dvc.yaml: stage {start.group(1)} has {number} lists between `# code` and `# end of code`"
            )
        parts.append(part)
    return "".join(parts)


def main() -> int:
    file = ROOT / "dvc.yaml"
    text = file.read_text(encoding="utf-8")
    try:
        wanted = written(text)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if wanted == text:
        return 0
    if "--fix" not in sys.argv[1:]:
        print(
            "dvc.yaml: lists of modules are not what the steps import; python workflow/dvc_code.py --fix",
            file=sys.stderr,
        )
        return 1
    file.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
