"""The wire of tickcast, from docs/wire.md: bytes and control messages. State is in state.py and coder.py.

Nothing here knows a socket. Section numbers are those of docs/wire.md.
"""

import re


class Broken(Exception):
    """Bytes that are not what the protocol allows."""


class Reader:
    """Reads bytes front to back, in both codings."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if len(self.data) - self.at < count:
            raise Broken("the bytes end too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def fixed(self, size):
        """An unsigned number of a fixed size, little endian."""
        return int.from_bytes(self.take(size), "little")

    def utf8(self, length):
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Broken("not UTF-8") from error

    def finish(self):
        if self.at != len(self.data):
            raise Broken(f"{len(self.data) - self.at} bytes left over")

    def control(self, size):
        """A control varint of a type of `size` bytes (4.1)."""
        first = self.fixed(1)
        if first <= 250:
            return first
        width = {251: 2, 252: 4, 253: 8}.get(first)
        if width is None or width > size:
            raise Broken(f"control varint {first:#x} for a type of {size} bytes")
        return self.fixed(width)

    def varint(self):
        """A varint of an entity field (section 10)."""
        value = 0
        for position in range(10):
            byte = self.fixed(1)
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                if byte == 0 and position > 0:
                    raise Broken("varint not in its shortest form")
                if value >= 1 << 64:
                    raise Broken("varint of more than 64 bits")
                return value
        raise Broken("varint of more than 64 bits")

    def signed(self):
        return unzigzag(self.varint())

    def at_most(self, limit, what):
        value = self.varint()
        if value > limit:
            raise Broken(f"{what} {value}, at most {limit}")
        return value

    def text(self, bytes_max):
        return self.utf8(self.at_most(bytes_max, "text length"))


def zigzag(value):
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(raw):
    return raw >> 1 if raw & 1 == 0 else -(raw >> 1) - 1


def put_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_control(value):
    if value <= 250:
        return bytes([value])
    for mark, size in ((251, 2), (252, 4), (253, 8)):
        if value < 1 << (8 * size):
            return bytes([mark]) + value.to_bytes(size, "little")
    raise ValueError(f"{value} has more than 64 bits")


# Section 4: a type is a name, ("list", type), ("optional", type), ("record", fields) or ("enum", variants). A variant is its name and what it holds:
# None, one type, or a list of named fields. Values are written like JSON: "Leave", {"Match": "abc"},
# {"Ping": {"nonce": 7}}.

RAW_BYTES = {"token": 16, "digest": 32}
SIZES = {"u16": 2, "u32": 4, "u64": 8}
POSITION = ("record", [("fence", ("record", [("epoch", "u64"), ("nonce", "u64")])), ("tick", "u64")])

JOIN = ("enum", [("Quick", [("game", "string")]), ("Match", "id"), ("Spectate", "id"),
                 ("Resume", [("match_id", "id"), ("player", "u32"), ("token", "token"), ("shown", POSITION),
                             ("attempt", "u32")])])
CHAT_TO = ("enum", [("Everyone", None), ("Team", None)])
CHAT_REFUSAL = ("enum", [(name, None) for name in (
    "Empty", "TooLong", "TooFast", "Spectator", "NoTeam", "Off", "Repeated", "Unheard")])
CHAT_LINE = ("record", [("number", "u64"), ("tick", "u64"), ("from", "u32"), ("seq", "u32"), ("team", "u32"),
                        ("name", "player_name"), ("text", "line")])
CLIENT_MESSAGE = ("enum", [
    ("Hello", [("protocol", "u16"), ("name", "player_name"), ("join", JOIN), ("ticket", "string")]),
    ("Input", [("seq", "u32"), ("seen", "u64"), ("behind", "u16"), ("values", ("list", "i32"))]),
    ("Ping", [("nonce", "u32")]),
    ("NeedSnapshot", None),
    ("Leave", None),
    ("Chat", [("seq", "u32"), ("to", CHAT_TO), ("text", "string")]),
])
ROLE = ("enum", [("Player", "u32"), ("Spectator", None)])
SERVER_MESSAGE = ("enum", [
    ("Welcome", [("protocol", "u16"), ("node", "id"), ("session", "u64"), ("match_id", "id"), ("role", ROLE),
                 ("tick_rate", "tick_rate"), ("schema", "string"), ("resume", "token"), ("quiet_ms", "u16")]),
    ("Pong", [("nonce", "u32"), ("tick", "u64")]),
    ("Reset", [("from", "u64"), ("to", "u64")]),
    ("Ended", None),
    ("Reconnect", [("within_ms", "u32"), ("url", "url")]),
    ("Chat", CHAT_LINE),
    ("ChatHistory", ("list", CHAT_LINE)),
    ("ChatRefused", [("seq", "u32"), ("reason", CHAT_REFUSAL)]),
])


def decode_value(of, reader):
    if isinstance(of, tuple) and of[0] == "list":
        return [decode_value(of[1], reader) for _ in range(reader.control(8))]
    if isinstance(of, tuple) and of[0] == "record":
        return {field: decode_value(each, reader) for field, each in of[1]}
    if isinstance(of, tuple) and of[0] == "optional":
        mark = reader.fixed(1)
        if mark > 1:
            raise Broken(f"mark {mark} of an optional value")
        return decode_value(of[1], reader) if mark else None
    if isinstance(of, tuple):
        number = reader.control(4)
        if number >= len(of[1]):
            raise Broken(f"no variant {number}")
        name, holds = of[1][number]
        if holds is None:
            return name
        if isinstance(holds, list):
            return {name: {field: decode_value(each, reader) for field, each in holds}}
        return {name: decode_value(holds, reader)}
    if of in SIZES:
        return reader.control(SIZES[of])
    if of == "i32":
        return unzigzag(reader.control(4))
    if of == "tick_rate":
        return checked(of, reader.fixed(1))
    if of in RAW_BYTES:
        return list(reader.take(RAW_BYTES[of]))
    return checked(of, reader.utf8(reader.control(8)))


def checked(of, value):
    """Bounds of section 4.2."""
    good = {
        "string": lambda: True,
        "id": lambda: re.fullmatch("[A-Za-z0-9_-]{1,32}", value),
        "player_name": lambda: len(value.encode()) <= 24,
        "line": lambda: 1 <= len(value.encode()) <= 240,
        "url": lambda: len(value.encode()) <= 256,
        "tick_rate": lambda: 10 <= value <= 128,
    }[of]
    if not good():
        raise Broken(f"not a {of}: {value!r}")
    return value


def encode_value(of, value):
    if isinstance(of, tuple) and of[0] == "list":
        return put_control(len(value)) + b"".join(encode_value(of[1], each) for each in value)
    if isinstance(of, tuple) and of[0] == "record":
        return b"".join(encode_value(each, value[field]) for field, each in of[1])
    if isinstance(of, tuple) and of[0] == "optional":
        return b"\x00" if value is None else b"\x01" + encode_value(of[1], value)
    if isinstance(of, tuple):
        name, inner = (value, None) if isinstance(value, str) else next(iter(value.items()))
        number = [variant for variant, _ in of[1]].index(name)
        holds = of[1][number][1]
        if holds is None:
            return put_control(number)
        if isinstance(holds, list):
            return put_control(number) + b"".join(encode_value(each, inner[field]) for field, each in holds)
        return put_control(number) + encode_value(holds, inner)
    if of in SIZES:
        return put_control(value)
    if of == "i32":
        return put_control(zigzag(value))
    if of == "tick_rate":
        return bytes([value])
    if of in RAW_BYTES:
        return bytes(value)
    text = checked(of, value).encode()
    return put_control(len(text)) + text


def position(fence, tick):
    return {"fence": {"epoch": fence[0], "nonce": fence[1]}, "tick": tick}


def client_frame(message):
    return b"\x01" + encode_value(CLIENT_MESSAGE, message)


def decode_whole(of, data):
    reader = Reader(data)
    value = decode_value(of, reader)
    reader.finish()
    return value
