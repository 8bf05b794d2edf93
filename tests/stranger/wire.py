"""The wire of tickcast, from docs/wire.md: codings, messages, schema, state, replica.

Nothing here knows a socket. Section numbers are those of docs/wire.md.
"""

import json
import re
import struct


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
        """A varint of the state coding (7.1)."""
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

    def indexes(self):
        """An index list (7.1). What belongs to an index is read while it is yielded."""
        index = -1
        for _ in range(self.at_most(65535, "number of entities")):
            index += 1 + self.varint()
            if index > 65534:
                raise Broken(f"index {index}")
            yield index


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


# Section 4: a type is a name, ("list", type) or ("enum", variants). A variant is its name and what it holds:
# None, one type, or a list of named fields. Values are written like JSON: "Leave", {"Match": "abc"},
# {"Ping": {"nonce": 7}}.

SIZES = {"u16": 2, "u32": 4, "u64": 8}

JOIN = ("enum", [("Quick", [("game", "string")]), ("Match", "id"), ("Spectate", "id")])
CLIENT_MESSAGE = ("enum", [
    ("Hello", [("protocol", "u16"), ("name", "player_name"), ("join", JOIN)]),
    ("Input", [("seq", "u32"), ("seen", "u64"), ("values", ("list", "i32"))]),
    ("Ping", [("nonce", "u32")]),
    ("NeedSnapshot", None),
    ("Leave", None),
])
ROLE = ("enum", [("Player", "u32"), ("Spectator", None)])
SERVER_MESSAGE = ("enum", [
    ("Welcome", [("protocol", "u16"), ("node", "id"), ("session", "u64"), ("match_id", "id"), ("role", ROLE),
                 ("tick_rate", "tick_rate"), ("schema", "string")]),
    ("Pong", [("nonce", "u32"), ("tick", "u64")]),
    ("Reset", [("from", "u64"), ("to", "u64")]),
    ("Ended", None),
])


def decode_value(of, reader):
    if isinstance(of, tuple) and of[0] == "list":
        return [decode_value(of[1], reader) for _ in range(reader.control(8))]
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
    return checked(of, reader.utf8(reader.control(8)))


def checked(of, value):
    """Bounds of section 4.2."""
    good = {
        "string": lambda: True,
        "id": lambda: re.fullmatch("[A-Za-z0-9_-]{1,32}", value),
        "player_name": lambda: len(value.encode()) <= 24,
        "tick_rate": lambda: 10 <= value <= 128,
    }[of]
    if not good():
        raise Broken(f"not a {of}: {value!r}")
    return value


def encode_value(of, value):
    if isinstance(of, tuple) and of[0] == "list":
        return put_control(len(value)) + b"".join(encode_value(of[1], each) for each in value)
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
    text = checked(of, value).encode()
    return put_control(len(text)) + text


def client_frame(message):
    return b"\x01" + encode_value(CLIENT_MESSAGE, message)


def decode_whole(of, data):
    reader = Reader(data)
    value = decode_value(of, reader)
    reader.finish()
    return value


# Section 5


class Field:
    def __init__(self, told):
        self.name = told["name"]
        self.type = told["type"]
        if self.type not in ("int", "angle", "text") or told.get("predictor", "hold") not in ("hold", "linear"):
            raise Broken(f"a field that cannot be decoded: {told}")
        self.linear = told.get("predictor") == "linear"
        self.bytes_max = told.get("bytes_max", 0)
        self.turn = 1 << told.get("bits", 0)
        self.min, self.max = (told["min"], told["max"]) if self.type == "int" else (0, self.turn - 1)

    def guess(self, last, prior):
        """6.2: what the next value is expected to be."""
        if not self.linear:
            return last
        if self.type == "angle":
            return (2 * last - prior) % self.turn
        return min(max(2 * last - prior, self.min), self.max)

    def shortest(self, difference):
        half = self.turn // 2
        return (difference + half) % self.turn - half

    def within(self, value):
        if not self.min <= value <= self.max:
            raise Broken(f"{self.name} = {value}")
        return value

    def read_value(self, reader):
        if self.type == "text":
            return reader.text(self.bytes_max)
        return self.within(reader.signed())

    def read_change(self, reader, guess):
        if self.type == "text":
            return reader.text(self.bytes_max)
        residual = reader.signed()
        if self.type == "int":
            return self.within(guess + residual)
        if self.shortest(residual) != residual:
            raise Broken(f"{self.name}: not the short way round: {residual}")
        return (guess + residual) % self.turn

    def read_prior(self, reader, value):
        """7.2: the value of the tick before, from the step."""
        step = reader.signed()
        if self.type == "int":
            return self.within(value - step)
        if self.shortest(step) != step:
            raise Broken(f"{self.name}: not the short way round: {step}")
        return (value - step) % self.turn


