"""`tinysnitch answer`: answers one open question, as a key of the prompt would."""

import click

from tinysnitch.cli.options import Number, examples, socket_option
from tinysnitch.cli.output import print_line
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.connection import Connection
from tinysnitch.core.errors import SnitchError
from tinysnitch.core.verdict import Verdict
from tinysnitch.protocol.messages import GiveAnswer, ListAsks, PromptShown, RuleWritten
from tinysnitch.view.prompt_view import is_rule_kept

_VERDICTS = {"yes": Verdict.ALLOW, "no": Verdict.DENY}


@click.command(
    "answer",
    epilog=examples(
        "tinysnitch answer 3 yes",
        "tinysnitch answer 3 yes --for forever --domain",
        "tinysnitch answer 3 no --for quit --any-remote --any-port",
    ),
)
@click.argument("prompt_id", metavar="ID", type=Number())
@click.argument("word", metavar="yes|no", type=click.Choice(list(_VERDICTS)))
@click.option(
    "--for",
    "lifetime",
    type=click.Choice([lifetime.value for lifetime in Lifetime]),
    default=Choice(verdict=Verdict.ALLOW).lifetime.value,
    show_default=True,
    help="How long the answer holds; quit: until the program ends.",
)
@click.option(
    "--domain",
    is_flag=True,
    help="The whole domain of the name; of what is said on the lan, or comes from there without a name that lasts, all "
    "of it.",
)
@click.option("--any-remote", is_flag=True, help="Any remote.")
@click.option("--any-port", is_flag=True, help="Any port, not this one alone.")
@click.option("--any-args", is_flag=True, help="Any arguments of the program, not these alone.")
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
    socket_path: str,
) -> None:
    """Answer the question ID, and print the rule that the answer made."""
    choice = Choice(
        verdict=_VERDICTS[word],
        lifetime=Lifetime(lifetime),
        remote=_remote_scope(domain, any_remote),
        any_port=any_port,
        any_args=any_args,
    )
    with ControlClient(socket_path) as client:
        prompts = [shown.prompt for shown in client.ask(ListAsks(), PromptShown)]
        written = client.ask_one(GiveAnswer(prompt_id, choice), RuleWritten)
    print_line(written.rule)
    for prompt in prompts:
        if prompt.prompt_id == prompt_id and (note := _present_surprise(prompt.connection, choice)):
            print_note(note)
    if written.problem:
        raise SnitchError(written.problem, written.hint)


def _present_surprise(connection: Connection, choice: Choice) -> str | None:
    """What the answer does otherwise than the words of the command say."""
    if not is_rule_kept(connection, choice):
        whatever = "" if choice.lifetime is Lifetime.ONCE else ", whatever you choose"
        return f"this once{whatever}: the rule is not written"
    process = connection.attribution.process
    if process is None and choice.lifetime is Lifetime.QUIT:
        return "for 9 minutes: what has no process cannot quit"
    if process and not process.are_args_complete and not choice.any_args:
        return "the rule takes any arguments: these could not be captured whole"
    return None


def _remote_scope(domain: bool, any_remote: bool) -> RemoteScope:
    if domain and any_remote:
        raise click.UsageError("--domain and --any-remote exclude each other", click.get_current_context())
    if any_remote:
        return RemoteScope.ANY
    return RemoteScope.DOMAIN if domain else RemoteScope.NAME
