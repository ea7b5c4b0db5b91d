"""Answers `tinysnitch explain`: what would be decided for an imagined connection, by which rule, and why not others."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import Malformed, NotPermitted, NotUnderstood
from tinysnitch.core.model.flow import ICMP, ICMPV6, Direction, Flow, is_v4, parse_address
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, AttributionSource, Process, uid_of
from tinysnitch.core.model.verdict import Inspection
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.ruleset import Ruleset
from tinysnitch.core.policy.user_rules import is_own
from tinysnitch.core.rules.port_column import LAST_PORT
from tinysnitch.core.rules.program_column import split_program
from tinysnitch.core.rules.protocol_column import Service, has_ports, parse_service
from tinysnitch.core.rules.quoting import BadWord, Word, split_words
from tinysnitch.core.rules.remote_column import parse_remote
from tinysnitch.core.rules.rule import RemoteKind, Rule
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.requests.rule_permission import may_see_rule
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.protocol.messages import BeatenRule, Explain, Explanation
from tinysnitch.store.rule_paths import resolve_path

_WORDS = {"kernel": KERNEL, "unknown": UNKNOWN}
_LOOPBACK = parse_address("127.0.0.1")
_ANY_ADDRESS = parse_address("0.0.0.0")
_NO_ADDRESS = parse_address("192.0.0.8")  # RFC 7600: no machine has it
_MAX_NEAR = 20  # rules that nearly match, in one reply; nobody reads more
_MAX_LOSERS = 100  # rules that match and lose, in one reply
_PROTOCOL_HINT = "write tcp, udp, icmp or a number; tcp-src and the like for inbound"
_PORT_HINT = f"write one from 1 to {LAST_PORT}"
_REMOTE_HINT = "write one name or one address"


class Explainer:
    """Imagines a program with the arguments in the question, started by root, or by the user who asks.

    The interface that its packets would leave by is not looked up: rules with `iface=` are listed apart (`elsewhere`).
    """

    def __init__(self, engine: Engine, find_group: Callable[[Rule], str | None]) -> None:
        self._engine = engine
        self._find_group = find_group
        self._reader = Offload()

    def explain(self, question: Explain, right: Right) -> Explanation:
        now = read_instant()
        connection = self._imagine(question, right)
        contest = self._engine.rules.explain(connection, now)
        decision, winner = self._engine.decide(connection, now), contest.decision.rule
        near = [] if winner else list(self._near_misses(connection, right, now))
        losers = contest.losers
        more = _tell_rest(len(losers) - _MAX_LOSERS, "match") + _tell_rest(len(near) - _MAX_NEAR, "nearly match")
        return Explanation(
            verdict=decision.verdict,
            reason=decision.reason + _tell_program(winner, connection) + self._reservation(connection, decision) + more,
            rule=format_rule(winner) if winner else None,
            group=self._find_group(winner) if winner else None,
            beaten=tuple(self._beaten(rule, why) for rule, why in (*losers[:_MAX_LOSERS], *near[:_MAX_NEAR])),
            elsewhere=tuple(
                self._beaten(rule, f"it would decide on {interface}")
                for rule, interface in contest.elsewhere[:_MAX_NEAR]
            ),
        )

    def _beaten(self, rule: Rule, why: str) -> BeatenRule:
        return BeatenRule(format_rule(rule), why, self._find_group(rule))

    def _near_misses(self, connection: Connection, right: Right, now: Instant) -> Iterator[tuple[Rule, str]]:
        """Rules that would match with other arguments, parents or another user, each with what it needs. The client
        is told only of rules that it may see."""
        process, rules = connection.attribution.process, self._engine.rules
        if process is None:
            return
        relaxed: dict[Rule, list[Rule]] = {}
        for rule in rules:
            is_strict = rule.args is not None or rule.user or rule.parent
            if is_strict and not _names_another(rule, connection) and may_see_rule(rule, right, rules):
                relaxed.setdefault(replace(rule, args=None, user=None, parent=None), []).append(rule)
        found = Ruleset(relaxed, rules.facts).explain(connection, now.wall_s)
        winner = found.decision.rule
        matching = [winner, *(loser for loser, _why in found.losers)] if winner else []
        for rule in (rule for match in matching for rule in relaxed[match]):
            needs = ["with these arguments" if rule.args else "without arguments"] if _has_others(rule, process) else []
            needs += ["with this parent"] if rule.parent else []
            needs += ["for this user"] if rule.user and not is_own(rule, process.uid, rules.facts) else []
            if needs:
                yield rule, f"it would match {' and '.join(needs)}"

    def _reservation(self, connection: Connection, decision: Decision) -> str:
        inspection = self._engine.server_names.inspection_for(connection, decision, read_instant())
        is_guarded = inspection is Inspection.GUARDED
        guarded = ", until it says a name itself that a rule denies" if is_guarded else ""
        is_nowhere = connection.flow.remote == _NO_ADDRESS
        unknown = "; no address of that name is known yet: a rule by address may decide otherwise"
        return guarded + (unknown if is_nowhere else "")

    def _imagine(self, question: Explain, right: Right) -> Connection:
        """The connection that the question describes."""
        address, name = self._parse_remote(question.remote)
        flow = _imagine_flow(address, question.port, question.protocol)
        if question.program == "-":
            raise NotUnderstood("'-' is no program", _hint_for_any(flow.direction))
        attribution = self._imagine_attribution(question, 0 if right.sees_all else right.uid)
        if not right.covers(uid_of(attribution)):
            raise NotPermitted(f"{question.program} is no program of user {right.uid}", "write a program's whole path")
        if name:
            return Connection(flow=flow, attribution=attribution, name=name)
        return self._engine.connection_of(flow, attribution, "", read_instant())

    def _imagine_attribution(self, question: Explain, uid: int) -> Attribution:
        program = question.program
        if program in _WORDS:
            return _WORDS[program]
        path, args = split_program(program)
        if not path.startswith("/"):
            raise NotUnderstood(f"{program!r} is no program", "write its whole path, `kernel` or `unknown`")
        path = self._reader.read_of(uid, partial(resolve_path, path)) or path  # or: its file system does not answer
        process = Process(
            exec_id=0,
            pid=0,
            started_ns=0,
            uid=uid,
            executable=path,
            device=0,
            inode=0,
            program=path,
            args=args,
            sha256=question.sha256,
            is_sha256_told=question.is_sha256_told,
        )
        return Attribution(AttributionSource.BPF, process)

    def _parse_remote(self, text: str) -> tuple[bytes, str | None]:
        """An address; or a name, with the address that it is known to lead to."""
        if text.lower() == "localhost":  # as in a rule
            return _LOOPBACK, None
        with suppress(Malformed):
            return parse_address(text), None
        name = _parse_name(text)
        return self._engine.dns.names.find_address(name, read_instant().boot_s) or _NO_ADDRESS, name


def _tell_program(winner: Rule | None, connection: Connection) -> str:
    """As what the program was imagined, where no rule matches it."""
    process = connection.attribution.process
    if winner is not None or process is None:
        return ""
    args = "with the arguments given" if process.args else "without arguments"
    return f" (asked for {args}, as {f'uid {process.uid}' if process.uid else 'root'})"


def _names_another(rule: Rule, connection: Connection) -> bool:
    """Whether the rule is for another name. This sorts most rules out quickly, so that verdicts need not wait."""
    return rule.remote.kind is RemoteKind.NAME and rule.remote.text != connection.name


def _has_others(rule: Rule, process: Process) -> bool:
    """Whether the rule is for other arguments."""
    return rule.args is not None and rule.args != process.args


def _tell_rest(count: int, verb: str) -> str:
    """How many further rules the reply leaves out."""
    return f"; {count} more rules {verb}" if count > 0 else ""


def _hint_for_any(direction: Direction) -> str:
    """What to write for the `-` of a rule that names no program: other rules may name the one that is meant."""
    if direction is Direction.INBOUND:
        return "write the program that listens, as /usr/sbin/sshd"
    return "write the program that connects, as /usr/bin/curl"


def _imagine_flow(address: bytes, port: int, protocol: str) -> Flow:
    service = _parse_protocol(protocol)
    number = service.protocol
    if number is None:
        raise NotUnderstood(f"{protocol!r} is every protocol", _PROTOCOL_HINT)
    if number == ICMP and not is_v4(address):
        number = ICMPV6
    _check_port(port, number, protocol)
    is_inbound = service.direction is Direction.INBOUND
    return Flow(
        protocol=number,
        direction=service.direction,
        local=_ANY_ADDRESS,
        local_port=port if is_inbound else 0,
        remote=address,
        remote_port=0 if is_inbound else port,
    )


def _check_port(port: int, number: int, protocol: str) -> None:
    """Raise NotUnderstood for a wrong port. Both `0` and `-` arrive as 0, so that the error can quote neither."""
    if not 0 <= port <= LAST_PORT:
        raise NotUnderstood(f"{port} is no port", _PORT_HINT)
    if has_ports(number) and not port:
        raise NotUnderstood(f"{protocol} needs a port", _PORT_HINT)
    if port and not has_ports(number):
        raise NotUnderstood(f"{protocol} has no port in rules", "write - for the port")


def _parse_protocol(text: str) -> Service:
    try:
        return parse_service(_parse_word(text))
    except BadWord as error:
        raise NotUnderstood(f"{text!r} is no protocol", error.hint or _PROTOCOL_HINT) from None


def _parse_name(text: str) -> str:
    try:
        remote = parse_remote(_parse_word(text))
    except BadWord as error:
        raise NotUnderstood(f"{text!r} is no remote: {error}", error.hint or _REMOTE_HINT) from None
    if remote.kind is not RemoteKind.NAME:
        raise NotUnderstood(f"{text!r} is more than one remote", _REMOTE_HINT)
    return remote.text


def _parse_word(text: str) -> Word:
    """A column of a rule is one word; raises BadWord."""
    words = split_words(text)
    if len(words) != 1:
        raise BadWord("it is not one word")
    return words[0]
