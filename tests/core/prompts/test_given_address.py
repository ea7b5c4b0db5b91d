import pytest

from tests.core.engine.transcript import flow_of, inbound, whose
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.name_source import NameSource
from tinysnitch.core.model.process import Attribution, AttributionSource
from tinysnitch.core.prompts.given_address import is_address_given

V4, V6 = "10.0.0.80", "fd77::1"


@pytest.mark.parametrize(
    ("arg", "remote"),
    [
        *[(arg, V4) for arg in (V4, f"http://{V4}/", f"http://{V4}:80/", f"a@{V4}:x", f"--host={V4}", f"at {V4}.")],
        *[(arg, V6) for arg in (V6, f"http://[{V6}]:80/", f"a@{V6}", f"{V6}%eth0", f"[{V6}]:x")],
    ],
)
def test_an_address_that_stands_by_itself_is_given(arg: str, remote: str) -> None:
    assert is_given(arg, remote)


@pytest.mark.parametrize(
    ("arg", "remote"),
    [
        *[(arg, V4) for arg in ("", "10.0.0.8", f"{V4}0", f"1{V4}", f"1.{V4}", f"{V4}.1", f"{V4}.test", f"a-{V4}")],
        *[(arg, V6) for arg in ("fd77::2", f"{V6}:2", f"{V6}0", f"1:{V6}", f"a{V6}")],
    ],
)
def test_a_piece_of_another_address_or_name_is_none(arg: str, remote: str) -> None:
    assert not is_given(arg, remote)


def is_given(arg: str, remote: str) -> bool:
    return is_address_given(Connection(flow=flow_of(remote=remote), attribution=whose(args=("-v", arg)), name="a.test"))


def test_what_comes_in_was_given_to_nobody() -> None:
    assert not is_address_given(Connection(flow=inbound(remote=V4), attribution=whose(args=(V4,))))


def test_a_name_of_its_own_or_of_etc_hosts_is_what_it_means() -> None:
    flow, who = flow_of(remote=V4), whose(args=(V4,))
    assert not is_address_given(Connection(flow=flow, attribution=who, name="a.test", is_name_sure=True))
    assert not is_address_given(Connection(flow=flow, attribution=who, name="a.test", name_source=NameSource.HOSTS))


@pytest.mark.parametrize("arg", [f"--resolve=a.test:443:{V4}", "https://a.test/"])
def test_what_was_given_the_name_too_means_that(arg: str) -> None:
    """As NetworkManager gives it to OpenConnect: the server has another address the next time."""
    flow = flow_of(remote=V4)
    assert not is_address_given(Connection(flow=flow, attribution=whose(args=(V4, arg)), name="a.test"))
    assert is_address_given(Connection(flow=flow, attribution=whose(args=(V4, arg)), name="b.test"))
    assert is_address_given(Connection(flow=flow, attribution=whose(args=(V4, arg))))


def test_what_has_no_process_has_no_arguments() -> None:
    assert not is_address_given(Connection(flow=flow_of(), attribution=Attribution(AttributionSource.KERNEL)))
