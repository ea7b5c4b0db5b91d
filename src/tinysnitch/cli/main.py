"""`tinysnitch`: finds the subcommand, and turns every failure into an error line, a hint and an exit code."""

import errno
import sys

import click

from tinysnitch import __version__
from tinysnitch.cli.command_group import CommandGroup
from tinysnitch.cli.options import examples
from tinysnitch.cli.output import error_of_output, make_printable, print_error, print_snitch_error, silence_stdout
from tinysnitch.core.errors import SnitchError

_USAGE = 2
_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # by click, the help or the version; all else is our bug
_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it

_COMMANDS = {
    "status": "tinysnitch.cli.status:status_command",
    "rules": "tinysnitch.cli.rules:rules_group",
    "lists": "tinysnitch.cli.lists:lists_group",
    "log": "tinysnitch.cli.log:log_command",
    "asks": "tinysnitch.cli.asks:asks_command",
    "answer": "tinysnitch.cli.answer:answer_command",
    "explain": "tinysnitch.cli.explain:explain_command",
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
def tinysnitch(ctx: click.Context) -> None:
    """The firewall that asks: talk to the daemon, tinysnitchd."""
    if ctx.invoked_subcommand is None:
        raise click.UsageError("which command?", ctx)


def run_cli(args: list[str] | None = None) -> int:
    """The exit code of `tinysnitch ARGS`."""
    try:
        return int(tinysnitch.main(args, prog_name="tinysnitch", standalone_mode=False) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        print_error(_message_of(error), _hint_of(error))
        return _USAGE
    except SnitchError as error:
        print_snitch_error(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:
        silence_stdout()
        return 1
    except OSError as error:
        if error.errno not in _NOT_WRITTEN:
            raise
        print_snitch_error(error_of_output(error))
        return 1


def _message_of(error: click.UsageError) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    return message[:1].lower() + message[1:]


def _hint_of(error: click.UsageError) -> str:
    hint = getattr(error, "hint", "")
    if hint:
        return str(hint)
    path = error.ctx.command_path if error.ctx else "tinysnitch"
    return f"see `{path} --help`"


def main() -> None:
    make_printable()
    sys.exit(run_cli())
