"""`tinysnitch asks`: the questions that are open."""

import click

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.process import program_of
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.core.rules.secret_args import shorten_secrets
from tinysnitch.output.lines import print_lines, print_object
from tinysnitch.output.tables import is_terminal, print_heading, print_table
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import ask_line_of
from tinysnitch.protocol.log_text import format_endpoints
from tinysnitch.protocol.messages import ListAsks, PromptShown
from tinysnitch.view.span import format_time_left
from tinysnitch.view.tables.asks_table import present_asks, tell_asks


@click.command("asks", epilog=examples("tinysnitch asks", "tinysnitch asks --json | jq .id"))
@socket_option
@json_option
def asks_command(socket_path: str, as_json: bool) -> None:
    """List the open questions; `tinysnitch answer` answers them."""
    with ControlClient(socket_path) as client:
        prompts = [shown.prompt for shown in client.ask(ListAsks(), PromptShown)]
    if as_json:
        for prompt in prompts:
            print_object(encode_object(ask_line_of(prompt)))
    elif not prompts:
        print_note("no question is open")
    elif is_terminal():
        print_heading(tell_asks(len(prompts)))
        print_table(present_asks(prompts))
    else:
        print_lines(row for prompt in prompts for row in present_ask(prompt))


def present_ask(prompt: Prompt) -> tuple[str, str]:
    """Two lines: `3  tcp 10.0.0.2:40516 -> shop.test:80  52 s left`, and below it the pid and program that ask."""
    ask = ask_line_of(prompt)
    label = f"{ask.id}  "
    many = f"  {ask.count} connections wait" if ask.count > 1 else ""
    left = f"  {format_time_left(round(ask.remaining_s))} left" if isinstance(ask.remaining_s, float) else ""
    pid = "" if ask.pid is None else f"{ask.pid} "
    return f"{label}{format_endpoints(ask)}{many}{left}", f"{' ' * len(label)}{pid}{_present_program(prompt)}"


def _present_program(prompt: Prompt) -> str:
    """The program and its arguments. `(another file)` marks one whose file is not the host's file at that path, but
    bind-mounted over it, say, or a container's: rules for that path do not match it."""
    attribution = prompt.connection.attribution
    process = attribution.process
    words = [quote_word(program_of(attribution)), *map(quote_word, shorten_secrets(process.args if process else ()))]
    if process and not process.is_host_file:
        of = f", of {quote_word(process.owners[0])}" if process.owners else ""
        words.insert(1, f"(another file{of})")  # no argument can look like this: it would be in quotes
    words += ["", "# started as", quote_word(process.started_as)] if process and process.started_as else []
    return " ".join(words)
