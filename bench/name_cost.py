"""What names and rules cost in one process, as JSON.

`talk COUNT`; `list COMPILED COUNT` to load, look up and weigh a list; `rules COUNT` to load, edit and add to rules.
"""

import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dns.message
import dns.rrset

from bench.daemon_cost import read_resident_mb
from bench.generated import generate_names, generate_rules
from tests.daemon.rules.small_facts import make_fact_source
from tinysnitch.core.dns.tracker import DnsTracker
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.flow import UDP, Direction, Flow, parse_address
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.rules.lists import ListCompiler, ListLoader
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.store.rules_file import RulesFile

LOOKUPS = 50_000
SAMPLE = 10_000  # names that are looked up
ROUNDS = 5
EDITS = 9
_NOW = Instant(boot_s=1000.0, wall_s=1e9)
_RESOLVER = parse_address("10.0.0.53")


def _best_s(work: Callable[[], object]) -> float:
    """The fastest of some rounds: other load on the machine only adds time."""
    times = []
    for _ in range(ROUNDS):
        start_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - start_s)
    return min(times)


def measure_talk(messages: int) -> dict[str, float]:
    """Questions and answers about different names, each parsed, checked and learned."""
    exchanges = [_exchange(number, name) for number, name in enumerate(generate_names(messages // 2))]

    def talk() -> None:
        tracker = DnsTracker(Settings(), Facts(resolvers=frozenset({_RESOLVER})))
        for now_s, (flow, question, answer) in enumerate(exchanges):
            tracker.ask(flow, question, 7, now_s / 1000)
            assert tracker.learn(flow, answer, now_s / 1000).addresses

    return {"messages_a_second": messages / _best_s(talk)}


def _exchange(number: int, name: str) -> tuple[Flow, bytes, bytes]:
    question = dns.message.make_query(name, "A", id=number, use_edns=True)
    answer = dns.message.make_response(question)
    addresses = [f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}", f"203.0.113.{number % 256}"]
    answer.answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", "CNAME", "edge.cdn.test."))
    answer.answer.append(dns.rrset.from_text("edge.cdn.test.", 300, "IN", "A", *addresses))
    flow = Flow(UDP, Direction.OUTBOUND, parse_address("10.0.0.2"), 1024 + number % 60_000, _RESOLVER, 53)
    return flow, question.to_wire(), answer.to_wire()


def measure_list(compiled_list: Path, count: int) -> dict[str, float]:
    """A list of the first `count` names, mapped from the file that another process compiled; a miss is another name."""
    before_mb = _rss_mb()
    from tinysnitch.store.compiled_list import map_compiled

    start_s = time.perf_counter()
    compiled = map_compiled(compiled_list)
    load_s = time.perf_counter() - start_s
    assert compiled is not None
    has_name = compiled.remotes.has_name
    there, others = list(generate_names(min(count, SAMPLE))), list(generate_names(SAMPLE, seed=9))
    names_mb = sum(map(sys.getsizeof, there + others)) / 2**20
    return {
        "load_s": load_s,
        "hit_us": _look_up_us(has_name, there, is_there=True),
        "miss_us": _look_up_us(has_name, others, is_there=False),
        "more_mb": max(0.0, _rss_mb() - before_mb - names_mb),
    }


def _look_up_us(has_name: Callable[[str], bool], names: Sequence[str], *, is_there: bool) -> float:
    assert all(has_name(name) is is_there for name in names)
    repeated = names * (LOOKUPS // len(names) or 1)

    def look_up() -> None:
        for name in repeated:
            has_name(name)

    def pass_over() -> None:
        for _name in repeated:
            pass

    return (_best_s(look_up) - _best_s(pass_over)) / len(repeated) * 1e6


def measure_rules(count: int) -> dict[str, float]:
    """How long verdicts wait while a rules file is read: at first, when a line was edited, and when an answer added one
    (with the writing)."""
    rules = list(generate_rules(count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules"
        file, engine = RulesFile(path), Engine(Settings(), Facts())
        lists = ListLoader(Path(folder) / "lists", Path(folder) / "cache", ListCompiler())
        loader = RuleLoader(file, make_fact_source(lists))

        def write_and_load(number: int) -> float:
            rules[count // 2] = f"deny n{number}.test - -"
            path.write_text("\n".join([*rules, ""]))
            return _time_s(load)

        def load() -> None:
            for event in loader.read_rules(engine.rules):
                for _command in engine.handle(event, _NOW):
                    pass

        def answer(number: int) -> float:
            rule = parse_rule(f"allow n{number}.test 443 tcp")
            engine.rules.add(rule, _NOW)
            return _time_s(lambda: file.save(rule)) + _time_s(load)

        first_s = write_and_load(0)
        edits_s = [write_and_load(number) for number in range(1, 1 + EDITS)]
        answers_s = [answer(number) for number in range(EDITS)]
    return {"first_s": first_s, "edit_s": statistics.median(edits_s), "answer_s": statistics.median(answers_s)}


def _time_s(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def _rss_mb() -> float:
    gc.collect()
    return read_resident_mb("self")


def main() -> None:
    match sys.argv[1:]:
        case ["list", compiled, count]:
            measured = measure_list(Path(compiled), int(count))
        case ["rules", count]:
            measured = measure_rules(int(count))
        case ["talk", count]:
            measured = measure_talk(int(count))
        case _:
            raise SystemExit(__doc__)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