class Kind:
    def __init__(self, number, told):
        self.number = number
        self.name = told["name"]
        self.fields = [Field(field) for field in told["fields"]]
        self.numbers = {field.name: place for place, field in enumerate(self.fields)}


class Schema:
    def __init__(self, text):
        told = json.loads(text)
        self.game = told["game"]
        self.kinds = [Kind(number, kind) for number, kind in enumerate(told["kinds"])]
        self.player_kind = next(kind for kind in self.kinds if kind.name == told["player_kind"])
        self.input = [(field["name"], field["min"], field["max"]) for field in told["input"]]


# Section 6


class Entity:
    """One entity: `last` is every field's value, `prior` that of the tick before."""

    def __init__(self, kind, index, last, prior):
        self.kind, self.index, self.last, self.prior = kind, index, last, prior
        self.settle()

    def settle(self):
        """After each change: does it go on by itself, and the hash is to be computed anew."""
        fields = enumerate(self.kind.fields)
        self.moving = any(field.linear and self.last[f] != self.prior[f] for f, field in fields)
        self.known_hash = None

    def go_on(self):
        """6.3: every value becomes its guess. Nothing happens to one that does not move."""
        if self.moving:
            fields = enumerate(self.kind.fields)
            guesses = [field.guess(self.last[f], self.prior[f]) for f, field in fields]
            self.last, self.prior = guesses, self.last
            self.settle()

    def hash(self):
        if self.known_hash is None:
            self.known_hash = murmur(self.words())
        return self.known_hash

    def words(self):
        """6.4"""
        yield self.kind.number << 16 | self.index
        numbers = [value for value in self.last if not isinstance(value, str)]
        yield from (value & 0xFFFFFFFF for value in numbers)
        for text in (value.encode() for value in self.last if isinstance(value, str)):
            yield len(text)
            padded = text + bytes(-len(text) % 4)
            yield from struct.unpack(f"<{len(padded) // 4}I", padded)

    def value(self, name):
        return self.last[self.kind.numbers[name]]

    def values(self):
        return {field.name: value for field, value in zip(self.kind.fields, self.last)}


