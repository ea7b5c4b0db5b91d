"""How often rules decided is kept over restarts and reboots."""

from pathlib import Path

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.rules.uses import UseCount, UseCounts
from tinysnitch.kernel.bpf.rule_uses import RuleUses

RULE, OTHER = parse_rule("allow shop.test 443 tcp"), parse_rule("deny ads.test - -")
NOW = Instant(100.0, 5000.0)


def test_counts_go_on_after_a_restart_and_a_reboot(tmp_path: Path) -> None:
    for times, boot in ((1, "first"), (2, "first"), (3, "second")):
        uses = RuleUses(None)
        counts = UseCounts(uses, tmp_path / "uses", boot, was_adopted=True)
        counts._timer.start = lambda _delay_s: None  # type: ignore[method-assign]  # no loop runs here
        uses.note(RULE, 90.0)
        found = counts.read(NOW)
        assert found == {RULE: UseCount(times, 4990.0)}
        assert OTHER not in found
        counts.save()


def test_a_file_that_is_no_such_file_or_of_a_later_build_costs_the_counts_alone(tmp_path: Path) -> None:
    path = tmp_path / "uses"
    for text in ("{", '{"boot_id":"x","rules":[["allow what is this",3,1.0,0,0]]}'):
        path.write_text(text)
        assert UseCounts(RuleUses(None), path, "x", was_adopted=True).read(NOW) == {}
