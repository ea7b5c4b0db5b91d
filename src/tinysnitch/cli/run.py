"""`tinysnitch run -- COMMAND`: runs one command in a cgroup of its own, judged by a daemon of its own."""

import os

import click
from click.shell_completion import CompletionItem

from tinysnitch.cli.options import examples
from tinysnitch.commandline.completion import COMMAND, FILE
from tinysnitch.commandline.named_path import NamedPath


class _NoSuchRules(click.BadParameter):
    hint = "make it first: an empty one allows nothing; or leave --rules out, to use the rules of this machine"


class _RulesFile(NamedPath):
    """A rules file that exists. Nothing is checked for a user who is not root, and may not even look at the file: they
    are told later that root is needed."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        path = super().convert(value, param, ctx)
        if os.geteuid() != 0:
            return path
        if not os.path.exists(path):
            raise _NoSuchRules(f"there is no file {path!r}", ctx, param)
        if os.path.isdir(path):
            self.fail(f"{path!r} is a folder", param, ctx)
        # /dev/stdin would be another file to the daemon, which opens it: name the file that it leads to.
        found = os.path.realpath(path) if path.startswith(("/dev/", "/proc/")) else path
        if not os.path.isfile(found) and found != os.devnull:
            self.fail(f"{path!r} is not a regular file", param, ctx)
        return found


def _complete_command(context: click.Context, _param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    return [CompletionItem(word, FILE if context.params.get("command") else COMMAND)]


@click.command(
    "run",
    short_help="Judge one command and its children only.",
    context_settings={"allow_interspersed_args": False},  # options after the command are the command's
    epilog=examples(
        "tinysnitch run -- curl https://example.com",
        "tinysnitch run --rules ci.rules -- npm install",
        "tinysnitch run --learn -- runuser -u alice -- make",
    ),
)
@click.option("--rules", metavar="FILE", type=_RulesFile(), help="Use these rules, not those of the machine.")
@click.option("--learn", is_flag=True, help="Allow what no rule decides, and list it in the summary.")
@click.option(
    "--socket", "socket_path", type=NamedPath(), help="Make a socket there, where other prompts can attach and answer."
)
@click.option("--plain", is_flag=True, help="Ask in lines, beside the command's output.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=_complete_command)
def run_command(rules: str | None, learn: bool, socket_path: str | None, plain: bool, command: tuple[str, ...]) -> int:
    """Judge one command and its children, and nothing else on this machine.

    Questions are asked in this terminal, on a screen of their own: COMMAND stands still meanwhile, and its output is in
    sight again afterwards. Without a terminal, what no rule covers is denied at once. A summary at the end lists
    what was allowed, refused and not answered. The exit status is that of COMMAND.

    It needs root, and COMMAND runs as root, too; to run it as another user, write `runuser -u NAME -- COMMAND`.
    """
    from tinysnitch.cli.scoped_run import ScopedRun
    from tinysnitch.commandline.event_loop import run_in_loop

    return run_in_loop(
        ScopedRun(command, rules=rules, is_learning=learn, socket_path=socket_path, is_plain=plain).run()
    )
