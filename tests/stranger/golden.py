"""Decodes the golden files with wire.py and compares with the meaning that stands beside the bytes."""

import json
import re

from wire import (CLIENT_MESSAGE, SERVER_MESSAGE, Broken, Reader, Replica, Schema, World, decode_value, decode_whole,
                  encode_value, parse_frame, put_varint, read_snapshot, tag, zigzag)

# Section 11, which a client does not need.
NOTE = ("enum", [("Refused", [("player", "u32"), ("code", "u16")]), ("Ended", None), ("Released", None)])
UPSTREAM = ("list", ("enum", [
    ("Join", [("player", "u32"), ("name", "player_name")]),
    ("Leave", [("player", "u32")]),
    ("Input", [("player", "u32"), ("seq", "u32"), ("seen", "u64"), ("values", ("list", "i32"))]),
    ("Present", [("players", ("list", "u32"))]),
]))


class Golden:
    """A folder of golden files."""

    def __init__(self, folder):
        self.files = {path.name: load(path) for path in sorted(folder.glob("*.hex"))}
        schemas = [Schema(path.read_text(encoding="utf-8")) for path in folder.glob("*.schema.json")]
        self.schemas = {schema.game: schema for schema in schemas}

    def entry(self, file, name):
        return next(data for each, _, data in self.files[file] if each == name)


def load(path):
    """The examples of a file: name, meaning, bytes."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("    "):
            entries[-1][2] += bytes.fromhex(line)
        elif match := re.match(r"(\w+) = (.*)", line):
            entries.append([match[1], json.loads(match[2]), b""])
        else:
            name, data = line.split(":")
            if entries[-1][0] != name:
                raise ValueError(f"{path}: {name} has no meaning")
            entries[-1][2] = bytes.fromhex(data)
    return entries


def number(told, data):
    reader = Reader(data)
    of, value = told["type"], told["value"]
    if told["coding"] == "state":
        decoded = reader.varint() if of == "varint" else reader.signed()
        encoded = put_varint(value if of == "varint" else zigzag(value))
    else:
        of = ("list", "i32") if of == "list_i32" else of
        decoded, encoded = decode_value(of, reader), encode_value(of, value)
    reader.finish()
    assert encoded == data, f"encoded: {encoded.hex(' ')}"
    return {**told, "value": decoded}


def control(told, data):
    kind = {1: "ClientMessage", 2: "ServerMessage"}[data[0]]
    of = {1: CLIENT_MESSAGE, 2: SERVER_MESSAGE}[data[0]]
    encoded = data[:1] + encode_value(of, told[kind])
    assert encoded == data, f"encoded: {encoded.hex(' ')}"
    return {kind: decode_whole(of, data[1:])}


def shown(parsed):
    """A parsed frame as the golden files write it."""
    shown = dict(parsed)
    if "nonce" in shown:
        shown["tag"] = tag(shown["epoch"], shown["nonce"])
        shown["nonce"] = f"{shown['nonce']:016x}"
    if shown.get("hash") is not None:
        shown["hash"] = f"{shown['hash']:08x}"
    if "payload" in shown:
        shown["payload"] = shown["payload"].hex(" ")
    return shown


def state(replica):
    entities = {f"{entity.kind.name}:{entity.index}": entity.values() for entity in replica.world.entities()}
    return {"tick": replica.tick, "hash": f"{replica.world.hash():08x}", "entities": entities}


def follow(replica, data):
    outcome = replica.apply(data)
    return {"does": outcome} if outcome == "gap" else {"does": outcome, **state(replica)}


def put_entity(world, key, data):
    """Section 10: an entity field goes into a world."""
    name, index = key.split(":")
    kind = next(kind for kind in world.schema.kinds if kind.name == name)
    reader = Reader(data)
    if reader.fixed(1) != 1:
        raise Broken("an unknown version")
    world.add_record(kind, int(index), reader)
    reader.finish()


def entity(golden, told, data):
    world = World(golden.schemas[told["game"]])
    put_entity(world, told["key"], data)
    result = {"game": told["game"], "key": told["key"], "values": world.entities()[0].values()}
    result["hash"] = f"{world.hash():08x}"
    world.apply_diff(bytes(3 * len(world.schema.kinds)))
    return {**result, "next": world.entities()[0].values()}


def channel_diff(data):
    """Section 11.1"""
    reader = Reader(data[1:])
    parsed = {"epoch": reader.fixed(8), "nonce": reader.fixed(8), "tick": reader.fixed(8), "hash": reader.fixed(4)}
    return {**shown(parsed), "sent_ms": reader.fixed(8), "frame": data[1 + reader.at :].hex(" ")}


def channel(told, data):
    if data[0] == 0x81:
        return {"Diff": channel_diff(data)}
    name, of = {0x82: ("Note", NOTE), 0x83: ("Upstream", UPSTREAM)}[data[0]]
    encoded = data[:1] + encode_value(of, told[name])
    assert encoded == data, f"encoded: {encoded.hex(' ')}"
    return {name: decode_whole(of, data[1:])}


def refused(golden, told, data):
    """Must end with Broken."""
    duel = golden.schemas["duel"]
    of = told["as"]
    try:
        if of == "varint":
            Reader(data).varint()
        elif of == "frame":
            parse_frame(data)
        elif of == "diff":
            replica = Replica(duel)
            replica.apply(golden.entry("duel.hex", "duel_snapshot"))
            replica.world.apply_diff(data)
        elif of == "snapshot":
            read_snapshot(duel, data)
        elif of == "entity":
            put_entity(World(duel), "player:0", data)
        elif data[:1] != {"client": b"\x01", "server": b"\x02"}[of]:
            raise Broken("another kind of frame")
        else:
            decode_whole({"client": CLIENT_MESSAGE, "server": SERVER_MESSAGE}[of], data[1:])
    except Broken:
        return told
    return "accepted"


def restored(golden):
    """Section 10: entities as of tick 7 and the ring's diffs after it are the state at tick 10."""
    replica = Replica(golden.schemas["duel"])
    for _, told, data in golden.files["entities.hex"]:
        if told["game"] == "duel":
            put_entity(replica.world, told["key"], data)
    replica.tick, replica.waiting = 7, False
    for name, told, data in golden.files["channel.hex"]:
        if name.startswith("channel_diff_"):
            message = told["Diff"]
            replica.fence = (message["epoch"], int(message["nonce"], 16))
            outcome = follow(replica, bytes.fromhex(channel_diff(data)["frame"]))
            assert outcome["hash"] == message["hash"], f"{name}: {outcome}"
    return {"does": "advanced", **state(replica)}


