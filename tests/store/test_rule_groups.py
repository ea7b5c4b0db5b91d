"""Groups of rules in the folder of the settings: which count, and how they are made, switched and changed."""

import os
import stat
from pathlib import Path

import pytest

from tinysnitch.core.model.errors import NotUnderstood, RuleSyntaxError, SnitchError
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.store.rule_groups import Group, RuleGroups, check_name

GIT = parse_rule("allow git.test 443 tcp /usr/bin/git")


def write(folder: Path, **texts: str) -> RuleGroups:
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return RuleGroups(folder)


def names(groups: RuleGroups) -> dict[str, bool]:
    return {group.name: group.is_on for group in groups.list_all()}


def test_files_beside_the_settings_are_groups(tmp_path: Path) -> None:
    """Neither the settings, nor folders, nor what editors leave, nor the main file if it lies there too."""
    groups = write(tmp_path, work__rules="", games__rules__off="", programs__toml="", main__rules="", lists="")
    (tmp_path / ".work.rules.swp").write_text("")
    (tmp_path / ".#work.rules").symlink_to("nowhere")
    (tmp_path / "folder.rules").mkdir()
    groups = RuleGroups(tmp_path, tmp_path / "main.rules")
    assert groups.list_all() == [], "nothing is known before the first look"
    assert groups.look()
    assert groups.list_all() == [
        Group("games", tmp_path / "games.rules.off", is_on=False),
        Group("work", tmp_path / "work.rules", is_on=True),
    ]
    assert groups.errors == ()
    assert not groups.look()
    assert RuleGroups().list_all() == [] == RuleGroups(tmp_path / "none").list_all()


def test_a_file_with_another_name_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    groups = write(tmp_path, **{"my games__rules": "", "main__rules": "", "old ones__rules__off": ""})
    groups.look()
    assert list(map(str, groups.errors)) == [
        f"{tmp_path}/main.rules: 'main' is no name of a group",
        f"{tmp_path}/my games.rules: 'my games' is no name of a group",
    ]
    for name in ("", "a/b", "../x", ".x", "x" * 65, "main", "a\n"):
        with pytest.raises(NotUnderstood, match="is no name of a group"):
            check_name(name)


def test_what_others_change_is_seen(tmp_path: Path) -> None:
    groups = write(tmp_path, work__rules="deny - 23 tcp\n")
    for change in (
        lambda: (tmp_path / "work.rules").write_text("deny - 25 tcp\n"),
        lambda: (tmp_path / "more.rules").write_text(""),
        lambda: (tmp_path / "more.rules").rename(tmp_path / "more.rules.off"),
        lambda: (tmp_path / "work.rules").unlink(),
    ):
        groups.look()
        assert not groups.is_changed()
        change()
        assert groups.is_changed()
        assert groups.look()
    groups.make("mine").append(GIT)
    groups.look()
    assert not groups.look(), "what we wrote ourselves is no edit"


def test_half_a_group_and_one_that_is_renamed_away_have_a_moment(tmp_path: Path) -> None:
    """vim renames the file away, and then writes it anew: in between its denials must not be gone."""
    groups = write(tmp_path, work__rules="deny - 23 tcp\n")
    groups.look()
    assert not groups.is_unsettled()
    with (tmp_path / "work.rules").open("a"):
        assert groups.is_unsettled()
    (tmp_path / "work.rules").rename(tmp_path / "work.rules~")
    assert groups.is_unsettled()
    (tmp_path / "work.rules~").rename(tmp_path / "work.rules.off")
    assert not groups.is_unsettled(), "this one was switched off"


def test_a_group_is_made_for_root_alone(tmp_path: Path) -> None:
    groups = RuleGroups(tmp_path / "tinysnitch.d")
    assert groups.make("work").append(GIT, "by alice 2026-12-02 the shop")
    path = tmp_path / "tinysnitch.d" / "work.rules"
    assert path.read_text() == f"{format_rule(GIT)}  # by alice 2026-12-02 the shop\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not groups.make("work").append(GIT)
    with pytest.raises(SnitchError, match="no groups"):
        RuleGroups().make("work")


def test_a_group_is_switched_by_its_name(tmp_path: Path) -> None:
    groups = write(tmp_path, work__rules="deny - 23 tcp # telnet\n")
    assert groups.switch("work", is_on=False)
    assert names(groups) == {"work": False}
    assert (tmp_path / "work.rules.off").read_text() == "deny - 23 tcp # telnet\n"
    assert not groups.switch("work", is_on=False)
    with pytest.raises(SnitchError, match="the group 'work' is off"):
        groups.make("work")
    assert groups.switch("work", is_on=True)
    assert names(groups) == {"work": True}
    with pytest.raises(NotUnderstood, match="there is no group 'wrok'") as refused:
        groups.switch("wrok", is_on=True)
    assert refused.value.hint == "did you mean 'work'?"
    assert sorted(os.listdir(tmp_path)) == ["work.rules"], "no lock is left behind"


def test_a_group_with_errors_is_not_switched_on_and_none_is_renamed_over_another(tmp_path: Path) -> None:
    groups = write(tmp_path, broken__rules__off="deny - 23 tcp\nnonsense\n", two__rules="", two__rules__off="")
    with pytest.raises(RuleSyntaxError, match=r"broken\.rules\.off:2:1: not a verdict"):
        groups.switch("broken", is_on=True)
    with pytest.raises(SnitchError, match=r"two\.rules\.off is there too"):
        groups.switch("two", is_on=False)
    assert names(groups) == {"broken": False, "two": True}


def test_a_line_moves_with_its_comment(tmp_path: Path) -> None:
    groups = write(
        tmp_path, a__rules=f"# mine\n\ufeff\n{format_rule(GIT)}   # why\ndeny - 23 tcp\n", b__rules="deny - 25 tcp"
    )
    groups.look()
    a, b = groups.on["a"], groups.on["b"]
    assert a.move_to(b, GIT)
    assert b.path.read_text() == f"deny - 25 tcp\n{format_rule(GIT)}   # why\n"
    assert a.path.read_text() == "# mine\n\ufeff\ndeny - 23 tcp\n"
    assert not a.move_to(b, GIT)
    a.append(GIT)
    assert a.move_to(b, GIT), "it is there already, and goes here"
    assert b.path.read_text().count(" /usr/bin/git") == 1
    b.read()
    assert b.lines() == (("deny - 25 tcp", parse_rule("deny - 25 tcp")), (f"{format_rule(GIT)}   # why", GIT))


def test_a_folder_that_does_not_answer_leaves_all_as_it_was(tmp_path: Path) -> None:
    is_stuck = False

    def look(read: object) -> list[Path]:
        if is_stuck:
            raise TimeoutError(110, "it does not answer")
        return read()  # type: ignore[operator, no-any-return]

    write(tmp_path, work__rules="")
    groups = RuleGroups(tmp_path, look=look)
    groups.look()
    is_stuck = True
    with pytest.raises(SnitchError, match="it does not answer"):
        groups.look()
    assert names(groups) == {"work": True}
