"""Words that only the daemon knows: rules, lists, groups, open questions, programs."""

from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.flow import format_address, format_protocol
from tinysnitch.core.model.process import program_of
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.core.traffic.queries import By, TrafficQuestion
from tinysnitch.protocol.framing import DEFAULT_SOCKET
from tinysnitch.protocol.log_text import format_endpoint
from tinysnitch.protocol.messages import (
    HistoryEntry,
    ListAsks,
    ListEntry,
    ListLists,
    ListRules,
    PromptShown,
    ReadHistory,
    ReadStatus,
    Request,
    RuleEntry,
    Status,
)

Item = CompletionItem[str]
T = TypeVar("T")
_TIMEOUT_S = 1.0
_MOST_PROGRAMS = 1000


def ask(context: click.Context, request: Request, kind: type[T]) -> list[T]:
    """The daemon's replies of this kind; none if it cannot be asked."""
    contexts = (context, context.parent) if context.parent else (context,)
    path = next((path for each in contexts if (path := each.params.get("socket_path"))), DEFAULT_SOCKET)
    try:
        with ControlClient(path, _TIMEOUT_S) as client:
            return client.ask(request, kind)
    except SnitchError:
        return []


def beginning_with(word: str, items: dict[str, str]) -> list[Item]:
    """Words with their help, in their order."""
    return [CompletionItem(each, help=told or None) for each, told in items.items() if each.startswith(word)]


def complete_question(context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    prompts = (shown.prompt for shown in ask(context, ListAsks(), PromptShown))
    return beginning_with(word, {str(each.prompt_id): _tell(each.connection) for each in prompts})


def _tell(connection: Connection) -> str:
    flow = connection.flow
    remote = format_endpoint(format_address(flow.remote), flow.port or None, connection.name)
    return f"{quote_word(program_of(connection.attribution))} {format_protocol(flow.protocol)} {remote}"


def complete_list(context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    return beginning_with(word, read_lists(context))


def read_lists(context: click.Context) -> dict[str, str]:
    entries = ask(context, ListLists(), ListEntry)
    return {entry.list: f"{entry.names + entry.addresses + entry.networks:,} names and networks" for entry in entries}


def complete_group(context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    groups = [group for status in ask(context, ReadStatus(), Status) for group in status.groups]
    return beginning_with(word, {group.group: "" if group.is_on else "off" for group in groups})


def complete_used_program(context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    """The programs of the history, by path, or by its last part if no path is begun."""
    question = TrafficQuestion(by=By.PROGRAM, since_s=0.0, limit=_MOST_PROGRAMS)
    paths = [entry.line.what for entry in ask(context, ReadHistory(question), HistoryEntry)]
    if word.startswith("/"):
        return beginning_with(word, dict.fromkeys(paths, ""))
    return beginning_with(word, {path.rpartition("/")[2]: path for path in paths})


def read_rules(context: click.Context) -> list[str]:
    return [entry.rule for entry in ask(context, ListRules(), RuleEntry)]
