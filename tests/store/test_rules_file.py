import os
import stat
from pathlib import Path

import pytest

from tinysnitch.core.model.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule import Remote, RemoteKind, Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.store import locks as file_lock
from tinysnitch.store.rules_file import STARTER, LoadedRules, RulesFile

GIT = parse_rule("allow github.com 443 tcp /usr/bin/git")
TEXT = "# mine\n\nallow  a.example 443 tcp   # why\nnonsense \udcff\ndeny b.example - -"


@pytest.fixture
def file(tmp_path: Path) -> RulesFile:
    return RulesFile(tmp_path / "etc" / "tinysnitch.rules")


def write(file: RulesFile, text: str) -> None:
    file.path.parent.mkdir(exist_ok=True)
    file.path.write_bytes(text.encode("utf-8", "surrogateescape"))


def text_of(file: RulesFile) -> str:
    return file.path.read_bytes().decode("utf-8", "surrogateescape")


def test_the_starter_set_is_written_once(file: RulesFile) -> None:
    file.path.parent.mkdir()
    assert file.ensure_exists()
    loaded = file.read()
    lines = ["allow localhost - -", "allow localhost - -src", "allow @resolvers 53 udp", "allow @resolvers 53 tcp"]
    assert [format_rule(rule) for rule in loaded.rules] == lines
    # As they are said everywhere, so that `grep -x` finds them.
    assert [line for line in text_of(file).splitlines() if line and not line.startswith("#")] == lines
    assert loaded.errors == ()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    write(file, "")
    assert not file.ensure_exists()
    assert (file.read().rules, file.read().errors) == ((), ())


def test_a_starter_set_that_is_only_held_is_written_with_the_first_rule(file: RulesFile) -> None:
    assert file.read().errors
    file.hold_starter()
    held = file.read()
    assert (len(held.rules), held.errors) == (4, ())
    assert not file.path.parent.exists()
    file.path.parent.mkdir()
    file.save(GIT)
    assert text_of(file) == f"{STARTER}{format_rule(GIT)}\n"
    assert file.read().rules == (*held.rules, GIT)
    file.path.unlink()
    assert file.read().errors, "a file that was there and is gone is an error again"


def test_a_file_that_is_there_takes_the_place_of_the_starter_set(file: RulesFile) -> None:
    write(file, "")
    file.hold_starter()
    assert (file.read().rules, file.read().errors) == ((), ())


def test_a_mistyped_folder_is_not_made(file: RulesFile) -> None:
    with pytest.raises(SnitchError, match="there is no folder") as refused:
        file.ensure_exists()
    assert (refused.value.exit_code, refused.value.hint) == (2, "name a rules file in a folder that is there")
    assert not file.path.parent.exists()


def test_a_link_that_leads_nowhere_is_told(file: RulesFile, tmp_path: Path) -> None:
    file.path.parent.mkdir()
    file.path.symlink_to(tmp_path / "gone" / "rules")
    with pytest.raises(SnitchError, match="No such file"):
        file.ensure_exists()


def test_read_gives_rules_and_errors_with_their_place(file: RulesFile) -> None:
    write(file, TEXT)
    loaded = file.read()
    assert [format_rule(rule) for rule in loaded.rules] == ["allow a.example 443 tcp", "deny b.example - -"]
    assert [str(error) for error in loaded.errors] == [f"{file.path}:4:10: a byte that is not UTF-8"]


def test_what_others_write_is_an_edit_and_what_we_write_is_none(file: RulesFile) -> None:
    assert not file.take_edit()  # nothing is there
    write(file, "# a\n")
    assert file.take_edit()
    assert not file.take_edit()
    file.append(GIT)
    file.remove(format_rule(GIT))
    assert not file.take_edit()
    write(file, "# a, and what else\n")
    assert file.take_edit()


def test_a_file_that_is_gone_is_an_error_so_that_the_old_rules_stay(file: RulesFile) -> None:
    (error,) = file.read().errors
    assert error.problem == "the file is gone"


def test_a_file_that_is_gone_as_soon_as_it_was_written_is_an_error_too(
    file: RulesFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "")
    monkeypatch.setattr(os, "fsync", lambda fd: file.path.unlink() if stat.S_ISDIR(os.fstat(fd).st_mode) else None)
    file.append(GIT)
    assert file.read().errors[0].problem == "the file is gone"


def test_what_a_removal_leaves(file: RulesFile) -> None:
    rule, other = "allow A.example 80,443 tcp # a", "allow a.example 443,80 tcp"
    write(file, f"\ufeff# mine\n\n{rule}\r\n \t\ndeny - - -\n{other}\n\r\nask - - -")
    assert file.remove("allow a.example 80,443 tcp")
    assert not file.remove("allow a.example 80,443 tcp")
    assert text_of(file) == "\ufeff# mine\n\n \t\ndeny - - -\n\r\nask - - -"


