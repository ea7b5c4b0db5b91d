import stat
from pathlib import Path

from msgspec.structs import replace

from tinysnitch.core.rule_text import parse_rule
from tinysnitch.store.temporary_rules import TemporaryRules

AT_10 = parse_rule("allow until=1970-01-01T00:00:10Z a.example - -")
AT_20 = parse_rule("deny until=1970-01-01T00:00:20Z - - - /bin/x $'\\n\\xff'")
LASTING = parse_rule("allow - - -")


def test_rules_with_an_end_are_kept_until_then(tmp_path: Path) -> None:
    kept = TemporaryRules(tmp_path / "state" / "temporary.rules")
    assert kept.read(0.0) == ()
    kept.replace([AT_10, AT_20, LASTING, replace(AT_10, exec_id=7)])
    assert kept.read(0.0) == (AT_10, AT_20)
    assert kept.read(10.0) == (AT_20,)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    kept.replace([])
    assert kept.read(0.0) == ()


def test_a_line_without_an_end_or_sense_is_left_out(tmp_path: Path) -> None:
    kept = TemporaryRules(tmp_path / "temporary.rules")
    kept.path.write_text("allow - - -\nnonsense\nallow until=1970-01-01T00:00:10Z a.example - -\n")
    assert kept.read(0.0) == (AT_10,)