def murmur(words):
    """MurmurHash3 x86 32-bit, seed 0, over whole words (6.4)."""
    state = count = 0
    for word in words:
        k = rotate(word * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF
        state = (rotate(state ^ k, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
        count += 1
    h = state ^ (4 * count)
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


def rotate(value, by):
    return (value << by | value >> (32 - by)) & 0xFFFFFFFF


class World:
    """The state: for each kind, its entities by index."""

    def __init__(self, schema):
        self.schema = schema
        self.tables = [{} for _ in schema.kinds]

    def entities(self):
        return [table[index] for table in self.tables for index in sorted(table)]

    def hash(self):
        return sum(entity.hash() for table in self.tables for entity in table.values()) & 0xFFFFFFFF

    def add_record(self, kind, index, reader):
        """7.2: a record becomes an entity."""
        last = [field.read_value(reader) for field in kind.fields]
        prior = list(last)
        for f, field in enumerate(kind.fields):
            if field.linear:
                prior[f] = field.read_prior(reader, last[f])
        self.tables[kind.number][index] = Entity(kind, index, last, prior)

    def apply_diff(self, payload):
        """7.3, and 6.3 for what the diff does not mention."""
        reader = Reader(payload)
        for kind in self.schema.kinds:
            self.apply_kind(kind, self.tables[kind.number], reader)
        reader.finish()
        if sum(map(len, self.tables)) > 65535:
            raise Broken("too many entities")

    def apply_kind(self, kind, table, reader):
        for entity in table.values():
            entity.go_on()
        for index in reader.indexes():
            if index not in table:
                raise Broken(f"a change of {kind.name}:{index}, which is not there")
            entity = table[index]
            mask = reader.varint()
            if mask == 0 or mask >> len(kind.fields):
                raise Broken(f"mask {mask:#x}")
            for f, field in enumerate(kind.fields):
                if mask >> f & 1:
                    entity.last[f] = field.read_change(reader, entity.last[f])
            entity.settle()
        gone = set()
        for index in reader.indexes():
            if table.pop(index, None) is None:
                raise Broken(f"an end of {kind.name}:{index}, which is not there")
            gone.add(index)
        for index in reader.indexes():
            if index in table or index in gone:
                raise Broken(f"a birth of {kind.name}:{index}, which is there")
            last = [field.read_value(reader) for field in kind.fields]
            table[index] = Entity(kind, index, last, list(last))


def read_snapshot(schema, payload):
    world, reader = World(schema), Reader(payload)
    for kind in schema.kinds:
        for index in reader.indexes():
            world.add_record(kind, index, reader)
    reader.finish()
    return world


# Sections 3 and 8


def tag(epoch, nonce):
    mixed = epoch * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF ^ nonce
    result = 0
    for byte in mixed.to_bytes(8, "little"):
        result ^= byte
    return result


def parse_frame(frame):
    """A state frame as a dictionary, its payload not decoded."""
    reader = Reader(frame)
    first = reader.fixed(1)
    if first in (0x10, 0x11):
        told = {"frame": "DIFF", "tag": reader.fixed(1), "tick_low": reader.fixed(2)}
        told["hash"] = reader.fixed(4) if first == 0x11 else None
    elif first in (0x20, 0x21):
        told = {"frame": "SNAPSHOT" if first == 0x20 else "OWNER"}
        told.update(epoch=reader.fixed(8), nonce=reader.fixed(8), tick=reader.fixed(8))
        if first == 0x21:
            reader.finish()
            return told
        told["hash"] = reader.fixed(4)
    else:
        raise Broken(f"unknown frame kind {first:#x}")
    told["payload"] = frame[reader.at :]
    return told


class Replica:
    """Follows a match. `apply` answers "advanced", "nothing" or "gap"; `why` explains the last gap."""

    def __init__(self, schema):
        self.world = World(schema)
        self.fence, self.tick = (0, 0), 0
        self.waiting = True
        self.why = ""
        self.hashes_verified = self.desyncs = 0

    def apply(self, frame):
        try:
            told = parse_frame(frame)
            return getattr(self, "apply_" + told["frame"].lower())(told)
        except Broken as error:
            return self.gap(str(error))

    def gap(self, why):
        self.waiting = True
        self.why = why
        return "gap"

    def apply_diff(self, told):
        if self.waiting:
            return self.gap("waiting for a snapshot")
        if told["tag"] != tag(*self.fence):
            return self.gap(f"another owner's diff after tick {self.tick}")
        ahead = (told["tick_low"] - self.tick) % 65536
        if ahead == 0 or ahead >= 32768:
            return "nothing"
        if ahead != 1:
            return self.gap(f"{ahead - 1} ticks are missing after {self.tick}")
        self.world.apply_diff(told["payload"])
        self.tick += 1
        return self.verify(told["hash"])

    def apply_snapshot(self, told):
        fence = (told["epoch"], told["nonce"])
        if not self.waiting and fence == self.fence and told["tick"] <= self.tick:
            return "nothing"
        self.world = read_snapshot(self.world.schema, told["payload"])
        self.fence, self.tick = fence, told["tick"]
        self.waiting = False
        return self.verify(told["hash"])

    def apply_owner(self, told):
        if self.waiting:
            return self.gap("waiting for a snapshot")
        if told["tick"] != self.tick:
            return self.gap(f"an owner goes on from {told['tick']}, the replica is at {self.tick}")
        self.fence = (told["epoch"], told["nonce"])
        return "nothing"

    def verify(self, expected):
        if expected is None:
            return "advanced"
        self.hashes_verified += 1
        actual = self.world.hash()
        if actual != expected:
            self.desyncs += 1
            return self.gap(f"desync at tick {self.tick}: {actual:08x}, the owner's is {expected:08x}")
        return "advanced"
