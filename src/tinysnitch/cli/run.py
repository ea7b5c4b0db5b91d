"""`tinysnitch run -- COMMAND`: a daemon of its own for one command, in a cgroup of its own."""

import os

import click

from tinysnitch.cli.options import examples
from tinysnitch.commandline.named_path import NamedPath


class _NoSuchRules(click.BadParameter):
    hint = "make it first, an empty one allows nothing; or leave --rules out, to judge by the machine's rules"


class _RulesFile(NamedPath):
    """A file that is there. Whoever is not root is told that root is needed, and not what they cannot look at."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        path = super().convert(value, param, ctx)
        if os.geteuid() != 0:
            return path
        if not os.path.exists(path):
            raise _NoSuchRules(f"there is no file {path!r}", ctx, param)
        if os.path.isdir(path):
            self.fail(f"{path!r} is a folder", param, ctx)
        # The daemon opens it, of which /dev/stdin is another file.
        found = os.path.realpath(path) if path.startswith(("/dev/", "/proc/")) else path
        if not os.path.isfile(found) and found != os.devnull:
            self.fail(f"{path!r} is no regular file", param, ctx)
        return found


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
@click.option("--rules", metavar="FILE", type=_RulesFile(), help="Judge by these rules, not by the machine's.")
@click.option("--learn", is_flag=True, help="Allow what no rule decides; the summary lists it.")
@click.option("--socket", "socket_path", type=NamedPath(), help="Where prompts may attach to the command's daemon.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(rules: str | None, learn: bool, socket_path: str | None, command: tuple[str, ...]) -> int:
    """Judge one command and its children, and nothing else on this machine.

    Asks in this terminal. Where nobody can be asked, what no rule covers is denied at once. The exit status is the
    command's; at the end what was allowed, refused and not answered is listed. COMMAND runs as root, as this does; to
    run it as another user write `runuser -u NAME -- COMMAND`.
    """
    from tinysnitch.cli.scoped_run import ScopedRun
    from tinysnitch.commandline.event_loop import run_in_loop

    return run_in_loop(ScopedRun(command, rules=rules, is_learning=learn, socket_path=socket_path).run())
