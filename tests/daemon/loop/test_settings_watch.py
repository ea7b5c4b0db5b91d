"""Settings that are edited while the daemon runs: what changes at once, and what is told to count later."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import msgspec

from tests.daemon.loop.driver_place import Place, until
from tests.daemon.requests.small_handler import ALICE, ROOT
from tinysnitch.core.model.errors import LineError
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.options import Options, SettingsRead
from tinysnitch.protocol.messages import PromptSettings

KEYS = {"timeout_s": "timeout", "rules": "rules", "log": "log"}
ERROR = LineError("/x/tinysnitch.toml", 3, 0, "there is no key 'tymeout'", "did you mean timeout?")


def run(folder: Path, work: Callable[[Place], Awaitable[None]]) -> None:
    async def go() -> None:
        with closing(Place(folder)) as place:
            place.settings.start()
            await work(place)

    asyncio.run(go())


async def edit(place: Place, settings: SettingsRead) -> None:
    """Have the file say this, and wait until it was read."""
    place.settings_read = settings
    (place.settings.path).write_text(f"# {settings}\n")
    await until(lambda: place.settings.now == settings)


def test_what_can_change_changes_at_once(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        options = Options(timeout_s=7.0, resolvers=("9.9.9.9",), users=("1000",), admins=("1001",))
        await edit(place, SettingsRead(options=options, keys=KEYS))
        assert (place.engine.settings.timeout_s, place.engine.prompts.timeout_s) == (7.0, 7.0)
        assert parse_address("9.9.9.9") in place.loader.facts.resolvers
        assert place.permissions.find(1000, 1000) == Right(1000, sees_all=False)
        assert place.permissions.find(1001, 1001) == Right(1001, sees_all=True)
        assert place.settings.later == ()
        assert "next start" not in place.read_log()
        await edit(place, SettingsRead())
        assert place.permissions.find(1001, 1001) is None
        assert parse_address("9.9.9.9") not in place.loader.facts.resolvers

    run(tmp_path, work)


def test_prompts_are_told_their_settings(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        prompt = PromptSettings(lifetime=Lifetime.FOREVER)
        await edit(place, SettingsRead(prompt=prompt))
        assert place.clients.prompt_settings == prompt

    run(tmp_path, work)


def test_the_rest_counts_at_the_next_start_and_that_is_told_once(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        settings = SettingsRead(options=Options(rules=Path("/y"), timeout_s=1.0), keys=KEYS)
        await edit(place, settings)
        await edit(place, msgspec.structs.replace(settings, options=Options(rules=Path("/y"))))
        status = place.handler.status(ROOT)
        assert status.settings_later == ("rules",)
        told = f"{place.settings.path}: at the next start these count: rules (hint: restart tinysnitchd)"
        assert place.read_log().count(told) == 1
        await edit(place, SettingsRead(keys=KEYS))
        assert place.handler.status(ROOT).settings_later == ()

    run(tmp_path, work)


def test_mistakes_are_told_once_and_stand_in_the_status(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        await edit(place, SettingsRead(errors=(ERROR,)))
        await edit(place, SettingsRead(errors=(ERROR,), options=Options(timeout_s=3.0)))
        told = f"{ERROR}, so it does not count (hint: did you mean timeout?)"
        assert place.read_log().count(told) == 1
        assert place.handler.status(ROOT).setting_errors == (ERROR.with_hint(),)
        assert place.handler.status(ALICE).setting_errors == ()
        await edit(place, SettingsRead())
        assert place.handler.status(ROOT).setting_errors == ()

    run(tmp_path, work)


def test_a_mistake_of_the_start_is_told_at_the_start(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        place.settings.now = SettingsRead(errors=(ERROR,))
        place.settings.start()
        assert str(ERROR) in place.read_log()

    run(tmp_path, work)


def test_an_edit_while_the_file_is_read_is_read_too(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        place.settings_read = SettingsRead(options=Options(timeout_s=1.0))
        place.settings.read_again()
        place.settings_read = SettingsRead(options=Options(timeout_s=2.0))
        place.settings.read_again()
        await until(lambda: place.engine.settings.timeout_s == 2.0)

    run(tmp_path, work)
