"""Schema, state, prediction, hash and stored entities, from docs/wire.md, sections 5, 6 and 10.

Nothing here knows how payloads are coded.
"""

import json
import struct

from wire import Broken

ENTITIES_MAX = 65535


class Field:
    """Section 5."""

    def __init__(self, told):
        self.name = told["name"]
        self.type = told["type"]
        if self.type not in ("int", "angle", "text") or told.get("predictor", "hold") not in ("hold", "linear"):
            raise Broken(f"a field that cannot be decoded: {told}")
        self.text = self.type == "text"
        self.linear = told.get("predictor") == "linear"
        self.bytes_max = told.get("bytes_max", 0)
        self.turn = 1 << told.get("bits", 0)
        self.min, self.max = (told["min"], told["max"]) if self.type == "int" else (0, self.turn - 1)
        self.default = "" if self.text else min(max(0, self.min), self.max)

    def fit(self, value):
        """6.2: the value nearest to a number."""
        return value % self.turn if self.type == "angle" else min(max(value, self.min), self.max)

    def difference(self, to, start):
        """6.2: for an angle the short way round."""
        return self.shortest(to - start) if self.type == "angle" else to - start

    def shortest(self, difference):
        half = self.turn // 2
        return (difference + half) % self.turn - half

    def guess(self, last, prior):
        """6.2: what the next value is expected to be."""
        return self.fit(2 * last - prior) if self.linear else last

    def within(self, value):
        if not self.min <= value <= self.max:
            raise Broken(f"{self.name} = {value}")
        return value

    def displaced(self, guess, residual):
        """6.2: the value at this residual from its guess."""
        if self.type == "int":
            return self.within(guess + residual)
        if self.shortest(residual) != residual:
            raise Broken(f"{self.name}: not the short way round: {residual}")
        return (guess + residual) % self.turn

    def before(self, value, step):
        """The value from which a step led to this one."""
        if self.type == "angle" and self.shortest(step) != step:
            raise Broken(f"{self.name}: not the short way round: {step}")
        return (value - step) % self.turn if self.type == "angle" else self.within(value - step)

    def moves(self, last, prior, older):
        """6.2"""
        return not self.text and (last != prior or (self.linear and prior != older))


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


class Entity:
    """One entity: every field's value at the last three ticks. An entity is never changed, only replaced."""

    def __init__(self, kind, index, last, prior=None, older=None):
        self.kind, self.index, self.last = kind, index, last
        self.prior = last if prior is None else prior
        self.older = self.prior if older is None else older
        values = zip(kind.fields, self.last, self.prior, self.older)
        self.moving = any(field.moves(last, prior, older) for field, last, prior, older in values)
        self.known_hash = None

    def next(self, values):
        """The same entity a tick later."""
        return Entity(self.kind, self.index, values, self.last, self.prior)

    def go_on(self):
        """6.3: what nobody mentions becomes its guess."""
        return self.next(self.guesses()) if self.moving else self

    def guesses(self):
        return [last if field.text else field.guess(last, prior)
                for field, last, prior in zip(self.kind.fields, self.last, self.prior)]

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

    def __init__(self, schema, tables=None):
        self.schema = schema
        self.tables = [{} for _ in schema.kinds] if tables is None else tables
        if sum(map(len, self.tables)) > ENTITIES_MAX:
            raise Broken("too many entities")

    def entities(self):
        return [table[index] for table in self.tables for index in sorted(table)]

    def hash(self):
        return sum(entity.hash() for table in self.tables for entity in table.values()) & 0xFFFFFFFF

    def forget_steps(self):
        """8: after a catch-up over several ticks nothing is known of the ticks before."""
        tables = [{index: Entity(entity.kind, index, entity.last) for index, entity in table.items()}
                  for table in self.tables]
        return World(self.schema, tables)


def read_entity(kind, index, reader):
    """Section 10: an entity field, with the version byte in front."""
    if reader.fixed(1) != 2:
        raise Broken("an unknown version")
    last = [reader.text(field.bytes_max) if field.text else field.within(reader.signed()) for field in kind.fields]
    prior, older = list(last), list(last)
    mask = reader.varint()
    if mask >> len(kind.fields):
        raise Broken(f"mask {mask:#x}")
    for f, field in enumerate(kind.fields):
        if not mask >> f & 1:
            continue
        if field.text:
            raise Broken(f"{field.name} is a text")
        prior[f] = older[f] = field.before(last[f], reader.signed())
        if field.linear:
            older[f] = field.before(prior[f], reader.signed())
        if not field.moves(last[f], prior[f], older[f]):
            raise Broken(f"{field.name} did not move")
    reader.finish()
    return Entity(kind, index, last, prior, older)
