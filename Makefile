# Short names of commands; CONTRIBUTING.md says what each one does.
.PHONY: setup fast test check demo lite
OVERLAYS = workflow/overlays

setup:
	uv sync --locked
	uv run pre-commit install

fast:
	uv run pytest -m fast

test:
	uv run pytest -n 2 --dist loadfile

check:
	uv run ruff check .
	uv run ruff format --check .
	uv run snakefmt --check Snakefile workflow/rules
	uv run mypy
	uv run covidqu check

demo:
	uv run snakemake --cores 2 --configfile $(OVERLAYS)/demo.yaml

lite:
	uv run snakemake --cores 2 --configfile $(OVERLAYS)/lite.yaml
