"""Answers what clients ask: the desk of the control server, over the engine and the driver."""

from tinysnitch.core.choice import Choice, Lifetime
from tinysnitch.core.connection import Connection
from tinysnitch.core.engine import Engine
from tinysnitch.core.errors import Malformed, SnitchError
from tinysnitch.core.events import AnswerGiven, ClientAttached, ClientDetached, TemporaryRulesRemoved
from tinysnitch.core.flow import Direction, Flow, parse_address
from tinysnitch.core.port_text import parse_service
from tinysnitch.core.process import KERNEL, UNKNOWN, Attribution, AttributionSource, Process
from tinysnitch.core.prompt import Prompt
from tinysnitch.core.records import PromptAnswered
from tinysnitch.core.rule import Rule
from tinysnitch.core.rule_text import format_rule, parse_rule
from tinysnitch.core.words import split_words
from tinysnitch.daemon.counters import Counters
from tinysnitch.daemon.driver import Driver
from tinysnitch.daemon.identity import Identity
from tinysnitch.daemon.rule_loader import RuleLoader
from tinysnitch.kernel.clock import read_instant
from tinysnitch.protocol.messages import BeatenRule, Explanation, RuleEntry, Status
from tinysnitch.store.history import History
from tinysnitch.store.rules_file import RulesFile

_WORDS = {"kernel": KERNEL, "unknown": UNKNOWN}
_ANY_ADDRESS = parse_address("0.0.0.0")


class FrontDesk:
    """`driver` and `counters` are set once they exist, before the socket listens."""

    driver: Driver
    counters: Counters

    def __init__(
        self, identity: Identity, engine: Engine, rules_file: RulesFile, loader: RuleLoader, history: History
    ) -> None:
        self._identity = identity
        self._engine = engine
        self._rules_file = rules_file
        self._loader = loader
        self._history = history

    def status(self) -> Status:
        identity, engine = self._identity, self._engine
        hits, misses = self.counters.hits_and_misses()
        clients = self.counters.server.statistics()
        return Status(
            pid=identity.pid,
            mode=identity.mode,
            mode_reason=identity.degraded_because,
            netns=identity.netns,
            cgroup=identity.cgroup,
            rules_file=str(self._rules_file.path),
            uptime_s=read_instant().boot_s - identity.started_s,
            is_learning=identity.options.is_learning,
            rules=len(engine.rules.from_file()),
            temporary_rules=len(engine.rules.temporary()),
            rule_errors=tuple(map(str, self._loader.errors)),
            prompts=len(engine.prompts),
            clients=clients.clients,
            prompt_clients=clients.prompt_clients,
            queues=self.counters.waiting(),
            hits=hits,
            misses=misses,
            tables=self.counters.tables(),
            losses=self.counters.losses(),
        )

    # Rules

    def list_rules(self) -> list[RuleEntry]:
        rules = self._engine.rules
        lasting = [RuleEntry(format_rule(rule), "file", rule.until_s) for rule in rules.from_file()]
        return lasting + [_temporary_entry(rule) for rule in rules.temporary()]

    def add_rule(self, line: str, by_uid: int) -> str:
        rule = parse_rule(line)
        self._rules_file.append(rule)
        self.driver.reload_rules()
        return format_rule(rule)

    def remove_rule(self, line: str, by_uid: int) -> str:
        wanted = format_rule(parse_rule(line))
        temporary = tuple(rule for rule in self._engine.rules.temporary() if format_rule(rule) == wanted)
        if temporary:
            self.driver.feed(TemporaryRulesRemoved(temporary))
        is_removed = self._rules_file.remove(line)
        if is_removed:
            self.driver.reload_rules()
        if not is_removed and not temporary:
            raise SnitchError(f"there is no rule {wanted!r}", "`tinysnitch rules` lists them")
        return wanted

    # Questions

    def list_asks(self) -> list[Prompt]:
        return self._engine.open_prompts(read_instant())

    def answer(self, prompt_id: int, answer: Choice | str, by_uid: int) -> str:
        if self._engine.prompts.find(prompt_id) is None:
            closed = self._engine.prompts.find_closed(prompt_id)
            raise SnitchError(
                f"question {prompt_id} is not open" + (f": {closed}" if closed else ""),
                "`tinysnitch asks` lists what is open",
            )
        if isinstance(answer, Choice):
            event = AnswerGiven(prompt_id, answer, by_uid)
        else:
            rule = parse_rule(answer)
            event = AnswerGiven(prompt_id, Choice(verdict=rule.verdict, lifetime=Lifetime.FOREVER), by_uid, rule)
        records = self.driver.feed(event)
        return next(record.rule for record in records if isinstance(record, PromptAnswered))

    def attach(self, client_id: int, uid: int) -> None:
        self.driver.feed(ClientAttached(client_id, uid))

    def detach(self, client_id: int) -> None:
        self.driver.feed(ClientDetached(client_id))

    # Looking back and ahead

    def read_history(self, limit: int) -> list[bytes]:
        return self._history.read_newest(limit)

    def explain(self, program: str, remote: str, port: int, protocol: str) -> Explanation:
        now = read_instant()
        explanation = self._engine.rules.explain(_imagine(program, remote, port, protocol), now)
        decision = explanation.decision
        return Explanation(
            verdict=decision.verdict,
            reason=decision.reason,
            rule=format_rule(explanation.winner) if explanation.winner else None,
            beaten=tuple(BeatenRule(format_rule(rule), why) for rule, why in explanation.losers),
        )


def _temporary_entry(rule: Rule) -> RuleEntry:
    source = "temporary" if rule.exec_id is None else "quit"
    return RuleEntry(format_rule(rule), source, rule.until_s)


def _imagine(program: str, remote: str, port: int, protocol: str) -> Connection:
    """The connection that the words speak of, of a program without arguments that root started."""
    try:
        (word,) = split_words(protocol)
        service = parse_service(word)
    except ValueError as error:
        raise SnitchError(f"{protocol!r} is no protocol: {error}", "tcp, udp, icmp, or tcp-src for inbound") from None
    is_inbound = service.direction is Direction.INBOUND
    address, name = _parse_remote(remote)
    return Connection(
        flow=Flow(
            protocol=service.protocol or 0,
            direction=service.direction,
            local=_ANY_ADDRESS,
            local_port=port if is_inbound else 0,
            remote=address,
            remote_port=0 if is_inbound else port,
        ),
        attribution=_WORDS.get(program) or Attribution(AttributionSource.BPF, _imagine_process(program)),
        name=name,
    )


def _parse_remote(remote: str) -> tuple[bytes, str | None]:
    try:
        return parse_address(remote), None
    except Malformed:
        return _ANY_ADDRESS, remote.lower().rstrip(".")


def _imagine_process(program: str) -> Process:
    return Process(
        exec_id=0, pid=0, started_ns=0, uid=0, executable=program, device=0, inode=0, program=program, args=()
    )
