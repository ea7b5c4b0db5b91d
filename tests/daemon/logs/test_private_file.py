"""Programs that are counted and not named, as root lists them."""

import asyncio
import os
from pathlib import Path

from tests.daemon.loop.driver_place import until
from tinysnitch.core.engine.events import DataLost
from tinysnitch.daemon.logs.private_file import PrivateFile, read_private


class SmallKeeper:
    private: frozenset[str] = frozenset()


def test_an_edit_counts_and_a_mistake_costs_its_line_and_is_told_once(tmp_path: Path) -> None:
    path, keeper, fed = tmp_path / "private", SmallKeeper(), list[DataLost]()

    async def run() -> None:
        file = PrivateFile(path, (keeper,), fed.append)
        path.write_text("# mine\n/bin/none-of-this-name  # why\nfirefox\n\n")
        file.start()
        assert "/bin/none-of-this-name" in keeper.private
        path.write_text("firefox\n\n/x\n")
        os.replace(path, tmp_path / "moved")
        (tmp_path / "moved").replace(path)
        await until(lambda: keeper.private == {"/x"})
        file.stop()

    asyncio.run(run())
    told = {loss.what for loss in fed}
    assert {text.partition(": ")[2].partition(",")[0] for text in told} == {"'firefox' is no path"}
    assert len(fed) == len(told)


def test_links_are_followed_and_only_what_root_alone_can_change_counts(tmp_path: Path) -> None:
    path = tmp_path / "private"
    assert read_private(path) == (frozenset(), ())
    (tmp_path / "link").symlink_to("/bin/sh")
    path.write_text(f"{tmp_path}/link\n")
    assert read_private(path)[0] == {f"{tmp_path}/link", os.path.realpath("/bin/sh")}
    path.chmod(0o666)
    paths, problems = read_private(path)
    assert (paths, len(problems)) == (frozenset(), 1)
    assert "others than root can change it" in problems[0]
