"""`tinysnitch explain`: which rule would decide a connection, which others it beats, and why."""

import os
import re
import shutil
import time
from collections.abc import Iterator

import click

from tinysnitch.cli.completion.rule_columns import (
    complete_port,
    complete_program,
    complete_protocol,
    complete_remote,
)
from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.cli.rule_doubts import is_missing
from tinysnitch.client.control_client import ControlClient
from tinysnitch.client.program_files import read_sha256
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.errors import NotUnderstood
from tinysnitch.core.rules.port_column import LAST_PORT
from tinysnitch.core.rules.program_column import split_program
from tinysnitch.core.rules.quoting import BadWord, quote_word, split_words
from tinysnitch.output.lines import print_lines, print_object
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.messages import BeatenRule, Explain, Explanation

_WORDS = ("kernel", "unknown")
_NUMBER = re.compile("[0-9]{1,5}")  # int() raises for more than 4300 digits


class Port(click.ParamType[int]):
    name = "port"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "-":
            return 0
        if not _NUMBER.fullmatch(str(value)) or int(value) > LAST_PORT:
            said = f"{str(value)[:20]!r} is not a port"
            self.fail(f"{said}: write a number up to {LAST_PORT}, or - if the protocol has none", param, ctx)
        return int(value)


class OneWord(click.ParamType[str]):
    """One column of a rule. Only the number of words is checked here; the daemon checks the word itself."""

    name = "word"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            count = len(split_words(value))
        except BadWord:
            return value
        if count != 1:
            self.fail(f"{value!r} is not a single word, as a column of a rule is", param, ctx)
        return value


@click.command(
    "explain",
    short_help="Say which rule would decide a connection, and why.",
    epilog=examples(
        "tinysnitch explain /usr/bin/curl google.com 443 tcp",
        "tinysnitch explain '/usr/bin/git fetch' github.com 443 tcp",
        "tinysnitch explain /usr/sbin/sshd 10.0.0.5 22 tcp-src",
        "tinysnitch explain kernel 10.0.0.5 - icmp",
    ),
)
@click.argument("program", shell_complete=complete_program)
@click.argument("remote", type=OneWord(), shell_complete=complete_remote)
@click.argument("port", type=Port(), shell_complete=complete_port)
@click.argument("protocol", type=OneWord(), shell_complete=complete_protocol)
@socket_option
@json_option
def explain_command(program: str, remote: str, port: int, protocol: str, *, socket_path: str, as_json: bool) -> None:
    """Say what would be decided for a connection, by which rule, and why not by another.

    PROGRAM is a path, or `kernel` or `unknown`. With arguments it is one word, quoted for the shell. REMOTE is a name
    or an address; PORT is a number, or - if there is none; PROTOCOL is as in a rule: tcp, udp, icmp, tcp-src.

    The program is assumed to have no parents, and to run as root, or as you if you may only see your own processes. If
    no rule matches, the rules are listed that would match with other arguments or parents, or for another user. The
    network interface is not looked up: rules with `iface=` that could decide are listed after `unless`.
    """
    if program.startswith("/") and not is_missing(program):  # the whole text is a path, blanks included
        program = quote_word(program)
    path, _args = split_program(program)
    name = path.partition(" ")[0]  # split_program() leaves the arguments in place of what is no path, as in `curl -v`
    if "/" not in name and name not in _WORDS and (found := shutil.which(name)):
        raise NotUnderstood(f"{program!r} is not a path", f"did you mean {found}?")
    digest, is_told = _read_sum(path)
    question = Explain(program, remote, port, protocol, digest, is_told)
    with ControlClient(socket_path) as client:
        explanation = client.ask_one(question, Explanation)
    if path.startswith("/") and is_missing(path):
        print_note(f"there is no file {path}")
    if not is_told:
        print_note(f"{path} cannot be read: every rule with `sha256=` that denies or asks is taken to match")
    if as_json:
        print_object(encode_object(explanation))
    else:
        print_lines(present_explanation(explanation))


def _read_sum(path: str) -> tuple[str | None, bool]:
    """The executable's sha256, and whether it is known which it is: False if the file cannot be read.

    None, True for a script: the sum would be that of its interpreter, which is not looked for.
    """
    if not path.startswith("/") or is_missing(path):  # `kernel` and `unknown` are not files
        return None, True
    try:
        digest = read_sha256(path, os.stat(path).st_ino)
        if digest is None:  # perhaps a pipe: open() below would wait for its writer
            return None, False
        with open(path, "rb") as file:
            is_script = file.read(2) == b"#!"
    except (OSError, ValueError):
        return None, False
    return None if is_script else digest, True


def _tell_use(explanation: Explanation) -> str:
    if explanation.last is None:
        return "it never decided yet"
    times = "once" if explanation.count == 1 else f"{explanation.count:,} times"
    return f"it decided {times}, last {time.strftime('%Y-%m-%d %H:%M', time.localtime(explanation.last))}"


def present_explanation(explanation: Explanation) -> Iterator[str]:
    yield f"{explanation.verdict.value}: {explanation.reason}"
    if explanation.rule is not None:
        yield f"  {explanation.rule}{_tell_place(explanation)}"
        yield f"  {_tell_use(explanation)}"
    label = "misses" if explanation.rule is None else "beats "
    for beaten in explanation.beaten:
        yield f"{label} {beaten.rule}{_tell_place(beaten)}"
        yield f"       {beaten.why}"
    for other in explanation.elsewhere:
        yield f"unless {other.rule}{_tell_place(other)}"
        yield f"       {other.why}"


def _tell_place(of: Explanation | BeatenRule) -> str:
    """Its number, as in `tinysnitch rules`, and its group. A comment, so that the line is still a rule."""
    told = [str(of.number)] if of.number is not None else []
    told += [f"group {of.group}"] if of.group else []
    return f"  # {', '.join(told)}" if told else ""
