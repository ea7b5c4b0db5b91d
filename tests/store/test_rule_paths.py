import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.store.rule_paths import (
    find_patterns,
    find_turnable_links,
    find_turnable_patterns,
    folder_of,
    resolve_path,
)


def leads_of(paths: Iterable[str]) -> dict[str, str]:
    """Those of the paths that lead elsewhere."""
    return {path: resolve_path(path) for path in paths if resolve_path(path) != path}


def found_patterns(patterns: Iterable[str]) -> dict[str, str]:
    patterns = list(patterns)
    return find_patterns(patterns, leads_of(map(folder_of, patterns)))


def test_find_patterns_follows_the_folders_before_the_first_star(tmp_path: Path) -> None:
    for name in ("folder", "a*b"):
        (tmp_path / name / "below").mkdir(parents=True)
    for name, target in (("way", "folder"), ("star", "a*b"), ("top", "/")):
        (tmp_path / name).symlink_to(target)
    lines = {
        "way/*": "folder/*",
        "way/below/x*/y**": "folder/below/x*/y**",
        "star/*": r"a\*b/*",
        "folder//below/../*": "folder/*",
        "way*/x": "way*/x",
        "folder/*": "folder/*",
        "nowhere/*": "nowhere/*",
    }
    patterns = [f"{tmp_path}/{line}" for line in [*lines, "top/etc/*"]]
    found = {f"{tmp_path}/{line}": f"{tmp_path}/{target}" for line, target in lines.items() if line != target}
    assert found_patterns([*patterns, "/*"]) == found | {f"{tmp_path}/top/etc/*": "/etc/*"}


def test_the_folder_of_a_pattern() -> None:
    patterns = {"/b/c*/d": "/b", "/*": "/", "/a/b/**": "/a/b", r"/a\*/b*": "/a*"}
    assert {pattern: folder_of(pattern) for pattern in patterns} == patterns


@pytest.mark.privileged
def test_a_pattern_can_be_turned_where_a_folder_of_it_can(tmp_path: Path) -> None:
    for name in ("roots", "alices"):
        (tmp_path / name).symlink_to("/")
    os.lchown(tmp_path / "alices", 1000, 1000)
    patterns = {name: f"{tmp_path}/{name}/*" for name in ("roots", "alices")}
    found = found_patterns(patterns.values())
    assert find_turnable_patterns(patterns.values(), found) == {patterns["alices"]}
    assert find_turnable_patterns([], found) == set()


def turnable(*paths: Path) -> set[str]:
    """The names of those links that others than root can change."""
    words = [str(path) for path in paths]
    return {path.rpartition("/")[2] for path in find_turnable_links(words, leads_of(words))}


@pytest.mark.privileged
def test_a_link_can_be_turned_by_who_made_it(tmp_path: Path) -> None:
    for name, target in (("roots", "/usr/bin/env"), ("alices", "/usr/bin/env"), ("over", "alices")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "plain").touch()
    for name in ("alices", "plain"):
        os.lchown(tmp_path / name, 1000, 1000)
    found = turnable(*(tmp_path / name for name in ("roots", "alices", "over", "plain", "nowhere")))
    assert found == {"alices", "over"}


@pytest.mark.privileged
def test_a_link_can_be_turned_by_whoever_may_put_another_into_its_place(tmp_path: Path) -> None:
    folders = {"alices": 0o755, "shared": 0o777, "sticky": 0o1777, "roots": 0o755}
    for name, mode in folders.items():
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name).chmod(mode)
        for folder in (tmp_path / name, tmp_path / name / "below"):
            (folder / folder.relative_to(tmp_path).as_posix().replace("/", "-")).symlink_to("/usr/bin/env")
    os.chown(tmp_path / "alices", 1000, 1000)
    links = [path for path in tmp_path.rglob("*") if path.is_symlink()]
    assert turnable(*links) == {"alices", "alices-below", "shared", "shared-below"}


@pytest.mark.privileged
def test_nobody_else_can_turn_a_path_over_roots_link_to_a_folder(tmp_path: Path) -> None:
    """For example /bin, where it is a link to /usr/bin."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "tool").touch()
    (tmp_path / "linked").symlink_to("real")
    assert turnable(tmp_path / "linked" / "tool") == set()


def test_a_link_that_changes_meanwhile_is_not_roots(tmp_path: Path) -> None:
    (tmp_path / "l").touch()
    assert find_turnable_links([f"{tmp_path}/l"], {f"{tmp_path}/l": "/usr/bin/env"}) == {f"{tmp_path}/l"}


def test_a_folder_of_a_pattern_that_changes_meanwhile_is_not_roots(tmp_path: Path) -> None:
    assert find_turnable_patterns([f"{tmp_path}/*"], {f"{tmp_path}/*": "/usr/bin/*"}) == {f"{tmp_path}/*"}


def test_links_that_lead_in_circles_lead_nowhere(tmp_path: Path) -> None:
    for name, target in (("a", "b"), ("b", "a")):
        (tmp_path / name).symlink_to(target)
    assert turnable(tmp_path / "a" / "x") <= {"x"}
    path = f"{tmp_path}/a"
    assert find_turnable_links([path], {path: "/usr/bin/env"}) == {path}


def test_a_path_is_followed_no_further_than_the_kernel_goes(tmp_path: Path) -> None:
    """A user with a folder on its way can make a chain of any length, which took long, or broke Python 3.12."""
    (tmp_path / "0").touch()
    for number in range(3000):
        (tmp_path / str(number + 1)).symlink_to(str(number))
    for number, end in ((40, "0"), (41, "41"), (3000, "3000")):
        path = tmp_path / str(number)
        assert resolve_path(str(path)) == str(tmp_path / end)
        if number != 3000:
            assert path.exists() == (end == "0")


@pytest.mark.parametrize("part", ["a/", "./", "../", "/"])
def test_a_path_of_too_many_parts_leads_nowhere_else(tmp_path: Path, part: str) -> None:
    """The parts of all links on it count as well. To go through tens of thousands took seconds."""
    (tmp_path / "link").symlink_to("/" + part * 300)
    for path in (f"/{part * 30_000}", str(tmp_path / "link")):
        assert resolve_path(path) == path


@given(st.lists(st.sampled_from(["usr", "bin", "lib", "..", ".", "", "sh", "missing", "etc", "mtab"])))
def test_a_path_leads_where_the_library_says(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert resolve_path(path) == os.path.realpath(path)


def test_paths_that_cannot_be_lead_nowhere() -> None:
    path = "/a\0b\ud800"
    assert resolve_path(path) == path
    assert find_turnable_links([path], {path: "/x"}) == {path}
