"""What the index finds is what a look at every rule finds."""

from hypothesis import given
from hypothesis import strategies as st

from tests.core.rules.rule_strategies import FACTS, meeting_rules
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.precedence import covers, covers_program, may_overlap
from tinysnitch.core.rules.rule import Program, ProgramKind, Rule
from tinysnitch.core.tidy.scope_index import ScopeIndex


@given(st.lists(meeting_rules, max_size=30), meeting_rules)
def test_the_index_finds_all_that_cover_a_rule_and_all_that_may_overlap_it(rules: list[Rule], rule: Rule) -> None:
    index = ScopeIndex(FACTS, rules)
    scope = index.resolve(rule)
    resolved = [(each, index.resolve(each)) for each in rules]
    covering = [each for each, other in resolved if covers(other, scope, index.words)]
    assert sorted(map(repr, (each.rule for each in index.covering(scope)))) == sorted(map(repr, covering))
    overlapping = {
        repr(each)
        for each, other in resolved
        if may_overlap(other, scope, index.words) and not _are_apart(other.program, scope.program)
    }
    found = {repr(each.rule) for verdict in Verdict for each in index.overlapping(scope, verdict)}
    assert found == overlapping


def _are_apart(one: Program, other: Program) -> bool:
    """Whether no process is both: two paths, or the kernel and a path."""
    if covers_program(one, other) or covers_program(other, one):
        return False
    kinds = {one.kind, other.kind}
    is_by_path = kinds <= {ProgramKind.PATH, ProgramKind.GLOB}
    return bool(kinds & {ProgramKind.KERNEL, ProgramKind.UNKNOWN}) or (is_by_path and kinds != {ProgramKind.GLOB})
