"""Matches of which not everybody sees all, from docs/wire.md, section 3.1: sections, and the segments that they change."""

from payloads import Diff, Snapshot
from state import World
from wire import Broken

SEGMENTS = 4096
NAMES = ("CHANGED", "PROVEN", "ENTERED", "LEFT")


def parse_sections(reader):
    """Everything behind the header of a frame."""
    sections, after = [], -1
    while reader.at < len(reader.data):
        number = reader.varint()
        segment, name = number >> 2, NAMES[number & 3]
        if not after < segment < SEGMENTS:
            raise Broken(f"segment {segment} after {after}")
        after = segment
        told = {"segment": segment, "section": name}
        if name in ("PROVEN", "ENTERED"):
            told["hash"] = reader.fixed(4)
        if name != "LEFT":
            told["payload"] = reader.take(reader.varint())
        sections.append(told)
    return sections


class Segments:
    """Those of a client: each a state of its own. Never changed, only replaced."""

    def __init__(self, schema, worlds=None):
        self.schema = schema
        self.worlds = {} if worlds is None else worlds
        self.verified = 0

    def changed(self, sections, prior=None):
        """As these sections say. With a prior all else goes on as it is guessed to; without one no diff may be among them."""
        worlds, verified = dict(self.worlds), 0
        for segment in self.worlds.keys() - {told["segment"] for told in sections} if prior else ():
            worlds[segment] = Diff(worlds[segment], prior, b"").world
        for told in sections:
            segment, name = told["segment"], told["section"]
            world = World(self.schema)
            if name == "ENTERED":
                world = Snapshot(self.schema, told["payload"]).world
            elif name != "LEFT":
                if prior is None:
                    raise Broken(f"{name} in a frame that has no diffs")
                world = Diff(worlds.get(segment, world), prior, told["payload"]).world
            worlds[segment] = world
            if "hash" in told:
                verified += 1
                if world.hash() != told["hash"]:
                    raise Broken(f"desync of segment {segment}: {world.hash():08x}, the owner's is {told['hash']:08x}")
        worlds = {segment: worlds[segment] for segment in sorted(worlds) if worlds[segment].entities()}
        result = Segments(self.schema, worlds)
        result.verified = verified
        return result

    def together(self):
        """The state: all their entities."""
        tables = [{} for _ in self.schema.kinds]
        for world in self.worlds.values():
            for entity in world.entities():
                table = tables[entity.kind.number]
                if entity.index in table:
                    raise Broken(f"{entity.kind.name}:{entity.index} in two segments")
                table[entity.index] = entity
        return World(self.schema, tables)

    def hashes(self):
        return {str(segment): f"{world.hash():08x}" for segment, world in self.worlds.items()}
