"""What `tinysnitch run` says at its end."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import AttributionSource
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.log_lines import AskLine, ConnectionLine
from tinysnitch.view import run_summary
from tinysnitch.view.run_summary import RunSummary

ALLOWED = ConnectionLine(
    time="2019-08-24T10:17:03.250Z",
    verdict=Verdict.ALLOW,
    reason="allowed by a rule",
    rule="allow shop.test 80 tcp",
    cached=False,
    direction=Direction.OUTBOUND,
    protocol="tcp",
    local_address="10.0.0.2",
    local_port=40516,
    remote_address="10.0.0.1",
    remote_port=80,
    name="shop.test",
    pid=42,
    uid=0,
    program="/usr/bin/curl",
    args=(),
    parents=(),
    attribution=AttributionSource.BPF,
)


def summarize_run(lines: Iterable[ConnectionLine | AskLine], width: int | None = None) -> list[str]:
    summary = RunSummary()
    for each in lines:
        summary.add(each)
    return summary.lines(width, {0: "root"}.get)


def line(**fields: Any) -> ConnectionLine:  # noqa: ANN401 - any field of the line
    return msgspec.structs.replace(ALLOWED, **fields)


def refused(**fields: Any) -> ConnectionLine:  # noqa: ANN401 - any field of the line
    return line(verdict=Verdict.DENY, reason="nobody to ask", rule=None, **fields)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("answered by uid 0", "answered by root"),
        ("answered once by uid 0", "answered once by root"),
        ("answered until process 7 ends by uid 0", "answered until process 7 ends by root"),
        ("answered by uid 7", "answered by uid 7"),
    ],
)
def test_who_refused_is_told_by_name(reason: str, told: str) -> None:
    (row,) = summarize_run([line(verdict=Verdict.DENY, reason=reason)])
    assert row == f"refused tcp shop.test:80 by /usr/bin/curl: {told}"


def test_the_rule_that_refused_is_named() -> None:
    told = line(verdict=Verdict.DENY, reason="denied by a rule, by the name", rule="deny @ads - -")
    assert summarize_run([told]) == [
        "refused tcp shop.test:80 by /usr/bin/curl: denied by the rule deny @ads - -, by the name"
    ]


def test_what_was_allowed_comes_first_and_what_was_refused_says_why() -> None:
    assert summarize_run([refused(remote_port=443), line()]) == [
        "allowed tcp shop.test:80 by /usr/bin/curl",
        "refused tcp shop.test:443 by /usr/bin/curl: nobody to ask",
    ]


def test_what_learning_alone_allowed_says_that_no_rule_did() -> None:
    learned = line(reason="learning: no rule matches", rule=None)
    assert summarize_run([line(), learned, line(reason="learning: asked by a rule")]) == [
        "allowed tcp shop.test:80 by /usr/bin/curl",
        "allowed tcp shop.test:80 by /usr/bin/curl: no rule matches",
        "allowed tcp shop.test:80 by /usr/bin/curl: asked by a rule",
    ]


def ask(number: int = 1, **fields: Any) -> AskLine:  # noqa: ANN401 - any field of the line
    shown = msgspec.structs.asdict(line(verdict=Verdict.ASK, reason="no rule matches", rule=None, **fields))
    return AskLine(id=number, **shown)


def test_what_nobody_answered_comes_last() -> None:
    assert summarize_run([ask(), refused(remote_port=443), line(remote_port=53)]) == [
        "allowed tcp shop.test:53 by /usr/bin/curl",
        "refused tcp shop.test:443 by /usr/bin/curl: nobody to ask",
        "not answered tcp shop.test:80 by /usr/bin/curl",
    ]


def test_a_question_that_was_decided_is_told_by_the_decision_alone() -> None:
    allowed = "allowed tcp shop.test:80 by /usr/bin/curl"
    assert summarize_run([ask(), line()]) == [allowed]
    assert summarize_run([ask(local_port=1), line(local_port=2)]) == [allowed]  # two that waited for one answer
    again = [ask(), line(), ask(2)]  # answered once, and asked again
    assert summarize_run(again) == [allowed, "not answered tcp shop.test:80 by /usr/bin/curl"]


def test_questions_of_different_programs_are_different_ones() -> None:
    lines = [ask(), ask(2, args=("-v",)), ask(3, uid=1000), line()]
    assert summarize_run(lines)[1:] == ["not answered tcp shop.test:80 (2 times) by /usr/bin/curl"]


def test_the_same_is_counted_once() -> None:
    assert summarize_run([line(local_port=port) for port in (1, 2, 3)]) == [
        "allowed tcp shop.test:80 (3 times) by /usr/bin/curl"
    ]


def test_an_address_without_a_name_stands_for_itself() -> None:
    assert summarize_run([line(name=None)]) == ["allowed tcp 10.0.0.1:80 by /usr/bin/curl"]
    assert summarize_run([line(name=None, remote_address="fd77::1")]) == ["allowed tcp [fd77::1]:80 by /usr/bin/curl"]


def test_what_comes_in_is_named_by_our_port() -> None:
    arrived = line(direction=Direction.INBOUND, local_port=8000, remote_port=40516)
    assert summarize_run([arrived]) == ["allowed tcp port 8000 from shop.test by /usr/bin/curl"]


def test_protocols_without_ports_show_none() -> None:
    assert summarize_run([line(protocol="icmp", remote_port=0)]) == ["allowed icmp shop.test by /usr/bin/curl"]


def test_hostile_text_is_escaped() -> None:
    [said] = summarize_run([line(name="shop\x1b[2J.test", program="/tmp/\nx")])
    assert said.isprintable()


def test_programs_are_shortened_for_a_terminal_alone() -> None:
    long = line(program=f"/opt/{'x' * 40}/curl")
    assert summarize_run([long]) == [f"allowed tcp shop.test:80 by /opt/{'x' * 40}/curl"]
    [said] = summarize_run([long], 36)
    assert said.endswith("/curl")
    assert len(said) == len("allowed tcp shop.test:80 by ") + 36


def test_nothing_tried_says_so() -> None:
    assert summarize_run([]) == ["no connection was tried"]


def test_what_is_tried_without_end_takes_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_summary, "MAX_ROWS", 2)
    tried = [line(remote_port=port) for port in (1, 2, 3, 1, 4)]
    assert summarize_run(tried) == [
        "allowed tcp shop.test:1 (2 times) by /usr/bin/curl",
        "allowed tcp shop.test:2 by /usr/bin/curl",
        "and 2 more connections, which are not listed",
    ]


def test_questions_without_a_decision_take_no_more_room_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_summary, "MAX_ROWS", 2)
    asked = [ask(port, remote_port=port) for port in (1, 2, 3, 1)]
    assert len(summarize_run(asked)) == 2
    assert len(summarize_run([*asked, refused(remote_port=1), asked[2]])) == 3


def test_a_secret_in_the_rule_that_denied_is_shortened() -> None:
    rule = "deny shop.test 80 tcp /usr/bin/curl --token 0mWk3Zq8TxLr5Vb1Nc7H"
    denied = msgspec.structs.replace(ALLOWED, verdict=Verdict.DENY, reason="denied by a rule", rule=rule)
    assert summarize_run([denied])[0].endswith("/usr/bin/curl --token '0mWk…'")
