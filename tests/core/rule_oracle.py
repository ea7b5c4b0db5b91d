"""The ruleset as the design says it, looking at every rule: what the index must agree with. Knows FACTS by heart."""

from tests.core.rule_strategies import FACTS
from tinysnitch.core.connection import Connection
from tinysnitch.core.domain import is_within
from tinysnitch.core.flow import parse_address
from tinysnitch.core.network import Network, parse_network
from tinysnitch.core.process import AttributionSource
from tinysnitch.core.program_text import compile_pattern
from tinysnitch.core.remote_words import RemoteWords
from tinysnitch.core.rule import ProgramKind, RemoteKind, Rule
from tinysnitch.core.scope import is_narrower, resolve_rule
from tinysnitch.core.verdict import Verdict

WORDS = RemoteWords(FACTS)


def matches(rule: Rule, asked: Connection, wall_s: float) -> bool:
    flow, process = asked.flow, asked.attribution.process
    protocol = 1 if flow.protocol == 58 else flow.protocol
    tests = [
        rule.direction is flow.direction,
        rule.protocol in (None, protocol),
        not rule.ports or any(first <= flow.port <= last for first, last in rule.ports),
        rule.iface in (None, asked.interface),
        rule.until_s is None or wall_s < rule.until_s,
        remote_matches(rule, asked),
        program_matches(rule, asked),
        rule.args is None or (process is not None and process.are_args_complete and process.args == rule.args),
        rule.user is None or (process is not None and _is_user(rule.user, process.uid)),
        rule.parent is None or (process is not None and _has_parent(rule.parent, process.parents)),
        rule.sha256 is None or (process is not None and process.sha256 == rule.sha256),
        rule.exec_id is None or (process is not None and process.exec_id == rule.exec_id),
    ]
    return all(tests)


def _is_user(user: str, uid: int) -> bool:
    return FACTS.users.get(user, user) in (uid, str(uid))


def _has_parent(parent: str, parents: tuple[str, ...]) -> bool:
    return parent in parents or FACTS.links.get(parent) in parents


def remote_matches(rule: Rule, asked: Connection) -> bool:
    text, address, name = rule.remote.text, asked.flow.remote, asked.name
    host = Network(int.from_bytes(address), 128)
    match rule.remote.kind:
        case RemoteKind.ANY:
            return True
        case RemoteKind.NAME:
            return name == text
        case RemoteKind.DOMAIN:
            return name is not None and is_within(name, text)
        case RemoteKind.NETWORK:
            return parse_network(text).contains(host)
        case RemoteKind.LOCALHOST:
            return address in map(parse_address, ["127.0.0.1", "::1", "192.168.1.5"])
        case RemoteKind.LAN:
            return address in map(parse_address, ["192.168.1.5", "10.1.2.3", "10.1.9.9"])
        case RemoteKind.LIST:
            return (text == "resolvers" and address == parse_address("10.1.2.3")) or (
                text == "ads"
                and (address == parse_address("10.1.9.9") or name in ("ads.example.com", "a.ads.example.com"))
            )


def program_matches(rule: Rule, asked: Connection) -> bool:
    process, text = asked.attribution.process, rule.program.text
    path = process.program if process and process.is_host_file else None
    match rule.program.kind:
        case ProgramKind.ANY:
            return True
        case ProgramKind.PATH:
            return path is not None and path in (text, FACTS.links.get(text))
        case ProgramKind.GLOB:
            return path is not None and compile_pattern(text).fullmatch(path) is not None
        case ProgramKind.OWNER:
            return process is not None and text in process.owners
        case ProgramKind.KERNEL:
            return asked.attribution.source is AttributionSource.KERNEL
        case ProgramKind.UNKNOWN:
            return asked.attribution.source is AttributionSource.UNKNOWN


def decide_slowly(rules: list[Rule], asked: Connection, wall_s: float) -> Verdict:
    matching = [resolve_rule(rule, FACTS) for rule in rules if matches(rule, asked, wall_s)]
    left = {rule.verdict for rule in matching if not any(is_narrower(other, rule, WORDS) for other in matching)}
    return next((verdict for verdict in (Verdict.DENY, Verdict.ASK, Verdict.ALLOW) if verdict in left), Verdict.ASK)