@pytest.mark.parametrize("before", [TEXT, TEXT + "\n", ""])
def test_append_keeps_all_other_lines(file: RulesFile, before: str) -> None:
    write(file, before)
    errors = file.read().errors
    assert file.append(GIT)
    gap = "" if before.endswith("\n") or not before else "\n"
    assert text_of(file) == f"{before}{gap}allow github.com 443 tcp /usr/bin/git\n"
    assert GIT in file.read().rules
    assert file.read().errors == errors


def test_no_line_is_written_that_says_something_else(file: RulesFile) -> None:
    """The file would have an error, and at the next start none of its rules would be in force."""
    write(file, "allow - - -\n")
    unsayable = Rule(verdict=Verdict.ALLOW, remote=Remote(RemoteKind.NAME, "."))
    for take in (file.append, file.save):
        with pytest.raises(SnitchError, match=r"no line can say this rule: allow '\.'"):
            take(unsayable)
    assert file.path.read_text() == "allow - - -\n"
    assert file.unsaved == ()


@pytest.mark.parametrize("change", ["append", "remove"])
def test_what_an_editor_writes_while_ours_is_on_its_way_to_the_disk_stays(
    file: RulesFile, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    line, sync = "allow a.example 443 tcp", os.fsync
    write(file, f"{line}\n")

    def sync_meanwhile(fd: int) -> None:
        sync(fd)
        if "b.example" not in text_of(file):
            write(file, f"{line}\ndeny b.example - -\n")

    monkeypatch.setattr(os, "fsync", sync_meanwhile)
    assert file.append(GIT) if change == "append" else file.remove(line)
    added = f"{line}\ndeny b.example - -\n{format_rule(GIT)}\n"
    assert text_of(file) == (added if change == "append" else "deny b.example - -\n")


@pytest.mark.parametrize("change", ["append", "remove"])
@pytest.mark.parametrize("is_renamed", [True, False])
def test_what_an_editor_writes_right_behind_ours_is_not_taken_for_ours(
    file: RulesFile, monkeypatch: pytest.MonkeyPatch, change: str, is_renamed: bool
) -> None:
    """While we sync the folder. Otherwise rules that the editor removed would stay in force."""
    line, sync = "allow a.example 443 tcp", os.fsync
    write(file, f"{line}\n")
    file.take_edit()

    def sync_meanwhile(fd: int) -> None:
        sync(fd)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            draft = file.path.with_name("draft")
            draft.write_text("deny b.example - -\n")
            draft.rename(file.path) if is_renamed else file.path.write_text(draft.read_text())

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync_meanwhile)
        assert file.append(GIT) if change == "append" else file.remove(line)
    assert file.read().rules == (parse_rule("deny b.example - -"),)
    assert file.take_edit()


def test_a_file_that_never_rests_is_left_as_it_is(file: RulesFile, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, "")
    monkeypatch.setattr(os, "fsync", lambda _fd: write(file, text_of(file) + "# more\n"))
    with pytest.raises(SnitchError, match="something else is writing it"):
        file.save(GIT)
    assert set(text_of(file).splitlines()) == {"# more"}
    assert file.unsaved == (GIT,)


def test_a_file_that_somebody_is_about_to_write_is_left_to_them(file: RulesFile) -> None:
    """`curl ... > FILE` empties the file, and then writes to it: if we replaced it, all that would be lost."""
    write(file, "deny b.example - -\n")
    with file.path.open("w") as writer:
        with pytest.raises(SnitchError, match="something else is writing it"):
            file.remove("deny b.example - -")
        with pytest.raises(SnitchError, match="something else is writing it"):
            file.save(GIT)
        writer.write("deny c.example - -\n")
    file.save_again()
    assert text_of(file) == f"deny c.example - -\n{format_rule(GIT)}\n"


def test_append_adds_a_rule_once(file: RulesFile) -> None:
    write(file, "")
    assert file.append(GIT)
    assert not file.append(GIT)
    write(file, "allow   github.com  443 tcp /usr/bin/git  # as it is written here\n")
    assert not file.append(GIT)


@pytest.mark.parametrize("has_folder", [True, False])
def test_append_makes_no_file_of_one_rule_where_there_were_others(file: RulesFile, has_folder: bool) -> None:
    write(file, TEXT)
    file.path.unlink()
    if not has_folder:
        file.path.parent.rmdir()
    for change in (lambda: file.append(GIT), lambda: file.remove("deny b.example - -")):
        with pytest.raises(SnitchError, match="the file is gone") as refused:
            change()
        assert refused.value.hint == "write it again; an empty one will do"
    assert not file.path.exists()


