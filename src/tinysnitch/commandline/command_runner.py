"""Runs a command, and turns every failure into an error line, a hint and an exit code."""

import errno
import os
from collections.abc import Sequence

import click

from tinysnitch.commandline.completion import use_own_scripts, variable_of
from tinysnitch.commandline.notes import print_error, print_snitch_error
from tinysnitch.commandline.standard_streams import error_of_output, let_errors_go
from tinysnitch.core.model.errors import SHORTAGE_HINT, SnitchError, is_shortage

_HELP = ["-h", "--help"]  # for every command and subcommand
_USAGE = 2
_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # without a file name: click could not print help or version


def run_command(command: click.Command, name: str, args: Sequence[str] | None = None) -> int:
    """Run `NAME ARGS`, and return its exit code. By default the arguments are those of this process."""
    if variable_of(name) in os.environ:  # a shell asks
        use_own_scripts()
    try:
        return int(command.main(args, prog_name=name, standalone_mode=False, help_option_names=_HELP) or 0)
    except click.UsageError as error:
        print_error(_message_of(error), _hint_of(error, name))
        return _USAGE
    except SnitchError as error:
        print_snitch_error(error)
        return error.exit_code
    except click.Abort:
        return _INTERRUPTED
    except OSError as error:
        print_snitch_error(_explain(error))
        return 1
    finally:
        let_errors_go()


def _explain(error: OSError) -> SnitchError:
    """The error for people, if they can do something about it; any other is our bug, and raised again."""
    place = f"{error.filename}: " if error.filename else ""
    if is_shortage(error) or error.errno == errno.EAGAIN:  # EAGAIN: too many processes (fork(2))
        return SnitchError(f"{place}{error.strerror}", SHORTAGE_HINT)
    if place.startswith("/proc/") and not os.path.exists("/proc/self"):
        return SnitchError(f"{place}{error.strerror}", "mount -t proc proc /proc")
    if error.filename == os.devnull:  # missing in a chroot, say
        return SnitchError(f"{place}{error.strerror}", "mknod -m 666 /dev/null c 1 3")
    if error.errno not in _NOT_WRITTEN:
        raise error
    if place:
        return SnitchError(f"{place}{error.strerror}", "see whether its file system is whole, and has room")
    return error_of_output(error.strerror)


def _message_of(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):  # click's own message has suggestions, which our hint gives
        return f"no such option {error.option_name!r}"
    message = " ".join(error.format_message().split()).rstrip(".")
    return message[:1].lower() + message[1:]


def _hint_of(error: click.UsageError, name: str) -> str:
    hint = getattr(error, "hint", "")
    if not hint and isinstance(error, click.NoSuchOption) and error.possibilities:
        hint = f"did you mean `{sorted(error.possibilities)[0]}`?"
    if isinstance(error, click.MissingParameter) and error.param:
        usual = getattr(error.param.type, "usual", "")  # where most people have what the argument names
        hint = f"usually {usual}" if usual else hint
    return hint or f"see `{error.ctx.command_path if error.ctx else name} --help`"
