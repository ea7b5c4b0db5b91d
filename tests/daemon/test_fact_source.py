"""What the words of rules stand for on this machine now."""

from pathlib import Path

from tinysnitch.core.rule_text import parse_rule
from tinysnitch.daemon.fact_source import FactSource

RULES = [parse_rule("deny @ads - -"), parse_rule("allow @resolvers 53 udp"), parse_rule("allow user=root - - -")]


def test_lists_users_and_links_of_the_rules(tmp_path: Path) -> None:
    (tmp_path / "ads").write_text("ads.test\n")
    (tmp_path / "link").symlink_to(tmp_path / "ads")
    facts = FactSource(tmp_path).read([*RULES, parse_rule(f"allow - - - {tmp_path}/link")])
    assert facts.lists["ads"].has_name("ads.test")
    assert set(facts.lists) == {"ads"}
    assert facts.users == {"root": 0}
    assert facts.links == {f"{tmp_path}/link": f"{tmp_path}/ads"}


def test_what_is_the_same_compares_equal(tmp_path: Path) -> None:
    (tmp_path / "ads").write_text("ads.test\n")
    source = FactSource(tmp_path)
    before = source.read(RULES)
    assert source.read(RULES) == before
    (tmp_path / "ads").write_text("ads.test\nmore.test\n")
    assert source.read(RULES).lists["ads"].has_name("more.test")


def test_a_list_that_is_not_there_holds_nothing_and_that_is_said(tmp_path: Path) -> None:
    source = FactSource(tmp_path / "none")
    assert source.read(RULES).lists == {}
    assert source.problems == {"list ads is not there, its rules match nothing": 1}


def test_a_list_that_cannot_be_read_is_the_one_that_was_read_before(tmp_path: Path) -> None:
    source = FactSource(tmp_path)
    (tmp_path / "ads").mkdir()
    assert source.read(RULES).lists == {}
    (tmp_path / "ads").rmdir()
    (tmp_path / "ads").write_text("ads.test\n")
    source.read(RULES)
    (tmp_path / "ads").unlink()
    (tmp_path / "ads").mkdir()
    assert source.read(RULES).lists["ads"].has_name("ads.test")
