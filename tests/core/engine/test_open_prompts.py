"""Which flows wait in which prompt, and which prompts were closed."""

import pytest

from tests.core.engine.transcript import BANK, SHOP, WALL_S, flow_of, inbound, whose
from tinysnitch.core.engine.commands import ClosePrompt, DropPacket, Report, ShowPrompt
from tinysnitch.core.engine.open_prompts import ClosedPrompt, HeldFlow, OpenPrompt, Prompts, Quota
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, UDP, Flow
from tinysnitch.core.model.process import UNKNOWN, Attribution
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.prompts.prompt import PromptKey, prompt_key_of
from tinysnitch.core.prompts.proposal import Proposal
from tinysnitch.core.rules.rule_line import parse_rule

NOW = Instant(10.0, WALL_S + 10.0)
RULE = parse_rule("ask - - -")
DECISION = Decision(verdict=Verdict.ASK, reason="asked by a rule", rule=RULE)


def connection(flow: Flow | None = None, who: Attribution | None = None, name: str | None = None) -> Connection:
    return Connection(flow=flow or flow_of(), attribution=who or whose(), name=name)


def hold(prompts: Prompts, flow: Flow, who: Attribution | None = None, now: Instant = NOW) -> OpenPrompt | None:
    return prompts.hold(HeldFlow(connection(flow, who), 1, [1]), DECISION, now)


def test_a_prompt_shows_its_first_flow_and_what_is_left_of_its_time() -> None:
    prompts = Prompts(Settings(timeout_s=60.0))
    hold(prompts, flow_of(1))
    prompt = hold(prompts, flow_of(2))
    assert prompt is not None
    shown = prompt.value(Instant(30.0, WALL_S))
    assert (shown.prompt_id, shown.count, shown.deadline_s, shown.remaining_s) == (1, 2, 70.0, 40.0)
    assert (shown.connection.flow, shown.reason, shown.rule) == (flow_of(1), "asked by a rule", RULE)
    assert (shown.opened_s, shown.age_s) == (NOW.wall_s, 20.0)
    assert prompt.value(Instant(99.0, WALL_S)).remaining_s == 0.0


def test_a_prompt_is_shown_with_the_proposal_that_was_made_when_it_was_opened() -> None:
    proposed = []

    def propose(connection: Connection, _decision: Decision, _now: Instant) -> Proposal:
        proposed.append(connection.flow)
        return Proposal(Choice(verdict=Verdict.ALLOW, any_port=True), "as it was answered twice")

    prompts = Prompts(Settings(), propose)
    for local_port in (1, 2):
        prompt = hold(prompts, flow_of(local_port))
        assert prompt is not None
        shown = prompt.value(NOW)
        assert (shown.proposal.any_port, shown.widened) == (True, "as it was answered twice")
    assert proposed == [flow_of(1)]


def test_proposals_of_the_oldest_prompts_follow_a_change_of_the_rules() -> None:
    learned: list[str] = []

    def propose(connection: Connection, _decision: Decision, _now: Instant) -> Proposal:
        return Proposal(Choice(verdict=Verdict.ALLOW), *learned)

    prompts = Prompts(Settings(), propose)
    opened = [hold(prompts, flow_of(1, port=port)) for port in range(1, 20)]
    assert list(prompts.propose_again(NOW)) == []
    learned.append("as it was answered twice")
    changed = list(prompts.propose_again(NOW))
    assert changed == opened[: len(changed)]
    assert 1 < len(changed) < len(opened)  # not all of a flood
    assert {prompt.value(NOW).widened for prompt in changed} == set(learned)
    assert list(prompts.propose_again(NOW)) == []


def test_one_attempt_is_the_first_connection_and_its_process_s_to_the_other_kind_of_address() -> None:
    prompts = Prompts(Settings())
    prompt = None
    for port, remote, who in [
        (1, "fd00::80", whose()),
        (2, "fd00::80", whose(8)),
        (3, SHOP, whose(8)),
        (4, SHOP, whose()),
        (5, SHOP, whose()),
        (6, "fd00::80", whose()),
    ]:
        shop = connection(flow_of(port, remote), who, "shop.test")
        prompt = prompts.hold(HeldFlow(shop, 1, [port]), DECISION, NOW)
    assert prompt is not None
    assert [flow.local_port for flow in prompt.find_attempt()] == [1, 4]


def test_who_has_no_process_makes_one_attempt_with_each_connection() -> None:
    prompts = Prompts(Settings())
    for remote in (SHOP, "fd00::80"):
        prompts.hold(HeldFlow(connection(flow_of(1, remote), UNKNOWN, "shop.test"), 1, [1]), DECISION, NOW)
    (prompt,) = prompts
    assert len(prompt.find_attempt()) == 1


