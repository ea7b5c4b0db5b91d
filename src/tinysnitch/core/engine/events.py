"""Events: what happened outside the engine. Adapters make the values, and the engine takes them in."""

import msgspec

from tinysnitch.core.model.asking_mode import AskingMode
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.past import Past
from tinysnitch.core.model.process import Asker, Attribution, ProcessKey
from tinysnitch.core.packets.packet import Payload
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.prompts.catalogue import Catalogue
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.rules.rule import Rule


class PacketQueued(msgspec.Struct, frozen=True):
    """The first packet of a flow is held, or another one while its verdict is on the way."""

    packet_id: int
    flow: Flow
    attribution: Attribution
    interface: str = ""
    cookie: int = 0  # socket cookie, 0 when no socket is known
    asked_name: str | None = None  # the name that a DNS question asks for
    says_nothing: bool = False  # a datagram that cannot begin a QUIC connection, and so says no name
    interface_index: int = 0  # of the interface, whose name may change


class QuestionSent(msgspec.Struct, frozen=True):
    """A DNS question that was allowed already is held on its way out, only to be read."""

    packet_id: int | None  # None: it has gone on
    flow: Flow
    asker: Asker
    payload: Payload  # the DNS message; over TCP a piece of the stream that holds it


class AnswerReceived(msgspec.Struct, frozen=True):
    """A DNS answer is held until its names are learned; it replies to `flow`."""

    packet_id: int
    flow: Flow  # as the question saw it: outbound, remote is the resolver
    payload: Payload


class LookUpsTold(msgspec.Struct, frozen=True):
    """A resolver of this machine tells what it answered, or that it will tell. It does not say whom it answered; that
    program may have the answer already."""

    messages: tuple[bytes, ...] = ()  # the answers, as DNS messages
    is_last: bool = False  # it tells no more from now on


class DataSent(msgspec.Struct, frozen=True):
    """A packet of a connection whose name is missing or a guess is held, to be read for the name that it may say."""

    packet_id: int
    flow: Flow
    attribution: Attribution
    interface: str
    cookie: int
    payload: Payload  # a datagram, or a segment of TCP


class AnswerGiven(msgspec.Struct, frozen=True):
    prompt_id: int
    choice: Choice
    by_uid: int
    rule: Rule | None = None  # written by hand, instead of the one that the choice makes


class PromptTended(msgspec.Struct, frozen=True):
    """A person who may answer the question is at it, typing or choosing."""

    prompt_id: int


class PastFound(msgspec.Struct, frozen=True):
    """The history has something to say beside a question, which may be closed by now."""

    prompt_id: int
    past: Past


class ClientAttached(msgspec.Struct, frozen=True):
    """A prompt client that can answer."""

    client_id: int
    uid: int | None  # the user whose questions it is shown; None: everybody's


class ClientDetached(msgspec.Struct, frozen=True):
    client_id: int


class RulesLoaded(msgspec.Struct, frozen=True):
    """The rules files as they are now."""

    rules: tuple[Rule, ...]  # all that are to be in force: of a file with errors, those that it had before
    errors: tuple[RuleSyntaxError, ...] = ()
    is_edited: bool = False  # a person edited the file, and is told the outcome even if the rules are the same


class AnswersTakenBack(msgspec.Struct, frozen=True):
    """Someone takes answers back, with all that was decided by them; or removes temporary rules."""

    temporary: tuple[Rule, ...] = ()  # the rules of these answers, or those that are removed
    put_back: tuple[Rule, ...] = ()  # temporary rules that were removed, and are in force again
    answered: tuple[Rule, ...] = ()  # what the answers were, also where no rule was kept


class FactsChanged(msgspec.Struct, frozen=True):
    """Own addresses, local networks, resolvers, lists or links have changed."""

    facts: Facts


class CatalogueLoaded(msgspec.Struct, frozen=True):
    """What proposals are made with from now on."""

    catalogue: Catalogue


class ModeSet(msgspec.Struct, frozen=True):
    """Somebody has what no rule covers decided in this way from now on."""

    mode: AskingMode
    by_uid: int


class TimeoutChanged(msgspec.Struct, frozen=True):
    """Questions that are opened from now on wait for so long."""

    timeout_s: float


class ProcessExited(msgspec.Struct, frozen=True):
    """A watched process is gone."""

    process: ProcessKey


class DataLost(msgspec.Struct, frozen=True):
    """Something outside the engine was lost, could not be done, or is not in force; to be reported."""

    what: str
    count: int


class DeadlineReached(msgspec.Struct, frozen=True):
    """The moment that `engine.next_deadline()` named has come."""


class FirewallEnds(msgspec.Struct, frozen=True):
    """The netfilter rules are about to go. A packet held beyond that would be sent again by its sender, and pass."""


Event = (
    PacketQueued
    | QuestionSent
    | AnswerReceived
    | LookUpsTold
    | DataSent
    | AnswerGiven
    | PromptTended
    | PastFound
    | ClientAttached
    | ClientDetached
    | RulesLoaded
    | AnswersTakenBack
    | FactsChanged
    | CatalogueLoaded
    | ModeSet
    | TimeoutChanged
    | ProcessExited
    | DataLost
    | DeadlineReached
    | FirewallEnds
)
