from tests.view.sample_prompts import connection_of
from tinysnitch.core.choice import Choice, RemoteScope
from tinysnitch.core.verdict import Verdict
from tinysnitch.view.remote_scope import next_scope


def walk(*names: str | None) -> list[RemoteScope]:
    connections = [connection_of(name=name) for name in names]
    scopes = [RemoteScope.NAME]
    for _ in range(3):
        scopes.append(next_scope(connections, Choice(verdict=Verdict.ALLOW, remote=scopes[-1])))
    return scopes


ALL = [RemoteScope.NAME, RemoteScope.DOMAIN, RemoteScope.ANY, RemoteScope.NAME]


def test_a_name_has_a_domain() -> None:
    assert walk("www.shop.test") == ALL


def test_of_several_that_are_answered_together_one_with_a_domain_is_enough() -> None:
    assert walk(None, "www.shop.test") == ALL


def test_no_key_is_lost_on_a_domain_that_is_not_there() -> None:
    """An address alone, and a name that is no domain: the second step would show the very rule of the first."""
    for name in (None, "router"):
        assert walk(name) == [RemoteScope.NAME, RemoteScope.ANY, RemoteScope.NAME, RemoteScope.ANY]