def test_a_held_flow_is_found_until_it_is_released() -> None:
    prompts = Prompts(Settings())
    prompt = hold(prompts, flow_of(1))
    held = prompts.find_held(flow_of(1))
    assert held is not None
    assert prompts.find_held(flow_of(2)) is None
    assert prompts.hold_further(held, 5)
    assert prompts.release(flow_of(1)) == (prompt, held)
    with pytest.raises(KeyError):
        prompts.release(flow_of(1))


def test_a_prompt_closes_when_nobody_waits_and_its_number_never_comes_again() -> None:
    prompts = Prompts(Settings())
    prompt = hold(prompts, flow_of(1))
    assert prompt is not None
    assert prompts.close_or_update(prompt, "early", NOW) == ShowPrompt(prompt.value(NOW))
    prompts.release(flow_of(1))
    assert prompts.close_or_update(prompt, "answered", NOW, 0) == ClosePrompt(1, "answered", 0, 1000)
    assert prompts.find(1) is None
    assert (prompts.find_closed(1), prompts.find_closed(2)) == (ClosedPrompt("answered", 1000), None)
    again = hold(prompts, flow_of(1))
    assert again is not None
    assert again.prompt_id == 2
    assert [one.prompt_id for one in prompts] == [2]
    assert len(prompts) == 1


def test_what_its_program_gave_up_is_told_as_denied_with_the_rule_that_asked() -> None:
    prompts = Prompts(Settings())
    hold(prompts, flow_of(1))
    dropped, told, closed = prompts.abandon(flow_of(1), NOW)
    reason = "the program gave up"
    denial = Decision(verdict=Verdict.DENY, reason=reason, rule=RULE)
    assert (dropped, told) == (
        DropPacket(1),
        Report(ConnectionDecided(connection(flow_of(1)), denial, False, NOW.wall_s)),
    )
    assert closed == ClosePrompt(1, reason, None, 1000)


def test_the_oldest_prompt_is_the_next_to_give_up() -> None:
    prompts = Prompts(Settings(timeout_s=60.0))
    assert prompts.next_deadline() is None
    first = hold(prompts, flow_of(1, port=1))
    hold(prompts, flow_of(1, port=2), now=Instant(20.0, WALL_S))
    assert prompts.next_deadline() == 70.0
    assert prompts.find_expired(69.9) == []
    assert prompts.find_expired(70.0) == [first]


def test_numbers_go_on_from_the_first() -> None:
    prompts = Prompts(Settings(first_prompt_id=70))
    opened = [hold(prompts, flow_of(1, port=port)) for port in (1, 2)]
    assert [prompt and prompt.prompt_id for prompt in opened] == [70, 71]


def test_prompts_are_bounded() -> None:
    prompts = Prompts(Settings(max_prompts=2))
    first, second = whose(), whose(uid=0)
    assert hold(prompts, flow_of(1), first)
    assert hold(prompts, flow_of(2), second)
    assert hold(prompts, flow_of(3), whose(uid=1)) is None
    assert hold(prompts, flow_of(4), first)  # the question is open already
    assert prompts.turned_away == 1


def test_visitors_of_a_server_do_not_take_all_prompts() -> None:
    """A port that is open to the internet has hundreds of visitors, and each is a question."""
    prompts = Prompts(Settings(max_prompts_per_port=2))
    held = [hold(prompts, inbound(remote=f"10.0.0.{number}"), whose()) for number in (5, 6, 7)]
    assert [prompt is not None for prompt in held] == [True, True, False]
    assert hold(prompts, inbound(50001), whose()), "the question is open already"
    assert prompts.turned_away == 1


def test_packets_to_one_port_leave_room_for_those_to_others() -> None:
    """A remote may connect from each of its ports: that is one question with as many held packets."""
    prompts = Prompts(Settings(max_held_per_port=2))
    held = [hold(prompts, inbound(port), whose()) for port in (50000, 50001, 50002)]
    assert [prompt is not None for prompt in held] == [True, True, False]
    assert hold(prompts, inbound(port=443), whose())


def test_packets_of_one_flow_are_bounded() -> None:
    prompts = Prompts(Settings(max_held_per_flow=2))
    hold(prompts, flow_of(1))
    held = prompts.find_held(flow_of(1))
    assert held is not None
    assert [prompts.hold_further(held, number) for number in (2, 3)] == [True, False]
    assert prompts.dropped == 1


def test_all_packets_are_bounded() -> None:
    prompts = Prompts(Settings(max_held_packets=4))
    held = [hold(prompts, flow_of(port), whose(uid=port)) for port in (1, 2, 3, 4, 5)]
    assert [prompt is not None for prompt in held] == [True, True, True, True, False]


