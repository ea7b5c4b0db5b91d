from pathlib import Path

from tinysnitch.core.rule import Program, ProgramKind, Rule
from tinysnitch.core.rule_text import parse_rule
from tinysnitch.core.verdict import Verdict
from tinysnitch.store.rule_facts import find_links, find_users


def test_find_links_follows_programs_and_parents(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to("folder")
    rules = [parse_rule(f"allow parent={tmp_path}/way/p - - - {tmp_path}/way/x"), parse_rule("allow - - - /nowhere/x")]
    assert find_links(rules) == {f"{tmp_path}/way/{name}": f"{tmp_path}/folder/{name}" for name in "px"}


def test_paths_and_users_that_cannot_be_are_nothing() -> None:
    path = Program(ProgramKind.PATH, "/a\0b\ud800")
    rules = [Rule(verdict=Verdict.ALLOW, program=path, user="a\0b"), Rule(verdict=Verdict.ALLOW, user="\ud800")]
    assert find_links(rules) == {}
    assert find_users(rules) == {}


def test_find_users() -> None:
    rules = [parse_rule(f"allow user={user} - - -") for user in ("root", "no-one-has-it", "12")]
    assert find_users(rules) == {"root": 0}
