"""What a daemon would propose, and what was taken of it; a pseudo terminal on which keys are pressed."""

import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.tidy.proposal import Kind
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.requests.tidying import Tidying
from tinysnitch.protocol import messages as msg

DROP = msg.ProposalEntry(Kind.COVERED, ("allow a.test - -",), None, "a wider rule says the same: allow *.test - -", "")
JOIN = msg.ProposalEntry(
    Kind.DOMAIN, ("allow a.b.test - -", "allow c.b.test - -"), "allow *.b.test - -", "their names are b's", "also more"
)
FULL = msg.ProposalEntry(Kind.ARGS, ("allow y.test - - /a b",), None, "args", "")
STALE = msg.ProposalEntry(Kind.PORTS, ("allow x.test 1 tcp", "allow x.test 2 tcp"), "allow x.test 1,2 tcp", "ports", "")
LEARNED = msg.LearnedEntry(
    kind=Kind.DOMAIN,
    lines=(
        msg.LearnedLine("allow a.b.test - -", "learn since 2026-12-02T12:20:03Z", 12),
        msg.LearnedLine("allow c.b.test - -", "pause since 2026-12-01T12:20:03Z", 1),
    ),
    added="allow *.b.test - -",
    why="their names are all of b.test",
    effect="also lets pass more",
    wider=(msg.WiderRule("allow - - -", "also lets pass everything"),),
)
DENIED = msg.LearnedEntry(
    kind=Kind.DENIED, lines=(msg.LearnedLine("allow ads.test - -"),), added=None, why="a rule denies it", effect=""
)


class SmallTidying(Tidying):
    def __init__(self, *entries: msg.ProposalEntry, learned: tuple[msg.LearnedEntry, ...] = ()) -> None:
        self.entries = list(entries)
        self.learned = list(learned)
        self.taken: list[object] = []
        self.request = msg.ListProposals()

    def list_proposals(self, request: msg.ListProposals, right: Right) -> Iterator[msg.Reply]:
        self.request = request
        return iter((msg.Working(), *self.entries))

    def take(self, request: msg.TakeProposal, right: Right) -> Iterator[msg.Reply]:
        if request.kind is Kind.PORTS:
            raise SnitchError("the rules have changed since", "ask again")
        self.entries = [each for each in self.entries if each.removed != request.removed]
        self.taken.append(request)
        return self._finish(request)

    def _finish(self, request: msg.TakeProposal) -> Iterator[msg.Reply]:
        """What fails in the middle of a reply is told, and the next request is answered as any other."""
        yield msg.Working()
        if request.kind is Kind.ARGS:
            raise SnitchError("the disk is full", "make room")
        yield msg.RuleWritten(request.added or request.removed[0])

    def list_learned(self, right: Right) -> Iterator[msg.Reply]:
        return iter(self.learned)

    def take_learned(self, request: msg.TakeLearned, right: Right) -> msg.RuleWritten:
        self.taken.append(msgspec.structs.astuple(request))
        return msg.RuleWritten(request.rule or "")


@contextmanager
def keys_pressed(keys: bytes) -> Iterator[None]:
    """Standard input is a terminal on which these keys are pressed, each once the program waits for one."""
    ours, theirs = pty.openpty()
    before = os.dup(0)
    os.dup2(theirs, 0)
    try:
        os.write(ours, keys)
        yield
    finally:
        os.dup2(before, 0)
        for descriptor in (before, ours, theirs):
            os.close(descriptor)