def test_further_packets_count_as_long_as_they_are_held() -> None:
    prompts = Prompts(Settings(max_held_packets=3, max_held_per_flow=5))
    hold(prompts, flow_of(1), whose(uid=0))
    held = prompts.find_held(flow_of(1))
    assert held is not None
    assert [prompts.hold_further(held, number) for number in (2, 3)] == [True, False]  # its half, rounded up
    assert prompts.packet_quota.used == 2
    prompts.release(flow_of(1))
    assert prompts.packet_quota.used == 0


def test_one_question_takes_half_of_the_room_at_most() -> None:
    prompts = Prompts(Settings(max_held_packets=4))
    held = [hold(prompts, flow_of(port)) for port in (1, 2, 3)]
    assert [prompt is not None for prompt in held] == [True, True, False]
    held = prompts.find_held(flow_of(1))
    assert held is not None
    assert not prompts.hold_further(held, 9)
    assert hold(prompts, flow_of(1, BANK), whose(uid=0))


@pytest.mark.parametrize("limits", [{"max_prompts": 4}, {"max_held_packets": 4}])
def test_one_program_of_one_user_takes_half_of_the_room_at_most(limits: dict[str, int]) -> None:
    prompts = Prompts(Settings(**limits))  # type: ignore[arg-type]
    held = [hold(prompts, flow_of(1, port=port)) for port in (1, 2, 3)]
    assert [prompt is not None for prompt in held] == [True, True, False]
    assert hold(prompts, flow_of(2, port=4), whose(program="/usr/bin/wget"))
    prompt, _held = prompts.release(flow_of(1, port=1))
    prompts.close_or_update(prompt, "answered", NOW)
    assert hold(prompts, flow_of(1, port=3))


@pytest.mark.parametrize(
    ("cookie", "exec_id", "is_sender"), [(5, 7, True), (5, 0, True), (5, 8, False), (5, 1, False), (6, 7, False)]
)
def test_who_sends_a_further_packet(cookie: int, exec_id: int, is_sender: bool) -> None:
    assert HeldFlow(connection(), 5, [1]).is_sender_of(cookie, exec_id) is is_sender


def test_who_was_unknown_may_be_known_by_now() -> None:
    assert HeldFlow(connection(who=UNKNOWN), 5, [1]).is_sender_of(5, 7)


def key_of(flow: Flow | None = None, program: str = "/usr/bin/curl", uid: int = 1000) -> PromptKey:
    return prompt_key_of(Connection(flow=flow or flow_of(), attribution=whose(program=program, uid=uid)))


def fill(quota: Quota, *questions: PromptKey) -> int:
    """How many of these questions find a place."""
    taken = 0
    for one in questions:
        if quota.has_room(one):
            quota.change(one, 1)
            taken += 1
    return taken


def test_all_of_it_is_the_limit() -> None:
    quota = Quota(3)
    assert fill(quota, *(key_of(uid=uid) for uid in range(5))) == quota.used == 3


def test_one_program_of_one_user_takes_half_of_it_at_most() -> None:
    quota = Quota(4)
    assert fill(quota, *(key_of(flow_of(port=port)) for port in range(3))) == 2
    assert quota.has_room(key_of(program="/usr/bin/wget"))


def test_one_user_takes_three_quarters_of_it_at_most() -> None:
    """With copies of a program, since each path is a program of its own."""
    quota = Quota(4)
    assert fill(quota, *(key_of(program=f"/tmp/copy{number}") for number in range(4))) == 3
    assert quota.has_room(key_of(uid=0))


def test_all_users_of_containers_take_no_more_than_one_user() -> None:
    """Any user may have any number of these uids."""
    quota = Quota(4)
    assert fill(quota, *(key_of(uid=100_000 + number) for number in range(4))) == 3
    quota.change(key_of(uid=100_000), -1)
    assert fill(quota, *(key_of(uid=200_000 + number) for number in range(4))) == 1
    assert quota.has_room(key_of(uid=65_535))


def test_root_may_take_all_of_it() -> None:
    assert fill(Quota(4), *(key_of(program=f"/usr/bin/{number}", uid=0) for number in range(5))) == 4


@pytest.mark.parametrize(("limit", "share"), [(1, 1), (3, 3), (8, 6)])
def test_a_share_is_rounded_up(limit: int, share: int) -> None:
    assert fill(Quota(limit), *(key_of(program=f"/tmp/copy{number}") for number in range(limit + 1))) == share


