"""The command `tinysnitch`: finds and runs the subcommand; without one, the prompt and the pages beside it."""

import sys

import click

from tinysnitch import __version__
from tinysnitch.cli.command_group import CommandGroup
from tinysnitch.cli.options import examples
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.commandline.standard_streams import make_printable
from tinysnitch.protocol.framing import DEFAULT_SOCKET

_COMMANDS = {
    "status": "tinysnitch.cli.status:status_command",
    "rules": "tinysnitch.cli.rules:rules_group",
    "lists": "tinysnitch.cli.lists:lists_group",
    "log": "tinysnitch.cli.log:log_command",
    "history": "tinysnitch.cli.history.history:history_command",
    "top": "tinysnitch.cli.screens.top:top_command",
    "names": "tinysnitch.cli.history.asked_names:names_command",
    "learned": "tinysnitch.cli.tidy.learned:learned_command",
    "asks": "tinysnitch.cli.asks:asks_command",
    "answer": "tinysnitch.cli.answer:answer_command",
    "undo": "tinysnitch.cli.answers.undo:undo_command",
    "pause": "tinysnitch.cli.answers.mode:pause_command",
    "resume": "tinysnitch.cli.answers.mode:resume_command",
    "mode": "tinysnitch.cli.answers.mode:mode_command",
    "explain": "tinysnitch.cli.explain:explain_command",
    "doctor": "tinysnitch.doctor.command:doctor_command",
    "import": "tinysnitch.cli.imports:import_group",
    "prompt": "tinysnitch.cli.screens.prompt:prompt_command",
    "run": "tinysnitch.cli.run:run_command",
}


@click.group(
    cls=CommandGroup,
    commands_in=_COMMANDS,
    no_args_is_help=False,
    invoke_without_command=True,
    epilog=examples(
        "tinysnitch status",
        "tinysnitch prompt",
        "tinysnitch log --follow",
        "tinysnitch rules add deny '*.doubleclick.net' - -",
        "tinysnitch run -- npm install",
    ),
)
@click.version_option(__version__, message="tinysnitch %(version)s")
@click.pass_context
def tinysnitch(ctx: click.Context) -> int:
    """The firewall that asks. These commands talk to its daemon, tinysnitchd; without a command the prompt opens, with
    further pages beside it."""
    if ctx.invoked_subcommand:
        return 0
    from tinysnitch.tui.pages.pages_app import run_pages

    return run_pages(DEFAULT_SOCKET)


def main() -> None:
    make_printable()
    sys.exit(run_command(tinysnitch, "tinysnitch"))
