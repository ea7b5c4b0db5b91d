"""`tinysnitch answer`: answers one open question, as a key of the prompt would."""

import click

from tinysnitch.cli.completion.from_daemon import complete_question
from tinysnitch.cli.options import Number, examples, socket_option
from tinysnitch.cli.rule_doubts import tell_of_secrets
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.answer import bounded, holds_secret, refusal_to_remember
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.output.lines import print_line
from tinysnitch.protocol.messages import GiveAnswer, ListAsks, PromptShown, RuleWritten

_VERDICTS = {"yes": Verdict.ALLOW, "no": Verdict.DENY}


@click.command(
    "answer",
    epilog=examples(
        "tinysnitch answer 3 yes",
        "tinysnitch answer 3 yes --for forever --domain",
        "tinysnitch answer 3 no --for quit --any-remote --any-port",
        "tinysnitch answer 3 yes --for forever --args",
    ),
)
@click.argument("prompt_id", metavar="ID", type=Number(), shell_complete=complete_question)
@click.argument("word", metavar="yes|no", type=click.Choice(list(_VERDICTS)))
@click.option(
    "--for",
    "lifetime",
    type=click.Choice([lifetime.value for lifetime in Lifetime]),
    default=Choice(verdict=Verdict.ALLOW).lifetime.value,
    show_default=True,
    help="How long the answer holds; quit: until the program ends; forever: a line in the rules file.",
)
@click.option(
    "--domain",
    is_flag=True,
    help="The whole domain of the name; for what is only on the lan, the whole lan.",
)
@click.option("--any-remote", is_flag=True, help="Any remote, not just this name or address.")
@click.option("--any-port", is_flag=True, help="Any port, not just this one.")
@click.option("--any-args", is_flag=True, help="Any arguments of the program, not just these.")
@click.option("--args", "keeps_args", is_flag=True, help="Write these arguments forever, also with a secret in them.")
@socket_option
def answer_command(
    prompt_id: int,
    word: str,
    *,
    lifetime: str,
    domain: bool,
    any_remote: bool,
    any_port: bool,
    any_args: bool,
    keeps_args: bool,
    socket_path: str,
) -> None:
    """Answer the question ID, and print the rule that this makes.

    `tinysnitch asks` lists the open questions and their IDs. Without options the answer holds for 9 minutes, for this
    remote, this port and these arguments. A secret among these is not written forever: as at a prompt, the answer then
    holds until the program ends, unless --args or --any-args is given.
    """
    if any_args and keeps_args:
        raise click.UsageError("--args and --any-args cannot be combined", click.get_current_context())
    choice = Choice(
        verdict=_VERDICTS[word],
        lifetime=Lifetime(lifetime),
        remote=_remote_scope(domain, any_remote),
        any_port=any_port,
        any_args=any_args,
    )
    with ControlClient(socket_path) as client:
        prompts = [shown.prompt for shown in client.ask(ListAsks(), PromptShown)]
        connection = next((each.connection for each in prompts if each.prompt_id == prompt_id), None)
        if connection and not keeps_args:
            choice = _without_secret(connection, choice)
        written = client.ask_one(GiveAnswer(prompt_id, choice), RuleWritten)
    print_line(written.rule)
    if choice.lifetime not in (Lifetime.ONCE, Lifetime.QUIT):  # else it is written nowhere
        tell_of_secrets([written.rule])
    if connection and (note := _present_surprise(connection, choice)):
        print_note(note)
    if written.problem:
        raise SnitchError(written.problem, written.hint)


def _without_secret(connection: Connection, choice: Choice) -> Choice:
    """The choice; or until the program ends, as a prompt proposes it, where a rule for ever would hold a secret."""
    if choice.lifetime is not Lifetime.FOREVER or not holds_secret(connection, choice):
        return choice
    print_note("the rule holds until the program ends: a secret is among its arguments (--args writes it all the same)")
    return bounded(connection, choice)


def _present_surprise(connection: Connection, choice: Choice) -> str | None:
    """In what way the answer does something else than the command line says; None if it does just that."""
    if refusal := refusal_to_remember(connection):
        return f"the answer is for this once, whatever --for says: {refusal}"
    if choice.lifetime is Lifetime.ONCE:
        return "the answer is for this once: the rule is not kept"
    process = connection.attribution.process
    if process is None and choice.lifetime is Lifetime.QUIT:
        return "the rule holds for 9 minutes: no process is known whose end could end it"
    if process and not process.are_args_complete and not choice.any_args:
        return "the rule is for any arguments: these were too long, or could not be read"
    return None


def _remote_scope(domain: bool, any_remote: bool) -> RemoteScope:
    if domain and any_remote:
        raise click.UsageError("--domain and --any-remote cannot be combined", click.get_current_context())
    if any_remote:
        return RemoteScope.ANY
    return RemoteScope.DOMAIN if domain else RemoteScope.NAME