def test_a_flood_from_outside_takes_half_of_it_at_most() -> None:
    quota = Quota(4)
    assert fill(quota, *(key_of(inbound(), uid=uid) for uid in range(3))) == 2
    assert quota.has_room(key_of())


def test_who_comes_to_one_port_takes_no_more_than_that_and_other_ports_are_free() -> None:
    quota = Quota(100, per_port=2)
    visits = [key_of(inbound(remote=f"10.0.0.{number}")) for number in range(3)]
    assert fill(quota, *visits) == 2
    assert fill(quota, *visits) == 0
    others = [key_of(inbound(port=443)), key_of(inbound(), program="/usr/bin/wget"), key_of()]
    assert fill(quota, key_of(inbound(protocol=UDP)), *others) == 4
    quota.change(visits[0], -1)
    assert fill(quota, *visits) == 1


def test_protocols_without_ports_are_one_port() -> None:
    """Otherwise a machine of the link could take all inbound places, with 16 addresses and 32 protocol numbers."""
    quota = Quota(100, per_port=2)
    assert fill(quota, *(key_of(inbound(protocol=number)) for number in (ICMP, 47, 200, 201))) == 2
    assert fill(quota, key_of(inbound(protocol=UDP)), key_of(inbound())) == 2


def test_of_one_user_no_more_programs_have_places_than_a_person_comes_to_the_end_of() -> None:
    quota = Quota(100, programs=2)
    copies = [key_of(program=f"/tmp/copy{number}") for number in range(4)]
    assert fill(quota, *copies[:3], key_of(flow_of(port=1), program="/tmp/copy0")) == 3
    assert fill(quota, *(key_of(program=f"/bin/{number}", uid=uid) for number in range(3) for uid in (0, 7))) == 5
    quota.change(copies[0], -1)
    assert not quota.has_room(copies[2])  # another question is about that one
    quota.change(key_of(flow_of(port=1), program="/tmp/copy0"), -1)
    assert fill(quota, *copies[2:]) == 1


def test_of_what_is_unknown_each_question_counts_as_a_program() -> None:
    """Packets of any user may be unknown."""
    quota = Quota(100, programs=2)
    asked = [prompt_key_of(Connection(flow=flow_of(port=port), attribution=UNKNOWN)) for port in range(3)]
    assert fill(quota, *asked) == 2
    assert quota.has_room(key_of())
    assert fill(Quota(100), *asked) == 3


def test_what_is_given_back_is_there_for_others_and_the_rest_still_counts() -> None:
    quota = Quota(6)
    assert fill(quota, *(key_of(flow_of(port=port)) for port in range(4))) == 3
    quota.change(key_of(), -1)
    assert quota.used == 2
    assert fill(quota, *(key_of(flow_of(port=port)) for port in range(4))) == 1


def test_who_waits_no_more_takes_up_no_memory() -> None:
    quota = Quota(6)
    quota.change(key_of(inbound()), 2)
    quota.change(key_of(inbound()), -2)
    assert quota.used == 0
    assert not list(quota._used_by)  # to compare Counters would take a zero for nothing


def test_a_prompt_of_a_shorter_timeout_gives_up_before_an_older_one() -> None:
    prompts = Prompts(Settings(timeout_s=60.0))
    first = hold(prompts, flow_of(1, port=1))
    assert prompts.next_deadline() == 70.0
    prompts.timeout_s = 5.0
    second = hold(prompts, flow_of(1, port=2), now=Instant(20.0, WALL_S))
    assert prompts.next_deadline() == 25.0
    assert prompts.find_expired(25.0) == [second]
    prompts.release(flow_of(1, port=2))
    prompts.close_or_update(second, "denied", NOW)
    assert (prompts.next_deadline(), prompts.find_expired(70.0)) == (70.0, [first])


def test_who_is_at_a_prompt_renews_its_time_up_to_ten_minutes() -> None:
    prompts = Prompts(Settings(timeout_s=60.0))
    prompt = hold(prompts, flow_of(1))
    assert prompt is not None
    for now_s, is_renewed, ends_s in (
        (10.5, False, 70.0),
        (40.0, True, 100.0),
        (600.0, True, 610.0),
        (609.0, False, 610.0),
    ):
        assert prompts.renew(prompt, Instant(now_s, WALL_S)) is is_renewed
        assert prompts.next_deadline() == ends_s
    assert prompts.find_expired(610.0) == [prompt]


def test_a_timeout_of_more_than_ten_minutes_is_not_shortened() -> None:
    prompts = Prompts(Settings(timeout_s=3600.0))
    prompt = hold(prompts, flow_of(1))
    assert prompt is not None
    assert not prompts.renew(prompt, Instant(700.0, WALL_S))
    assert prompts.next_deadline() == 3610.0
