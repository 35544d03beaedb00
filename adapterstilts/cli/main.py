"""The command: ``adapterstilts NOUN VERB``. Nouns are imported when they are used, so that ``--help`` is quick."""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import Any

import click

from adapterstilts import __version__
from adapterstilts.cli.signals import interrupt_on_request
from adapterstilts.errors import AdapterStiltsError, Fault, Interrupted

_NOUNS = {
    "recipe": "check, plan and run recipes",
    "study": "look at studies, and rank adapters for a target",
    "task": "look at the tasks that recipes can name",
    "adapter": "look at trained adapters and models, and predict with them",
    "hub": "publish what was trained, and take in what others trained",
    "store": "look at what was trained and kept",
    "report": "write a run's report again",
    "doctor": "what this machine has and lacks",
}


class _Lazy(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_NOUNS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _NOUNS:
            return None
        module = importlib.import_module(f"adapterstilts.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_NOUNS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="adapterstilts")
def cli() -> None:
    """Which training, on which task, helps your language and domain?"""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line.

    Returns:
        The exit code: 0 done, 2 usage or recipe, 3 data, 4 environment, 5 a stage failed, 6 store or disk,
        130 interrupted.
    """
    # A terminated run stops as an interrupted one does: with a checkpoint, to be resumed.
    interrupt_on_request()
    verbose = "-v" in arguments or "--verbose" in arguments
    try:
        result: Any = cli.main(arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return _show(Interrupted(Fault("", "interrupted", "run the same command again to go on")), verbose)
    except AdapterStiltsError as error:
        return _show(error, verbose)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing is wrong.
        sys.stderr.close()
        return 0


def _show(error: AdapterStiltsError, verbose: bool) -> int:
    if verbose:
        traceback.print_exception(error)
    for fault in error.faults:
        click.echo(f"error: {fault}", err=True)
    return error.exit_code
