"""How long a choice holds."""

from tinysnitch.core.prompts.choice import Lifetime


def test_how_long_each_lifetime_is() -> None:
    assert {lifetime.value: lifetime.duration_s for lifetime in Lifetime} == {
        "once": None,
        "1m": 60,
        "3m": 180,
        "9m": 540,
        "24h": 24 * 3600,
        "quit": None,
        "forever": None,
    }
