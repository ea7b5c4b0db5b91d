"""Which events the rules file and the facts give."""

import errno
from pathlib import Path

import pytest

from tests.daemon.loop.driver_place import fail_with_emfile
from tests.daemon.rules.small_facts import make_fact_source
from tests.daemon.rules.test_facts import source_of
from tests.daemon.rules.test_lists import LONG, SlowCompiler
from tinysnitch.core.engine.events import DataLost, FactsChanged, RulesLoaded
from tinysnitch.core.engine.records import RulesReplaced
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_file import MAX_ERRORS
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.daemon.rules.lists import ListLoader
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.protocol.framing import MAX_REPLY, encode_object
from tinysnitch.protocol.log_lines import log_line_of
from tinysnitch.store.rule_groups import RuleGroups
from tinysnitch.store.rules_file import LoadedRules, RulesFile


def loader_of(folder: Path, text: str) -> RuleLoader:
    (folder / "rules").write_text(text)
    return RuleLoader(RulesFile(folder / "rules"), source_of(folder))


def test_facts_come_before_the_rules_that_rest_on_them(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, "allow user=root - - -\n")
    facts, rules = loader.read_rules(())
    assert facts == FactsChanged(loader.facts)
    assert rules == RulesLoaded((parse_rule("allow user=root - - -"),), is_edited=True)
    assert loader.facts.users == {"root": 0}
    assert loader.read_rules(()) == [RulesLoaded(rules.rules)]  # the facts are the same, and so is the file


def test_an_edit_is_told_of_once_its_text_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = loader_of(tmp_path, "deny - 23 tcp\n")
    loader.read_rules(())
    with monkeypatch.context() as meanwhile:
        read = RulesFile.read

        def read_and_edit(file: RulesFile) -> LoadedRules:
            before = read(file)
            (tmp_path / "rules").write_text("deny - 23 tcp # telnet\n")
            return before

        meanwhile.setattr(RulesFile, "read", read_and_edit)
        assert loader.read_rules(()) == [RulesLoaded((parse_rule("deny - 23 tcp"),))]
    assert loader.read_rules(()) == [RulesLoaded((parse_rule("deny - 23 tcp"),), is_edited=True)]


def test_facts_of_the_old_rules_hold_while_these_do(tmp_path: Path) -> None:
    """Waiting packets are decided when the facts change, and the new rules come only after that."""
    loader = loader_of(tmp_path, "ask user=root - - -\n")
    loader.read_rules(())
    (tmp_path / "rules").write_text("deny user=daemon - - -\n")
    facts, rules = loader.read_rules((parse_rule("ask user=root - - -"),))
    assert isinstance(facts, FactsChanged)
    assert set(facts.facts.users) == {"root", "daemon"}
    assert isinstance(rules, RulesLoaded)
    loader.read_facts(rules.rules)
    assert set(loader.facts.users) == {"daemon"}


def test_with_errors_the_facts_of_the_old_rules_are_followed(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, "allow user=root - - -\n")
    loader.read_rules(())
    (tmp_path / "rules").write_text("nonsense\n")
    (broken,) = loader.read_rules((parse_rule("allow user=root - - -"),))
    assert isinstance(broken, RulesLoaded)
    assert broken.errors == loader.errors
    assert loader.errors[0].line == 1
    assert loader.facts.users == {"root": 0}


def test_the_same_error_is_told_once(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, "nonsense\n")
    assert any(isinstance(event, RulesLoaded) for event in loader.read_rules(()))
    assert loader.read_rules(()) == []
    assert loader.errors
    for text in ("allow\n", "", "nonsense\n"):
        (tmp_path / "rules").write_text(text)
        (told,) = loader.read_rules(())
        assert told == RulesLoaded((), loader.errors, is_edited=True)


