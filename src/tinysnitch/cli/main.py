"""The command `tinysnitch`: finds and runs the subcommand; without one, the prompt."""

import sys

import click

from tinysnitch import __version__
from tinysnitch.cli.command_group import CommandGroup
from tinysnitch.cli.options import examples
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.commandline.standard_streams import make_printable

_COMMANDS = {
    "status": "tinysnitch.cli.status:status_command",
    "rules": "tinysnitch.cli.rules:rules_group",
    "lists": "tinysnitch.cli.lists:lists_group",
    "log": "tinysnitch.cli.log:log_command",
    "learned": "tinysnitch.cli.tidy.learned:learned_command",
    "asks": "tinysnitch.cli.asks:asks_command",
    "answer": "tinysnitch.cli.answer:answer_command",
    "explain": "tinysnitch.cli.explain:explain_command",
    "import": "tinysnitch.cli.imports:import_group",
    "prompt": "tinysnitch.cli.prompt:prompt_command",
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
    """The firewall that asks. These commands talk to its daemon, tinysnitchd; without a command the prompt opens."""
    prompt = None if ctx.invoked_subcommand else tinysnitch.get_command(ctx, "prompt")
    return ctx.invoke(prompt) if prompt else 0


def main() -> None:
    make_printable()
    sys.exit(run_command(tinysnitch, "tinysnitch"))
