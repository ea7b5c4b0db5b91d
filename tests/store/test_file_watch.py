import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tinysnitch.store.file_watch import watch_file
from tinysnitch.store.text_file import replace_text

TIMEOUT_S = 5


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


async def see_changes(path: Path, *changes: Callable[[Path], object]) -> None:
    """Each change is told of before the next one is made."""
    async with asyncio.timeout(TIMEOUT_S):
        watch = watch_file(path)
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