def test_rules_that_the_file_could_not_take_hold_beside_it(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    file = RulesFile(tmp_path / "rules")
    loader = RuleLoader(file, source_of(tmp_path))
    rule = parse_rule("allow user=root - - -")
    with pytest.raises(SnitchError):
        file.save(rule)
    (tmp_path / "rules").rmdir()
    (tmp_path / "rules").write_text("deny - 23 tcp\n")
    assert loader.read_rules(())[-1] == RulesLoaded((parse_rule("deny - 23 tcp"), rule), is_edited=True)
    assert loader.facts.users == {"root": 0}


def test_what_could_not_be_read_to_the_end_changed_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    loader = loader_of(tmp_path, "nonsense\n")
    loader.read_rules(())
    errors = loader.errors
    (tmp_path / "rules").write_text("allow user=root - - -\n")
    with monkeypatch.context() as broken:
        broken.setattr("tinysnitch.daemon.rules.facts.read_addresses", fail)
        with pytest.raises(OSError, match="Too many"):
            loader.read_rules(())
    assert (loader.errors, loader.is_waiting) == (errors, False)
    loader.read_facts(())
    assert loader.facts.users == {}
    assert loader.read_rules(())[-1] == RulesLoaded((parse_rule("allow user=root - - -"),), is_edited=True)


def test_temporary_rules_have_facts_too(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, "")
    loader.read_facts((parse_rule("allow user=root - - -"),))
    assert loader.facts.users == {"root": 0}


def test_what_is_wrong_with_lists_is_said_once(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, "deny @ads - -\n")
    assert loader.read_rules(())[0] == DataLost("list ads is not there, its rules match nothing", 1)
    assert not any(isinstance(event, DataLost) for event in loader.read_rules(()))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "ads").write_text("ads.test\n? ?\n")
    assert loader.read_rules(())[0] == DataLost("lines of list ads not understood", 1)


def test_a_file_that_cannot_be_read_is_one_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    loader = RuleLoader(RulesFile(tmp_path / "rules"), source_of(tmp_path))
    loader.read_rules(())
    assert str(loader.errors[0]) == f"{tmp_path / 'rules'}:1:1: Is a directory"
    assert loader.errors[0].hint


def test_a_file_of_other_things_is_told_in_one_piece(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, "".join(f"0.0.0.0 ads{number}.test\n" for number in range(20_000)))
    (broken,) = [event for event in loader.read_rules(()) if isinstance(event, RulesLoaded)]
    assert broken.errors == loader.errors
    assert [error.line for error in broken.errors] == [*range(1, MAX_ERRORS + 2)]
    assert str(broken.errors[-1]).endswith(f":{MAX_ERRORS + 1}:1: further lines are wrong")
    assert len(encode_object(log_line_of(RulesReplaced(0, broken.errors, 0.0)))) < MAX_REPLY


def test_rules_that_name_a_list_hold_once_it_is_there(tmp_path: Path) -> None:
    compiler = SlowCompiler()
    lists = ListLoader(tmp_path / "lists", tmp_path / "cache", compiler)
    loader = RuleLoader(RulesFile(tmp_path / "rules"), make_fact_source(lists))
    (tmp_path / "rules").write_text("deny @ads - -\n")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "ads").write_text(LONG)
    assert not any(isinstance(event, RulesLoaded | DataLost) for event in loader.read_rules(()))
    assert loader.is_waiting
    compiler.finish()
    facts, rules = loader.read_rules(())
    assert isinstance(facts, FactsChanged)
    assert facts.facts.lists["ads"].has_name("ads.test")
    assert rules == RulesLoaded((parse_rule("deny @ads - -"),), is_edited=True)
    assert not loader.is_waiting


