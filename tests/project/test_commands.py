"""Every command in README and docs: run here, planned here (Snakemake), or run by a test that is named here."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.places import ROOT, TESTS

pytestmark = pytest.mark.pipeline
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LITE = "workflow/overlays/lite.yaml"
PAGE = "test_page::test_a_public_site_has_no_image_of_a_patient"
CHECKED = "test_recompute::test_what_follows_from_the_scores_passes_and_the_rest_is_skipped_with_its_reason"
FIXED = "test_recompute::test_fix_puts_what_was_made_again_in_the_place_of_what_is_there"
TRAINED = "test_read::test_trained_runs_are_read_with_as_a_bundle"
BUNDLED = "test_model_export::test_a_bundle_says_all_and_is_the_same_bytes_again"
PHANTOMS = "test_overrides::test_dvc_on_phantoms"
DEMO = "test_results::test_the_demos_tables_and_figures_follow_from_its_scores"
ELSEWHERE = {  # first words of the command -> who runs it, or why nobody can
    "PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install": ".ci/run",
    'export PATH="$HOME/.local/bin:$PATH"': ".ci/run",
    "uv sync": ".ci/run",
    "uv pip install --resolution lowest-direct": "another environment, minutes; docs/clusters.md says what came of it",
    "uv lock": "asks the package index; `uv sync --locked` of .ci/run wants its outcome",
    "pip install .": "test_other_machines::test_the_package_has_all_its_files",
    "bash .ci/run": "what runs these tests",
    "pytest": ".ci/run",
    "dvc repro": "test_pipeline::test_story",
    "dvc exp run": "test_overrides::test_the_documented_overrides_are_taken",
    "echo 'paths: {data: data, results: results}'": PHANTOMS,
    "covidqu params --params params.yaml --params workflow/overlays/demo.yaml --params here.yaml": PHANTOMS,
    "dvc repro score@unetpp-b3": PHANTOMS,
    "git add": "keeps what the commands before it changed",
    "git commit": "keeps what the commands before it changed",
    "dvc metrics diff": "test_pipeline::test_story",
    "dvc plots show": "test_pipeline::test_story",
    "dvc remote add": "test_pipeline::test_story",
    "python tests/campaigns/kills.py": "test_kills::test_nothing_is_lost_and_nothing_is_left",
    "python tests/campaigns/hostile.py": "test_hostile::test_an_archive_with_changed_bytes",
    "--with atheris==3.0.0 python tests/campaigns/fuzz.py": "test_fuzz::test_every_reader_takes_its_seeds",
    "python tests/campaigns/long_use.py": "test_long_use::test_a_run_gets_another_name",
    "python workflow/sync.py after-dvc": "test_pipeline::test_story",
    "python workflow/campaign.py": "test_campaign::test_what_is_small_comes_back_and_the_same_command_goes_on",
    "python benchmarks/run.py": "compares speeds, on an idle machine only",
    "snakemake --cores 8 --use-conda": "test_conda::test_steps_run_inside_their_environments",
    "snakemake --workflow-profile profiles/slurm": "test_slurm::test_a_training_survives_its_cluster",
    "python tests/support/one_node.py": "test_slurm::test_a_training_survives_its_cluster",
    "sudo apt-get install": ".ci/run",
    "covidqu --params params.yaml --params workflow/overlays/lite.yaml page": PAGE,
    "covidqu reader": "test_reader::test_the_page_reads_as_the_command_does",
    "COVIDQU_DATA=FOLDER snakemake": "hours, with the real images",
    "covidqu --params params.yaml --params workflow/overlays/night.yaml export bundle": BUNDLED,
    "covidqu export model": "test_model_export::test_the_command",
    "covidqu export bundle": BUNDLED,
    "python docs/reading_from_python.py": "test_bundle::test_the_script_of_the_documentation_runs",
    "tensorboard": "test_train::test_a_training_can_be_watched",
    "covidqu check": CHECKED,
    "covidqu check --fix": FIXED,
    "covidqu check --results results/lite --fix": FIXED,
    "covidqu read": "test_read::test_a_folder_is_read_and_what_is_no_picture_is_said",
    "covidqu read hospital/images --out readings --truth": "test_read::test_masks_are_scored_as_everywhere",
    "covidqu read x.png --out readings --run": TRAINED,
    "covidqu read x.png --out readings --weights": TRAINED,
    "covidqu trust": "test_detection::test_every_kind_has_a_row_and_the_page_its_tables",
    "covidqu claim": "test_standards::test_the_committed_checklist_is_the_generated_one",
    "covidqu crate": "test_standards::test_a_crate_as_a_zip_holds_what_it_lists",
    "covidqu params RUN": "of any run; that of README is run here",
    "snakemake --cores 2 --configfile workflow/overlays/demo.yaml --": "a run that who follows the recipe adds",
    "covidqu tables common/lesion-sizes": "a table that who follows the recipe adds",
    "covidqu --install-completion": "writes into HOME; what it installs is tried in tests/test_cli.py",
    "covidqu --params params.yaml --params workflow/overlays/demo.yaml check": DEMO,
    "python tests/expected/update.py": "test_results::test_an_expectation_is_small_files_of_a_finished_run",
    "git diff": "shows what the command before it changed",
    "git tag": "a release's",
    "uv pip install snakemake-report-plugin-rocrate": "no dependency of this project, as the page says",
    "snakemake --reporter rocrate": "needs that plugin",
    "snakemake --report": "a pipeline that is finished",
    "snakemake results/demo/comparison.csv": "a pipeline that is finished",
    "docker": "no such program on the machines of the tests; containers/install.sh was run by hand",
    "apptainer": "no such program on the machines of the tests; containers/install.sh was run by hand",
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"uv run |(uv|make|bash|pip|git|python|snakemake) \S|(covidqu|dvc) (-|[a-z]+ \S)")  # more than a name


def commands() -> list[str]:
    """Each command of the blocks of shell, and of the text those with an argument; once, in order, without `uv run`."""
    found: dict[str, None] = {}
    for page in PAGES:
        text = page.read_text()
        shell = "".join(block for language, block in BLOCK.findall(text) if language == "bash")
        lines = shell.replace("\\\n", " ").splitlines()
        inline = (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", BLOCK.sub("", text)))
        for line in [*lines, *filter(CALL.match, inline)]:
            words = re.sub(r"\buv run (--no-sync )?", "", re.sub(r"\s+#.*", "", line))
            found |= dict.fromkeys(" ".join(part.split()) for part in words.split("&&") if part.strip())
    return list(found)


def elsewhere(command: str) -> str | None:
    """The longest start that is listed, of whole words."""
    starts = sorted(ELSEWHERE, key=len, reverse=True)
    return next((start for start in starts if f"{command} ".startswith(f"{start} ")), None)


HERE = [command for command in commands() if not elsewhere(command)]


def test_what_is_run_elsewhere_is_there() -> None:
    assert set(ELSEWHERE) == {elsewhere(command) for command in commands()} - {None}, "nothing is listed in vain"
    for place in ELSEWHERE.values():
        if match := re.fullmatch(r"(test_\w+)::(\w+)", place):
            assert f"\ndef {match[2]}(" in next(TESTS.rglob(f"{match[1]}.py")).read_text(), place


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, phantom_archive: Path) -> Path:
    """A clone of what is tracked, with what the pages suppose to be there."""
    folder = tmp_path_factory.mktemp("tree")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "watch.yaml").write_text("machine: {logger: tensorboard}\n")
    with zipfile.ZipFile(phantom_archive) as archive:
        archive.extractall(folder.parent / "with it")
    subprocess.run("git init -q && git add -A && git -c user.name=t -c user.email=t@t commit -qm t", cwd=folder,
                   shell=True, check=True)  # fmt: skip
    return folder


@pytest.mark.parametrize("command", HERE)
def test_command(command: str, tree: Path) -> None:
    """As it stands, but that `uv run` is this environment and that Snakemake only plans."""
    words = command.replace("/folder/with/it", f"'{tree.parent}/with it'")
    if re.match("make |(.*=.* )?snakemake ", words):
        words += " --dry-run"
    if words.startswith("make ") and not shutil.which("make"):
        pytest.skip("no make on this machine")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(tree / "src"), "DVC_NO_ANALYTICS": "1"}
    if "export " in words and "covidqu" in words:
        environment["COVIDQU_PARAMS"] = f"params.yaml:{LITE}"
    environment.pop("COVIDQU_DATA", None)
    done = subprocess.run(words, shell=True, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
