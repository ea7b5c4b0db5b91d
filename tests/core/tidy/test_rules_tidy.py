"""What is proposed for rules, and that nothing which a rule decides is decided otherwise afterwards."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.rules.rule_strategies import FACTS
from tests.core.tidy.tidied import NOW_S, connection_lists, decide, is_matched, similar_rules, take
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.tidy.proposal import Kind, Proposal
from tinysnitch.core.tidy.rules_tidy import is_still_sound, propose
from tinysnitch.core.tidy.scope_index import ScopeIndex

COLUMN_OF = {Kind.PORTS: "ports", Kind.DOMAIN: "remote", Kind.ARGS: "args"}


def all_of(rules: list[Rule]) -> list[Proposal]:
    return [each for each in propose(rules, FACTS, NOW_S, lambda *_: False) if each]


@given(st.data())
@settings(max_examples=200)
def test_a_proposal_changes_exactly_what_it_says(data: st.DataObject) -> None:
    asked = data.draw(connection_lists())
    rules = data.draw(similar_rules(asked))
    for proposal in all_of(rules):
        after = take(rules, [proposal])
        for connection in asked:
            check_connection(connection, rules, after, proposal)


def check_connection(connection: Connection, rules: list[Rule], after: list[Rule], proposal: Proposal) -> None:
    was, now = decide(rules, connection), decide(after, connection)
    is_seen = is_matched(proposal.removed, connection)
    if was.rule is None and not is_seen and proposal.added and is_matched([proposal.added], connection):
        assert proposal.kind is not Kind.PORTS
        assert now.verdict is proposal.added.verdict
    else:
        assert now.verdict is was.verdict


@given(st.data())
@settings(max_examples=200)
def test_a_whole_round_changes_nothing_that_a_rule_decided(data: st.DataObject) -> None:
    asked = data.draw(connection_lists())
    rules = data.draw(similar_rules(asked))
    after = rules
    for proposal in all_of(rules):  # as the daemon takes them: one join may be a reason against another
        if is_still_sound(proposal, ScopeIndex(FACTS, after)):
            after = take(after, [proposal])
    for connection in asked:
        was, now = decide(rules, connection), decide(after, connection)
        assert now.verdict is was.verdict or was.rule is None


@given(st.data())
def test_joined_rules_differ_in_the_column_of_their_kind_alone(data: st.DataObject) -> None:
    rules = data.draw(similar_rules(data.draw(connection_lists())))
    for proposal in all_of(rules):
        if proposal.added:
            names = [name for name in Rule.__struct_fields__ if name != COLUMN_OF[proposal.kind]]
            alike = {tuple(getattr(rule, name) for name in names) for rule in (*proposal.removed, proposal.added)}
            assert len(alike) == 1
