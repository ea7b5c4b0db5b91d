"""`tinysnitch` at the moment of the pictures, whose users it knows: so a picture is the same each time it is taken."""

import datetime
import sys
import time

from bench.picture_samples import NOW, NOW_S, USERS


class Moment(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Moment":
        return cls.fromtimestamp(NOW.timestamp(), tz)


def main() -> None:
    time.time = lambda: NOW_S
    datetime.datetime = Moment  # type: ignore[misc]  # for modules that are imported from now on
    import tinysnitch.client.user_names as names

    names.find_user = USERS.get  # type: ignore[assignment]
    from tinysnitch.cli.main import main as tinysnitch

    sys.argv[0] = "tinysnitch"
    tinysnitch()


if __name__ == "__main__":
    main()
