"""Encodes requests; refuses those that the daemon would not read, but end the connection for."""

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.framing import MAX_FRAME, encode_frame
from tinysnitch.protocol.messages import Request


def encode_request(request: Request) -> bytes:
    """The frame of a request. Raises SnitchError if it is longer than the daemon takes."""
    frame = encode_frame(request)
    size = len(frame) - 1  # the limit does not count the newline
    if size > MAX_FRAME:
        problem = f"the request is too long: {size} bytes, and the daemon takes {MAX_FRAME}"
        raise SnitchError(problem, "shorten it")
    return frame
