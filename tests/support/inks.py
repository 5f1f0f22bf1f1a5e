"""ICC profiles of printing colours, small enough to be worked out by hand (ICC.1:2001-04)."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping

_INTENT = 1  # relative to the paper; what is perceived as black would be made black
_Inks = tuple[int, int, int, int]
_Lab = tuple[float, float, float]


def ink_profile(colours: Mapping[_Inks, _Lab], description: bytes = b"inks") -> bytes:
    """A CMYK output profile of version 2 with a table of the sixteen corners of the inks.

    Args:
        colours: Inks (c, m, y, k), each 0 or 1, to L*, a*, b* (D50); middle grey where nothing is said.
        description: Its text.
    """
    text = description + b"\0"
    desc = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)  # D50
    tags = {b"desc": desc, b"cprt": b"text" + bytes(4) + text, b"wtpt": white, b"A2B0": _table(colours)}
    at, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        index += name + struct.pack(">II", at + len(body), len(content))
        body += padded
    size = at + len(body)
    head = struct.pack(">I4sI", size, b"lcms", 0x02400000) + b"prtrCMYKLab " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head += b"acsp".ljust(28, b"\0") + struct.pack(">I3i", _INTENT, 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


def _table(colours: Mapping[_Inks, _Lab]) -> bytes:
    """`lut8Type`: four inks in, Lab out, two points a side, straight curves; the first ink varies least."""
    straight = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    points = b""
    for corner in itertools.product((0, 1), repeat=4):
        lightness, a, b = colours.get(corner, (50, 0, 0))
        points += bytes((round(lightness * 2.55), round(a) + 128, round(b) + 128))
    return b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + straight * 4 + points + straight * 3