class WithGroups:
    """The rules that are in force as the engine would have them, read from a main file and groups."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loader = RuleLoader(RulesFile(folder / "main"), source_of(folder), RuleGroups(folder))
        self.in_force: tuple[Rule, ...] = ()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def read(self) -> list[str]:
        for event in self.loader.read_rules(self.in_force):
            if isinstance(event, RulesLoaded):
                self.in_force = event.rules
        return list(map(format_rule, self.in_force))

    def errors(self) -> list[str]:
        return [str(error).removeprefix(f"{self.folder}/") for error in self.loader.errors]


def test_a_broken_group_keeps_its_rules_and_no_others(tmp_path: Path) -> None:
    files = WithGroups(tmp_path)
    files.write("main", "deny - 1 tcp\n")
    files.write("a.rules", "deny - 2 tcp\n")
    files.write("b.rules", "deny - 3 tcp\n")
    assert files.read() == ["deny - 1 tcp", "deny - 2 tcp", "deny - 3 tcp"]
    files.write("a.rules", "deny - 4 tcp\nnonsense\n")
    files.write("b.rules", "deny - 5 tcp\n")
    assert files.read() == ["deny - 1 tcp", "deny - 2 tcp", "deny - 5 tcp"]
    assert files.errors() == ["a.rules:2:1: not a verdict"]
    assert files.loader.find_broken(files.loader.errors[0]) == ("the group a", 1)
    files.write("main", "deny - 6 tcp\n")
    assert files.read() == ["deny - 6 tcp", "deny - 2 tcp", "deny - 5 tcp"], "with the same errors as before"
    (tmp_path / "a.rules").unlink()
    assert files.read() == ["deny - 6 tcp", "deny - 5 tcp"]
    assert files.errors() == []


def test_a_broken_main_file_keeps_its_rules_and_those_of_answers(tmp_path: Path) -> None:
    files = WithGroups(tmp_path)
    files.write("main", "deny - 1 tcp\n")
    files.write("a.rules", "deny - 2 tcp\ndeny - 3 tcp\n")
    files.read()
    files.in_force = (*files.in_force, parse_rule("allow - 7 tcp"))  # an answer
    files.write("main", "nonsense\nallow - 7 tcp\n")
    files.write("a.rules", "deny - 2 tcp\n")
    assert files.read() == ["deny - 1 tcp", "allow - 7 tcp", "deny - 2 tcp"]
    assert files.read() == ["deny - 1 tcp", "allow - 7 tcp", "deny - 2 tcp"]
    assert files.loader.find_broken(files.loader.errors[0]) == ("the rules file", 2)
    (tmp_path / "a.rules").rename(tmp_path / "a.rules.off")
    assert files.read() == ["deny - 1 tcp", "allow - 7 tcp"]
    files.write("main", "allow - 7 tcp\n")
    assert files.read() == ["allow - 7 tcp"]


def test_of_a_group_that_was_broken_from_the_start_nothing_holds(tmp_path: Path) -> None:
    files = WithGroups(tmp_path)
    files.write("main", "deny - 1 tcp\n")
    files.write("a.rules", "deny - 2 tcp\nnonsense\n")
    (tmp_path / "b.rules").symlink_to(tmp_path)
    files.write("my b.rules", "deny - 3 tcp\n")
    assert files.read() == ["deny - 1 tcp"]
    assert files.errors() == [
        "my b.rules: 'my b' is no name of a group",
        "a.rules:2:1: not a verdict",
    ]
    assert files.loader.count_held("a") == 0


def test_a_rule_is_known_by_its_group(tmp_path: Path) -> None:
    files = WithGroups(tmp_path)
    files.write("main", "deny - 1 tcp\n")
    files.write("a.rules", "deny - 2 tcp # why\n\n")
    files.read()
    of_main, of_a = map(parse_rule, ("deny - 1 tcp", "deny - 2 tcp"))
    assert (files.loader.find_group(of_main), files.loader.find_group(of_a)) == (None, "a")
    assert files.loader.lines() == [(None, (("deny - 1 tcp", of_main),)), ("a", (("deny - 2 tcp # why", of_a),))]
    assert files.loader.count_in_groups() == 1
    assert files.loader.errors_of(files.loader.groups.on["a"]) == ()


def test_a_folder_of_groups_that_cannot_be_read_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = WithGroups(tmp_path)
    files.write("main", "deny - 1 tcp\n")
    files.write("a.rules", "deny - 2 tcp\n")
    files.read()
    files.write("main", "deny - 3 tcp\n")
    with monkeypatch.context() as broken:
        broken.setattr("os.scandir", fail_with_emfile)
        assert files.read() == ["deny - 3 tcp", "deny - 2 tcp"]
        assert files.loader.is_unreadable
        assert "Too many open files" in files.errors()[0]
    assert files.read() == ["deny - 3 tcp", "deny - 2 tcp"]
    assert (files.errors(), files.loader.is_unreadable) == ([], False)
