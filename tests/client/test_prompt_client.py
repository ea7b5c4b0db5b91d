import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from tests.client.full_socket import FullSocket
from tests.client.odd_daemon import OddDaemon
from tests.daemon.requests.small_handler import ALICE, ROOT, Comers, RunningServer, make_prompt, running_server
from tinysnitch.client import prompt_client
from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.core.model.errors import Busy, DaemonNotRunning, NotPermitted, SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import (
    GiveAnswer,
    PromptClosed,
    PromptShown,
    ReadStatus,
    Refused,
    RuleWritten,
    Status,
    Welcome,
)


async def answer(client: PromptClient, prompt_id: int, choice: Choice | None = None, rule: str | None = None) -> str:
    """The rule line that the answer made."""
    (reply,) = await client.request(GiveAnswer(prompt_id, choice, rule))
    assert isinstance(reply, RuleWritten)
    return reply.rule


def test_a_prompt_is_shown_answered_and_closed(running: RunningServer) -> None:
    async def play() -> None:
        client = await PromptClient.connect(running.path)
        pushes = client.attach()
        shown = await anext(pushes)
        assert isinstance(shown, PromptShown)
        choice = Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.FOREVER)
        assert await answer(client, shown.prompt.prompt_id, choice) == "allow forever"
        assert await anext(pushes) == PromptClosed(3, "answered", 0)
        await client.close()

    asyncio.run(play())
    running.wait_until(lambda: running.handler.attached == {})


def test_a_long_question_is_shown_whole(running: RunningServer) -> None:
    args = ("\x1b" * 100_000,)
    running.handler.prompts = {4: make_prompt(4, args=args)}

    async def play() -> None:
        client = await PromptClient.connect(running.path)
        shown = await anext(client.attach())
        assert isinstance(shown, PromptShown)
        process = shown.prompt.connection.attribution.process
        assert process is not None
        assert process.args == args
        await client.close()

    asyncio.run(play())


def test_the_daemon_says_how_far_our_right_goes(tmp_path: Path) -> None:
    async def connect() -> bool:
        client = await PromptClient.connect(tmp_path / "socket")
        await client.close()
        return client.sees_all

    with running_server(tmp_path / "socket", Comers(ROOT, ALICE)):
        assert [asyncio.run(connect()) for _right in range(2)] == [True, False]


def test_the_second_answer_is_refused_and_the_client_lives(running: RunningServer) -> None:
    async def play() -> None:
        client = await PromptClient.connect(running.path)
        assert await answer(client, 3, rule="allow - - -") == "allow - - -"
        with pytest.raises(SnitchError, match="not open"):
            await answer(client, 3, rule="deny - - -")
        (status,) = await client.request(ReadStatus())
        assert isinstance(status, Status)
        await client.close()

    asyncio.run(play())


def test_answers_do_not_mix(running: RunningServer) -> None:
    async def play() -> None:
        running.handler.prompts = {number: make_prompt(number) for number in range(20)}
        client = await PromptClient.connect(running.path)
        rules = [f"allow - {number} tcp" for number in range(20)]
        answers = await asyncio.gather(*(answer(client, number, rule=rule) for number, rule in enumerate(rules)))
        assert answers == rules
        await client.close()

    asyncio.run(play())


def test_when_the_daemon_ends_everyone_is_told(tmp_path: Path) -> None:
    async def play() -> None:
        with running_server(tmp_path / "socket") as running:
            client = await PromptClient.connect(running.path)
            pushes = client.attach()
            await anext(pushes)
        with pytest.raises(DaemonNotRunning, match="ended"):
            await anext(pushes)
        with pytest.raises(DaemonNotRunning, match="ended"):
            await answer(client, 3, rule="allow - - -")
        await client.close()

    asyncio.run(play())


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(DaemonNotRunning):
        asyncio.run(PromptClient.connect(tmp_path / "none"))


async def wait_push(path: Path) -> None:
    client = await PromptClient.connect(path)
    try:
        await anext(client.attach())
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (encode_frame(Welcome(99, "9.9")), "9.9"),
        (encode_frame(Refused("go away", "ask root", 4)), "go away"),
        (b"garbage\n", "does not understand"),
        (b"x" * 3_000_000 + b"\n", "does not understand"),
        (b'{"type":"done"}\n', "does not speak like tinysnitchd"),
        (b"", "ended"),
        (encode_frame(Welcome()), "ended"),
    ],
    ids=["version", "refused", "garbage", "much", "done", "end", "late end"],
)
def test_an_odd_daemon_is_an_error_for_people(tmp_path: Path, says: bytes, message: str) -> None:
    async def play() -> None:
        with pytest.raises(SnitchError, match=message) as error:
            await wait_push(tmp_path / "socket")
        assert isinstance(error.value, NotPermitted) == (message == "go away")
        assert error.value.hint

    with OddDaemon(tmp_path / "socket", says):
        asyncio.run(play())


def test_whoever_finds_no_place_knocks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(full: FullSocket) -> None:
        comes = asyncio.create_task(PromptClient.connect(tmp_path / "s"))
        await asyncio.sleep(0.1)
        full.make_room()
        while not comes.done():
            await asyncio.sleep(0.02)
            full.server.setblocking(False)
            with suppress(BlockingIOError), full.server.accept()[0] as peer:
                peer.send(encode_frame(Welcome()))
        await (await comes).close()

    with FullSocket(tmp_path / "s") as full:
        asyncio.run(play(full))
    monkeypatch.setattr(prompt_client, "TIMEOUT_S", 0.1)
    with FullSocket(tmp_path / "t"), pytest.raises(Busy, match="does not answer"):
        asyncio.run(PromptClient.connect(tmp_path / "t"))
