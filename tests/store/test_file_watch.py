import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tinysnitch.store.file_watch import watch_file, watch_folder
from tinysnitch.store.text_file import replace_text

TIMEOUT_S = 10


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
    """Each change is told of before the next one is made."""
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


def test_a_change_behind_a_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    real = tmp_path / "far" / "real"
    real.write_text("old")
    (tmp_path / "rules").symlink_to(real)
    asyncio.run(see_changes(tmp_path / "rules", replace, lambda path: write(real)))


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
    """As Docker mounts /etc/resolv.conf; here a second name of the file stands for its place in another mount."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    source, path = tmp_path / "elsewhere" / "source", tmp_path / "here" / "file"
    source.write_text("old")
    path.hardlink_to(source)
    asyncio.run(see_changes(path, lambda _path: source.write_text("new"), lambda _path: source.write_text("newer")))
