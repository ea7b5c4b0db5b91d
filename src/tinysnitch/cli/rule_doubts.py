"""Why a rule that reads without error matches nothing on this machine, most often since a word was mistyped."""

import os
import pwd
import time
from collections.abc import Iterable, Iterator

from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.domain import is_public_suffix
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule import ProgramKind, RemoteKind, Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.protocol.messages import ListEntry, ListLists, ListState


def find_doubts(line: str, client: ControlClient) -> Iterator[str]:
    """One clause for each reason. Asks the daemon about the list that the rule names."""
    rule = parse_rule(line)
    if rule.until_s is not None and rule.until_s <= time.time():
        yield f"it ended at {format_time(rule.until_s)}"
    if rule.user is not None and not is_user(rule.user):
        yield f"there is no user {rule.user}"
    if rule.program.kind is ProgramKind.PATH and os.path.isdir(rule.program.text):
        yield f"{rule.program.text} is a folder; {rule.program.text.rstrip('/')}/** means every file below it"
    programs = (rule.program.text if rule.program.kind is ProgramKind.PATH else None, rule.parent)
    yield from (f"there is no file {path}" for path in programs if path is not None and is_missing(path))
    if rule.remote.kind is RemoteKind.LIST:
        named = [entry for entry in client.ask(ListLists(), ListEntry) if entry.list == rule.remote.text]
        yield from (_present_unread(entry) for entry in named if _is_unread(entry))


def tell_of_secrets(lines: Iterable[str]) -> None:
    """Print a note for each rule, as the daemon writes it, that holds what looks like a secret."""
    for line in lines:
        if (shown := shorten_rule(line)) != line:
            print_note(f"the rule holds what looks like a secret: {shown}")


def tell_of_suffixes(rules: Iterable[Rule]) -> None:
    """Print a note for each rule that allows a whole public suffix, as `*.com` or `*.co.uk` is: everybody can have a
    name there. To deny or ask for one is what people do on purpose."""
    for rule in rules:
        is_domain = rule.remote.kind is RemoteKind.DOMAIN and rule.verdict is Verdict.ALLOW
        if is_domain and is_public_suffix(rule.remote.text):
            print_note(f"anybody can have a name in *.{rule.remote.text}: {shorten_rule(format_rule(rule))}")


def _is_unread(entry: ListEntry) -> bool:
    """Whether the list has no content yet: it is missing, or being read for the first time."""
    return entry.state is ListState.MISSING or (entry.state is ListState.LOADING and entry.updated is None)


def _present_unread(entry: ListEntry) -> str:
    if entry.state is ListState.LOADING:
        return f"the list {entry.path} is still being read"
    if entry.problem:
        return f"the list {entry.path} cannot be read: {entry.problem}"
    return f"there is no list {entry.path}"


def is_missing(path: str) -> bool:
    """Whether there is surely no such file; False if we may not look into its folder."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return False
    return False


def is_user(name: str) -> bool:
    """Whether there is a user of that name; any number counts as one."""
    if name.isdigit():
        return True
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):  # ValueError: a null byte in the name
        return False
    return True