def check(folder):
    """Checks every file; returns the exit code."""
    golden = Golden(folder)
    sequences = {f"{game}.hex": Replica(schema) for game, schema in golden.schemas.items()}
    readings = {
        "numbers.hex": number,
        "control.hex": control,
        "frames.hex": lambda _, data: shown(parse_frame(data)),
        "entities.hex": lambda told, data: entity(golden, told, data),
        "channel.hex": channel,
        "refused.hex": lambda told, data: refused(golden, told, data),
        **{name: lambda _, data, replica=replica: follow(replica, data) for name, replica in sequences.items()},
    }
    wrong = sorted(readings.keys() ^ golden.files.keys())
    for name in wrong:
        print(f"{name}: not in the folder, or of no known use")
    checked = 0
    for file, entries in golden.files.items():
        for name, told, data in entries if file in readings else []:
            try:
                actual = readings[file](told, data)
            except (Broken, AssertionError) as error:
                actual = f"{type(error).__name__}: {error}"
            checked += 1
            if actual != told:
                wrong.append(name)
                print(f"{file}: {name}\n  expected {json.dumps(told)}\n  actual   {json.dumps(actual)}")
    if not wrong and restored(golden) != golden.files["duel.hex"][-1][1]:
        wrong.append("restored")
        print(f"restored: {json.dumps(restored(golden))}")
    print(json.dumps({"files": len(golden.files), "checked": checked, "wrong": wrong}))
    return 1 if wrong or checked == 0 else 0
