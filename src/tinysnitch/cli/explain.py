"""`tinysnitch explain`: which rule would decide a connection, and which ones it beats and why."""

import os
import re
import shutil
from collections.abc import Iterator

import click

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.cli.output import print_lines, print_object
from tinysnitch.cli.rule_doubts import is_missing
from tinysnitch.client.control_client import ControlClient
from tinysnitch.client.program_files import read_sha256
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.errors import NotUnderstood
from tinysnitch.core.port_text import LAST_PORT
from tinysnitch.core.program_text import split_program
from tinysnitch.core.words import BadWord, quote_word, split_words
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.messages import Explain, Explanation

_WORDS = ("kernel", "unknown")
_NUMBER = re.compile("[0-9]{1,5}")  # of more digits than 4300 int() would raise


class Port(click.ParamType[int]):
    name = "port"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "-":
            return 0
        if not _NUMBER.fullmatch(str(value)) or int(value) > LAST_PORT:
            said = f"{str(value)[:20]!r} is no port"
            self.fail(f"{said}: a number up to {LAST_PORT}, or - where there is none", param, ctx)
        return int(value)


class OneWord(click.ParamType[str]):
    """A column of a rule; the daemon says what is wrong with the word."""

    name = "word"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            count = len(split_words(value))
        except BadWord:
            return value
        if count != 1:
            self.fail(f"{value!r} is not one word, as a rule's column is", param, ctx)
        return value


@click.command(
    "explain",
    short_help="What would be decided, by which rule, and why.",
    epilog=examples(
        "tinysnitch explain /usr/bin/curl google.com 443 tcp",
        "tinysnitch explain '/usr/bin/git fetch' github.com 443 tcp",
        "tinysnitch explain /usr/sbin/sshd 10.0.0.5 22 tcp-src",
        "tinysnitch explain kernel 10.0.0.5 - icmp",
    ),
)
@click.argument("program")
@click.argument("remote", type=OneWord())
@click.argument("port", type=Port())
@click.argument("protocol", type=OneWord())
@socket_option
@json_option
def explain_command(program: str, remote: str, port: int, protocol: str, *, socket_path: str, as_json: bool) -> None:
    """What would be decided for a connection, by which rule, and why not by another.

    PROGRAM is a path, or in one word a path and arguments, as a rule has them. REMOTE is a name or an address, PROTOCOL
    is as in a rule: tcp, udp, icmp, tcp-src. The program is taken to have no parents, and to be run by root, or by you
    where you may see your own processes alone. Where no rule matches, those are named that would with other arguments
    or parents, or for another user. Which interface it would go through is not looked up: rules with `iface=` that
    would decide are named behind `unless`.
    """
    if program.startswith("/") and not is_missing(program):  # its blanks are its own
        program = quote_word(program)
    path, _args = split_program(program)
    name = path.partition(" ")[0]  # of a path that is none: its arguments are still there
    if "/" not in name and name not in _WORDS and (found := shutil.which(name)):
        raise NotUnderstood(f"{program!r} is no program", f"did you mean {found}?")
    digest, is_told = _read_sum(path)
    question = Explain(program, remote, port, protocol, digest, is_told)
    with ControlClient(socket_path) as client:
        explanation = client.ask_one(question, Explanation)
    if path.startswith("/") and is_missing(path):
        print_note(f"there is no file {path}")
    if not is_told:
        print_note(f"{path} cannot be read: all sums of rules with `sha256=` that deny or ask are taken for its own")
    if as_json:
        print_object(encode_object(explanation))
    else:
        print_lines(present_explanation(explanation))


def _read_sum(path: str) -> tuple[str | None, bool]:
    """Of the executable, and whether it can be told; a script's is its interpreter, which is not looked for."""
    if not path.startswith("/") or is_missing(path):  # `kernel` is no file of that name
        return None, True
    try:
        digest = read_sha256(path, os.stat(path).st_ino)
        if digest is None:  # a pipe, perhaps, which must not be opened
            return None, False
        with open(path, "rb") as file:
            is_script = file.read(2) == b"#!"
    except (OSError, ValueError):
        return None, False
    return None if is_script else digest, True


def present_explanation(explanation: Explanation) -> Iterator[str]:
    yield f"{explanation.verdict.value}: {explanation.reason}"
    if explanation.rule is not None:
        yield f"  {explanation.rule}"
    label = "misses" if explanation.rule is None else "beats "
    for beaten in explanation.beaten:
        yield f"{label} {beaten.rule}"
        yield f"       {beaten.why}"
    for other in explanation.elsewhere:
        yield f"unless {other.rule}"
        yield f"       {other.why}"
