import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.shortage import descriptors_left
from tinysnitch.store import file_watch
from tinysnitch.store.file_watch import watch_file, watch_folder, watch_ways
from tinysnitch.store.whole_file import replace_text

TIMEOUT_S = 60


def rename_over(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("new")
    other.rename(path)


def link_elsewhere(path: Path) -> None:
    path.parent.joinpath("elsewhere").mkdir()
    path.parent.joinpath("elsewhere", "target").write_text("new")
    link = path.with_name("link")
    link.symlink_to("elsewhere/target")
    link.rename(path)


async def see_changes(path: Path, *changes: Callable[[Path], object], watch: AsyncIterator[None] | None = None) -> None:
    """Make the changes one by one; each must be told before the next one is made."""
    async with asyncio.timeout(TIMEOUT_S):
        watch = watch or watch_file(path)
        await anext(watch)
        for change in changes:
            change(path)
            await anext(watch)
        await watch.aclose()  # type: ignore[attr-defined]


def write(path: Path) -> None:
    path.write_text("new")


def replace(path: Path) -> None:
    replace_text(path, "new")


@pytest.mark.parametrize("change", [write, rename_over, Path.unlink, replace, link_elsewhere])
def test_a_change_is_seen(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "rules"
    path.write_text("old")
    asyncio.run(see_changes(path, change))


def test_the_watch_goes_on_after_each_change(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("old")
    asyncio.run(see_changes(path, replace, rename_over, Path.unlink, write, replace, Path.unlink, link_elsewhere))


def test_a_file_that_comes_whole_is_seen(tmp_path: Path) -> None:
    """A file that gets its name by link(2) is complete, and no CLOSE_WRITE follows."""
    (tmp_path / "other").write_text("new")
    path = tmp_path / "rules"
    asyncio.run(see_changes(path, lambda _: path.hardlink_to(tmp_path / "other")))


@pytest.mark.slow
def test_a_change_among_more_news_than_the_kernel_keeps_is_seen(tmp_path: Path) -> None:
    path, beside = tmp_path / "rules", tmp_path / "beside"
    path.write_text("old")

    def change(_: Path) -> None:
        for _pair in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 2):
            beside.touch()
            beside.unlink()
        replace(path)

    asyncio.run(see_changes(path, change))


def test_late_news_of_where_the_way_led_before_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watch, "_MAX_TOGETHER", 0)
    make_versions(tmp_path)
    link = tmp_path / "current"
    link.symlink_to("v1")

    def change(_: Path) -> None:
        turn(link, "v2")
        write(tmp_path / "v1" / "rules")

    asyncio.run(see_changes(link / "rules", change, lambda _: write(tmp_path / "v2" / "rules")))


def test_a_change_behind_a_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    real = tmp_path / "far" / "real"
    real.write_text("old")
    (tmp_path / "rules").symlink_to(real)
    asyncio.run(see_changes(tmp_path / "rules", replace, lambda path: write(real)))


def turn(link: Path, target: str) -> None:
    """Replace a link in one step, as deployments do."""
    link.with_name("next").symlink_to(target)
    link.with_name("next").rename(link)


def make_versions(folder: Path) -> None:
    for version in ("v1", "v2"):
        (folder / version).mkdir()
        (folder / version / "rules").write_text(version)


def test_a_folder_link_that_is_turned_is_seen(tmp_path: Path) -> None:
    """So are changes in the folder that it leads to now, and that the link is removed and made again."""
    make_versions(tmp_path)
    link = tmp_path / "current"
    link.symlink_to("v1")
    changes = [
        *(lambda _: turn(link, "v2"), lambda _: write(tmp_path / "v2" / "rules"), lambda _: turn(link, "v1")),
        *(lambda _: link.unlink(), lambda _: link.symlink_to("v2"), lambda _: replace(tmp_path / "v2" / "rules")),
    ]
    asyncio.run(see_changes(link / "rules", *changes))


def test_a_link_to_a_link_that_is_turned_is_seen(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    make_versions(tmp_path / "far")
    (tmp_path / "far" / "current").symlink_to("./v1")
    (tmp_path / "here").symlink_to("far/../far/current")
    changes = [lambda _: turn(tmp_path / "far" / "current", "v2"), lambda _: write(tmp_path / "far" / "v2" / "rules")]
    asyncio.run(see_changes(tmp_path / "here" / "rules", *changes))


def test_a_folder_that_is_put_in_the_place_of_another_is_seen(tmp_path: Path) -> None:
    """Also a folder further up on the way."""
    folder = tmp_path / "up" / "etc"
    folder.mkdir(parents=True)
    (folder / "rules").write_text("old")

    def swap(path: Path) -> None:
        path.rename(path.with_name("gone"))

    changes = [
        *(lambda _: swap(folder), lambda _: folder.mkdir(), lambda _: write(folder / "rules")),
        *(lambda _: swap(tmp_path / "up"), lambda _: (tmp_path / "up").mkdir(), lambda _: folder.mkdir()),
        lambda _: write(folder / "rules"),
    ]
    asyncio.run(see_changes(folder / "rules", *changes))


def test_a_way_that_ends_early_is_watched_from_there(tmp_path: Path) -> None:
    """For example /etc/resolv.conf, a link into a folder that systemd-resolved has not made yet."""
    path, folder = tmp_path / "resolv.conf", tmp_path / "run" / "resolve"
    path.symlink_to("run/resolve/stub")
    changes = [lambda _: folder.parent.mkdir(), lambda _: folder.mkdir(), lambda _: write(folder / "stub")]
    asyncio.run(see_changes(path, *changes))


def test_a_link_that_leads_around_in_circles_can_be_watched(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.symlink_to("other")
    (tmp_path / "other").symlink_to("rules")
    asyncio.run(see_changes(path, Path.unlink, write))


def test_whatever_leads_a_path_elsewhere_is_seen(tmp_path: Path) -> None:
    """A link that is changed, that replaces a file, or that is new; and a folder that replaces another one."""
    make_versions(tmp_path)
    current, plain, missing = tmp_path / "current", tmp_path / "plain", tmp_path / "missing"
    current.symlink_to("v1")
    plain.touch()
    changes = [
        *(lambda _: turn(current, "v2"), lambda _: turn(plain, "v1/rules"), lambda _: turn(plain, "v2/rules")),
        *(lambda _: missing.symlink_to("v1"), lambda _: turn(missing, "v2"), lambda _: missing.unlink()),
        lambda _: (tmp_path / "v2").rename(tmp_path / "v3"),
    ]
    ways = watch_ways([str(current / "rules"), str(plain), str(missing / "rules"), "/no\0path", "/"])
    asyncio.run(see_changes(tmp_path, *changes, watch=ways))


def test_a_relative_path_is_one_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "socket").touch()
    monkeypatch.chdir(tmp_path)
    asyncio.run(see_changes(Path("folder/socket"), Path.unlink, watch=watch_ways(["folder/socket"])))


def test_where_only_the_way_matters_the_folder_of_the_file_wakes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program").touch()
    seen: list[object] = []
    is_change = file_watch._is_change
    monkeypatch.setattr(file_watch, "_is_change", lambda *event: seen.append(event[0]) or is_change(*event))

    def work_in_the_folder(_: Path) -> None:
        write(tmp_path / "program")
        write(tmp_path / "other")
        turn(tmp_path / "program", "other")

    asyncio.run(see_changes(tmp_path, work_in_the_folder, watch=watch_ways([str(tmp_path / "program")])))
    assert len(seen) == 1


def test_what_happens_beside_the_way_wakes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does what happens in folders that the way led over before."""
    make_versions(tmp_path)
    link = tmp_path / "current"
    link.symlink_to("v1")
    seen: list[object] = []
    is_change = file_watch._is_change
    monkeypatch.setattr(file_watch, "_is_change", lambda *event: seen.append(event[0]) or is_change(*event))

    async def run() -> None:
        watch = watch_file(link / "rules")
        await anext(watch)
        turn(link, "v2")
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0.05)  # what else the turn told
        before = len(seen)
        write(tmp_path / "beside")
        (tmp_path / "beside").chmod(0o600)
        write(tmp_path / "v1" / "rules")
        await asyncio.sleep(0.05)
        assert seen[before:] == []
        write(tmp_path / "v2" / "rules")
        await waiting

    asyncio.run(run())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a device")
def test_what_others_write_to_a_device_wakes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All programs of the machine write to /dev/null."""
    null = tmp_path / "null"
    os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    seen: list[object] = []
    is_change = file_watch._is_change
    monkeypatch.setattr(file_watch, "_is_change", lambda *event: seen.append(event[0]) or is_change(*event))

    async def run() -> None:
        watch = watch_file(null)
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        write(null)
        await asyncio.sleep(0.05)
        assert seen == []
        null.unlink()
        await waiting

    asyncio.run(run())
    asyncio.run(see_changes(null, write, write))


def test_other_files_are_no_change(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("old")

    async def write_others() -> None:
        watch = watch_file(path)
        await anext(watch)
        write(path.with_name("other"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(watch), 0.1)

    asyncio.run(write_others())


@pytest.mark.parametrize("change", [write, rename_over, Path.unlink, replace, link_elsewhere])
def test_a_change_in_a_folder_is_seen(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "lists" / "ads"
    path.parent.mkdir()
    path.write_text("old")
    asyncio.run(see_changes(path, change, watch=watch_folder(path.parent)))


def test_a_folder_may_come_later_and_go_again(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "lists"

    def make(path: Path) -> None:
        path.mkdir(parents=True)

    def add(path: Path) -> None:
        (path / "ads").write_text("new")

    def remove(path: Path) -> None:
        path.rename(path.with_name("gone"))

    (tmp_path / "etc").mkdir()
    asyncio.run(see_changes(folder, make, add, remove, make, add, watch=watch_folder(folder)))


def test_the_folder_above_may_come_later_too(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "lists"
    changes = [lambda _: folder.parent.mkdir(), lambda _: folder.mkdir(), lambda _: write(folder / "ads")]
    asyncio.run(see_changes(folder, *changes, watch=watch_folder(folder)))


def test_what_a_link_in_a_folder_leads_to_is_watched(tmp_path: Path) -> None:
    folder, real = tmp_path / "lists", tmp_path / "far" / "real"
    folder.mkdir()
    real.parent.mkdir()
    real.write_text("old")
    (folder / "ads").symlink_to(real)
    asyncio.run(see_changes(folder, lambda _: write(real), lambda _: replace(real), watch=watch_folder(folder)))


def test_a_change_from_elsewhere_is_seen_where_the_file_is_mounted(tmp_path: Path) -> None:
    """Docker mounts /etc/resolv.conf so. A second name of the file stands for its place in the other mount."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    source, path = tmp_path / "elsewhere" / "source", tmp_path / "here" / "file"
    source.write_text("old")
    path.hardlink_to(source)
    asyncio.run(see_changes(path, lambda _path: source.write_text("new"), lambda _path: source.write_text("newer")))


def test_changes_that_nobody_looked_at_yet_are_one(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("old")

    async def run() -> None:
        watch = watch_file(path)
        await anext(watch)
        for change in (replace, write, replace, rename_over, write):
            change(path)
        await anext(watch)
        further = asyncio.ensure_future(anext(watch))
        await see_changes(path.with_name("another"), write)  # by then the loop would have told of more
        assert not further.done()
        write(path)
        async with asyncio.timeout(TIMEOUT_S):
            await further
        await watch.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_a_folder_that_cannot_be_listed_for_want_of_a_descriptor_is_not_taken_for_one_without_links(
    tmp_path: Path,
) -> None:
    """The error makes follow() try again; otherwise changes behind the links would go unnoticed."""

    async def watch() -> None:  # the watch itself takes two
        with descriptors_left(2), pytest.raises(OSError, match=f"Too many open files: '{tmp_path}"):
            await anext(watch_folder(tmp_path))

    asyncio.run(watch())