@pytest.fixture
def unsaved(file: RulesFile) -> RulesFile:
    """A rules file with an unsaved rule: the file was moved away when an answer's rule came, and is back."""
    write(file, "")
    file.path.unlink()
    with pytest.raises(SnitchError, match="the file is gone"):
        file.save(GIT)
    write(file, "deny b.example - -\n")
    return file


def test_a_rule_that_could_not_be_written_is_kept_in_mind_and_written_once(unsaved: RulesFile) -> None:
    assert unsaved.unsaved == (GIT,)
    assert GIT not in unsaved.read().rules
    unsaved.save_again()
    unsaved.save_again()
    assert unsaved.unsaved == ()
    assert text_of(unsaved) == "deny b.example - -\nallow github.com 443 tcp /usr/bin/git\n"


def test_the_next_rule_takes_along_what_could_not_be_written(unsaved: RulesFile) -> None:
    unsaved.save(parse_rule("deny c.example - -"))
    assert [format_rule(rule) for rule in unsaved.read().rules] == [
        "deny b.example - -",
        "allow github.com 443 tcp /usr/bin/git",
        "deny c.example - -",
    ]


def test_what_the_file_has_by_then_is_not_written_twice(unsaved: RulesFile) -> None:
    write(unsaved, "allow  github.com  443  tcp  /usr/bin/git\n")
    unsaved.save_again()
    assert unsaved.unsaved == ()
    assert text_of(unsaved) == "allow  github.com  443  tcp  /usr/bin/git\n"


def test_a_rule_that_could_not_be_written_can_be_removed(unsaved: RulesFile) -> None:
    assert unsaved.remove(format_rule(GIT))
    assert unsaved.unsaved == ()
    assert not unsaved.remove(format_rule(GIT))


def test_remove_takes_every_line_that_says_it(file: RulesFile) -> None:
    write(file, TEXT + "\nallow a.example 443 tcp\n")
    assert file.remove("allow a.example  443 tcp")
    assert text_of(file) == "# mine\n\nnonsense \udcff\ndeny b.example - -\n"
    assert file.read().errors
    assert not file.remove("allow a.example 443 tcp")
    with pytest.raises(RuleSyntaxError):
        file.remove("nonsense")


def test_the_first_rule_behind_a_byte_order_mark_can_be_removed(file: RulesFile) -> None:
    write(file, "\ufeffallow a.example 443 tcp\r\nallow b.example 443 tcp\r\n")
    assert file.remove("allow a.example 443 tcp")
    assert file.path.read_bytes() == b"\xef\xbb\xbfallow b.example 443 tcp\r\n"


def test_a_change_keeps_mode_owner_and_link(file: RulesFile, tmp_path: Path) -> None:
    real = tmp_path / "real.rules"
    real.write_text("")
    real.chmod(0o640)
    file.path.parent.mkdir()
    file.path.symlink_to(real)
    file.append(GIT)
    assert file.path.is_symlink()
    assert "github.com" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["etc", "real.rules"]


def test_what_the_system_refuses_is_an_error_for_people(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(SnitchError, match="x/y: Not a directory"):
        RulesFile(tmp_path / "x" / "y").read()
    with pytest.raises(SnitchError, match="Is a directory") as refused:
        RulesFile(tmp_path).append(GIT)
    assert refused.value.hint == "it is a folder: name a file"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a device")
def test_a_null_device_is_an_empty_file_that_takes_no_rule(tmp_path: Path) -> None:
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    file = RulesFile(tmp_path / "null")
    assert file.read() == LoadedRules((), ())
    with pytest.raises(SnitchError, match="not a regular file"):
        file.append(parse_rule("allow a.test - -"))
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)


def test_a_lock_that_stays_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts wait meanwhile."""
    waits: list[float] = []
    path = tmp_path / "rules"
    path.write_text("")
    file, rules = RulesFile(path), [parse_rule(f"allow - {port} tcp") for port in (1, 2, 3)]
    monkeypatch.setattr(file_lock.time, "sleep", waits.append)
    with file_lock.locked(path):
        for rule in rules[:2]:
            monkeypatch.setattr(file_lock.time, "monotonic", iter((0.0, 1.0, 5.0)).__next__)
            with pytest.raises(SnitchError, match="is held"):
                file.save(rule)
            assert len(waits) == 1
    file.save(rules[2])
    assert file.read().rules == tuple(rules)
    monkeypatch.setattr(file_lock.time, "monotonic", iter((0.0, 0.0, 1.0, 5.0)).__next__)
    with file_lock.locked(path), pytest.raises(SnitchError, match="is held"):
        file.save(parse_rule("allow - 4 tcp"))
    assert len(waits) == 2  # it was free in between
