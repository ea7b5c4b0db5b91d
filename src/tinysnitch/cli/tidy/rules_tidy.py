"""`tinysnitch rules tidy`: goes through what would make the rules fewer; each proposal is taken by a key."""

from collections.abc import Iterable, Iterator

import click
import msgspec

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.cli.rule_doubts import is_missing, is_user
from tinysnitch.cli.tidy.key_press import choose, find_width, is_on_terminal, show
from tinysnitch.cli.tidy.shown import TIDY_KEYS, present_proposal
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note, print_snitch_error
from tinysnitch.core.model.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.rules.rule import ProgramKind, Rule
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.tidy.proposal import Kind
from tinysnitch.output.lines import print_object
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.messages import (
    ListEntry,
    ListLists,
    ListProposals,
    ListRules,
    ListState,
    ProposalEntry,
    RuleEntry,
    RuleWritten,
    TakeProposal,
)

ALL = "all"
KINDS = [
    each.value for each in (Kind.COVERED, Kind.GONE, Kind.EXPIRED, Kind.UNUSED, Kind.PORTS, Kind.DOMAIN, Kind.ARGS)
]
_MOST_GONE = 32_768  # characters of what is gone, in one request: the next round has the rest


@click.command(
    "tidy",
    epilog=examples(
        "tinysnitch rules tidy",
        "tinysnitch rules tidy --yes covered --yes expired",
        "tinysnitch rules tidy --json | jq -r .effect",
    ),
)
@click.option(
    "--yes",
    "kinds",
    multiple=True,
    metavar="KIND",
    type=click.Choice([*KINDS, ALL]),
    help=f"Take proposals of this kind, unasked: {', '.join(KINDS)}, or {ALL}. May be given several times.",
)
@socket_option
@json_option
def tidy_command(kinds: tuple[str, ...], socket_path: str, as_json: bool) -> None:
    """Propose which rules to drop, and which to join into one.

    Each proposal says what it would decide that no rule decides now. Nothing is changed without a key, or --yes.
    """
    with ControlClient(socket_path) as client:
        tidying = _Tidying(client, as_json=as_json)
        if kinds:
            tidying.take_all(set(kinds))
        elif as_json or not is_on_terminal():
            tidying.show_all()
        else:
            tidying.ask_all()


class _Tidying:
    """Rounds of proposals: what is taken may make others possible."""

    def __init__(self, client: ControlClient, *, as_json: bool) -> None:
        self._client = client
        self._as_json = as_json
        self._seen: set[ProposalEntry] = set()

    def show_all(self) -> None:
        entries = self._find_new()
        for number, entry in enumerate(entries, 1):
            self._show(entry, f"{number} of {len(entries)}")
        if not entries and not self._as_json:
            print_note("there is nothing to tidy")

    def take_all(self, kinds: set[str]) -> None:
        taken = 0
        while wanted := [each for each in self._find_new() if each.kind.value in kinds or ALL in kinds]:
            for entry in wanted:
                if self._take(entry):
                    taken += 1
                    self._show(entry, "taken")
        if not self._as_json:
            print_note("1 proposal taken" if taken == 1 else f"{taken} proposals taken")

    def ask_all(self) -> None:
        is_first = True
        while entries := self._find_new():
            is_any_taken = False
            for number, entry in enumerate(entries, 1):
                self._show(entry, f"{number} of {len(entries)}")
                key = choose(TIDY_KEYS)
                if key == "q":
                    return
                is_any_taken |= key == "y" and self._take(entry)
            is_first = False
            if not is_any_taken:
                return
        if is_first:
            print_note("there is nothing to tidy")

    def _find_new(self) -> list[ProposalEntry]:
        """The proposals that were not shown yet."""
        found = self._client.ask(find_gone(self._client), ProposalEntry)
        new = [entry for entry in found if entry not in self._seen]
        self._seen.update(new)
        return new

    def _show(self, entry: ProposalEntry, place: str) -> None:
        if self._as_json:
            print_object(encode_object(msgspec.structs.asdict(entry)))
        else:
            show(present_proposal(entry, place, find_width()))

    def _take(self, entry: ProposalEntry) -> bool:
        """Whether it could be taken. If not, why is told: the rules may have changed since."""
        try:
            self._client.ask_one(TakeProposal(entry.kind, entry.removed, entry.added), RuleWritten)
        except SnitchError as error:
            print_snitch_error(error)
            return False
        return True


def find_gone(client: ControlClient) -> ListProposals:
    """The request for proposals, with what the rules name and is not there on this machine."""
    rules = list(_parse(entry.rule for entry in client.ask(ListRules(), RuleEntry)))
    paths = {rule.program.text for rule in rules if rule.program.kind is ProgramKind.PATH}
    paths |= {rule.parent for rule in rules if rule.parent is not None}
    users = {rule.user for rule in rules if rule.user is not None}
    lists = client.ask(ListLists(), ListEntry)
    return ListProposals(
        gone_paths=_bounded(sorted(filter(is_missing, paths))),
        gone_users=_bounded(sorted(user for user in users if not is_user(user))),
        gone_lists=tuple(each.list for each in lists if each.state is ListState.MISSING and not each.problem),
    )


def _bounded(texts: list[str]) -> tuple[str, ...]:
    """As many as fit into a request."""
    room = _MOST_GONE
    kept = []
    for text in texts:
        room -= 6 * len(text) + 4  # as JSON escapes each character at worst
        if room < 0:
            break
        kept.append(text)
    return tuple(kept)


def _parse(lines: Iterable[str]) -> Iterator[Rule]:
    for line in lines:
        try:
            yield parse_rule(line)
        except RuleSyntaxError:  # of a daemon of another version
            continue
