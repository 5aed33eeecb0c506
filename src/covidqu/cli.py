"""The command line: one subcommand per step; paths are arguments, all other settings come from the parameter files."""

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from covidqu import commands as c
from covidqu.files import Damaged, set_aside
from covidqu.ledger import keep_records

GROUPS: dict[str, tuple[Callable[..., object], ...]] = {  # as `--help` shows them
    "Read": (c.read, c.reader),
    "Data": (c.source, c.download, c.pack, c.audit, c.split, c.roi, c.roi_predicted),
    "Train": (c.initial, c.train, c.predict, c.explain, c.validate, c.score, c.baseline, c.architectures, c.cost),
    "Results": (c.tables, c.figures, c.comparison, c.cards, c.page),
    "Publish": (c.export, c.readme, c.crate),
    "Look": (c.systems, c.params),
    "Check": (c.check, c.verify, c.ready, c.claim, c.trust),
}
STEPS = {function.__name__ for group in ("Data", "Train", "Results") for function in GROUPS[group]}  # of an engine
Parsed = tuple[str, Callable[[], object]]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--params", metavar="FILE", help="parameter file, before or after the command; repeat to lay overlays on top"
    ),
]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("covidqu"))
        raise typer.Exit


def _before(
    context: typer.Context,
    params: Files = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="say which")] = False,
) -> None:
    """Reproducible COVID-QU-Ex pipeline: from the archive to the tables and figures of five papers."""
    context.obj = params or []


def _parser(function: Callable[..., object]) -> Callable[..., object]:
    """What parses a command's words, the function's own options and --params, into its name and a call."""

    def parsed(context: typer.Context, params: list[Path] | None = None, **given: Any) -> Parsed:
        files = [*context.obj, *(params or [])]
        return function.__name__, lambda: function(files if first.name == "files" else c.settings(files), **given)

    context, files = (inspect.signature(_before).parameters[name] for name in ("context", "params"))
    first, *own = inspect.signature(function).parameters.values()  # `files`: it does without settings, or mostly
    keyword = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, files)]
    parsed.__signature__ = inspect.Signature([context, *keyword])  # type: ignore[attr-defined]
    return parsed


app = typer.Typer(callback=_before)
for group, functions in GROUPS.items():
    for function in functions:
        app.command(function.__name__, help=function.__doc__, rich_help_panel=group)(_parser(function))


def main(arguments: list[str] | None = None) -> int:
    """Run one step. Whatever goes wrong ends with one clear message (`errors`), and COVIDQU_DEBUG=1 adds the traceback.

    Status: 2 for faults of input, 70 for those of this program, 130 after Ctrl-C; `check` has 1 and 3 of its own.
    """
    words, name = sys.argv[1:] if arguments is None else arguments, ""
    try:
        parsed = get_command(app).main(words or ["--help"], prog_name="covidqu", standalone_mode=False)
        if not isinstance(parsed, tuple):  # help or version
            return parsed or 0
        name, call = parsed
        keep_records()
        result = call()
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        print(f"{context.command_path if context else 'covidqu'}: {error.format_message()}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # what reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        return ended(name, error)
    return result if isinstance(result, int) else 0


def ended(name: str, error: BaseException) -> int:
    """Say why a step has ended; its exit status. A damaged file that an engine's step has met is set aside."""
    from covidqu.errors import told

    if os.environ.get("COVIDQU_DEBUG"):
        import traceback

        traceback.print_exception(error)
    message, status = ("interrupted", 130) if isinstance(error, KeyboardInterrupt) else told(error)
    if isinstance(error, Damaged):
        message += (
            f"; it is {set_aside(error.path).name} now. Run again: an engine makes it anew"
            if name in STEPS  # what only looks changes nothing
            else "; it is left as it is: `covidqu verify --aside` renames it, then an engine makes it anew"
        )
    print(f"covidqu {name}: {message}", file=sys.stderr)
    return status
