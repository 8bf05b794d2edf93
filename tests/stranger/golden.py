"""Decodes the golden files and compares with the meaning that stands beside the bytes."""

import json
import re

from coder import HALF, NUMBER, Adaptive, Coder, RangeDecoder, RangeEncoder, adapted
from payloads import CatchUp, Diff, Prior, Snapshot
from replica import Replica, parse_frame, tag
from segments import parse_sections
from state import Schema, World, read_entity
from wire import (CHAT_LINE, CHAT_REFUSAL, CHAT_TO, CLIENT_MESSAGE, SERVER_MESSAGE, Broken, Reader, decode_value, decode_whole, encode_value, put_varint,
                  zigzag)

# Section 11, which a client does not need.
NOTE = ("enum", [("Refused", [("player", "u32"), ("code", "u16")]), ("Ended", None), ("Released", None),
                 ("InputsLost", None), ("Resumed", [("player", "u32"), ("session", "u64"), ("attempt", "u32")]),
                 ("ChatRefused", [("player", "u32"), ("seq", "u32"), ("reason", CHAT_REFUSAL)])])
UPSTREAM = ("list", ("enum", [
    ("Join", [("player", "u32"), ("name", "player_name"), ("token", "digest"), ("subject", ("optional", "string"))]),
    ("Resume", [("player", "u32"), ("session", "u64"), ("attempt", "u32"), ("token", "digest")]),
    ("Leave", [("player", "u32"), ("token", "digest")]),
    ("Input", [("player", "u32"), ("seq", "u32"), ("seen", "u64"), ("behind", "u16"), ("values", ("list", "i32"))]),
    ("Present", [("players", ("list", "u32"))]),
    ("Chat", [("player", "u32"), ("seq", "u32"), ("to", CHAT_TO), ("text", "line")]),
    ("Kick", [("player", "u32")]),
]))
ORDER = ("enum", [("Take", [("id", "id")]), ("HandOver", [("id", "id"), ("to", ("optional", "id"))]), ("Drain", None), ("Bans", None)])


class Golden:
    """A folder of golden files."""

    def __init__(self, folder):
        self.files = {path.name: load(path) for path in sorted(folder.glob("*.hex"))}
        schemas = [Schema(path.read_text(encoding="utf-8")) for path in folder.glob("*.schema.json")]
        self.schemas = {schema.game: schema for schema in schemas}

    def entry(self, file, name):
        return next((told, data) for each, told, data in self.files[file] if each == name)

    def first_state(self, game):
        """The replica after the first frame of a run, a snapshot."""
        replica = Replica(self.schemas[game])
        replica.apply(self.files[f"{game}.hex"][0][2])
        return replica

    def replica_before(self, file, name):
        """The replica of a run before this frame."""
        replica = Replica(self.schemas["duel"])
        for each, _, data in self.files[file]:
            if each == name:
                return replica
            replica.apply(data)
        raise KeyError(name)


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


def readable(parsed):
    """A parsed frame, or a section of one, as the golden files write it."""
    shown = dict(parsed)
    if "nonce" in shown:
        shown["tag"] = tag(shown["epoch"], shown["nonce"])
        shown["nonce"] = f"{shown['nonce']:016x}"
    if shown.get("hash") is not None:
        shown["hash"] = f"{shown['hash']:08x}"
    for part in ("prior", "payload"):
        if part in shown:
            shown[part] = shown[part].hex(" ")
    if "sections" in shown:
        shown["sections"] = list(map(readable, shown["sections"]))
    return shown


def stream(golden, told, data):
    """Section 7: streams of the range coder, in both directions where a client's half is not the same."""
    if "prior" in told:
        prior = Prior(golden.schemas["duel"], data)
        return {"levels": [[model, level] for model, level in enumerate(prior.levels) if level], "prior": prior.number}
    if "steps" in told:
        encoder, decoder = RangeEncoder(), RangeDecoder(data)
        steps = []
        for step in told["steps"]:
            if step[0] == "raw":
                encoder.raw(*step[1:])
                steps.append(["raw", step[1], decoder.raw(step[1])])
            else:
                encoder.bit(*step)
                steps.append([step[0], decoder.bit(step[0])])
        assert encoder.finish() == data, f"encoded: {encoder.finish().hex(' ')}"
        decoder.finish()
        return {"steps": steps}
    if "adaptive" in told:
        coder, encoder, models = Adaptive(data, 4), RangeEncoder(), {}
        for model, bit in told["adaptive"]:
            zero, had = models.get(model, (HALF, 0))
            encoder.bit(zero, bit)
            models[model] = adapted(zero, had, bit)
        assert encoder.finish() == data, f"encoded: {encoder.finish().hex(' ')}"
        return {"adaptive": [[model, coder.bit(model)] for model, _ in told["adaptive"]]}
    coder = Coder(data, [HALF] * (NUMBER + 1))
    read = {"numbers": lambda: coder.number(0), "differences": lambda: coder.difference(NUMBER, 0),
            "texts": lambda: coder.text(255)}
    (name, values), = told.items()
    result = {name: [read[name]() for _ in values]}
    coder.finish()
    return result


def state(replica):
    entities = {f"{entity.kind.name}:{entity.index}": entity.values() for entity in replica.world.entities()}
    told = {"tick": replica.tick, "hash": f"{replica.world.hash():08x}", "prior": replica.prior.number,
            "steps_known": replica.steps_known, "entities": entities}
    return told if replica.segments is None else {**told, "segments": replica.segments.hashes()}


def follow(replica, data):
    outcome = replica.apply(data)
    return {"does": outcome} if outcome == "gap" else {"does": outcome, **state(replica)}


def put_entity(world, key, data):
    """Section 10: an entity field goes into a world."""
    name, index = key.split(":")
    kind = next(kind for kind in world.schema.kinds if kind.name == name)
    world.tables[kind.number][int(index)] = read_entity(kind, int(index), Reader(data))


def entity(golden, told, data):
    world = World(golden.schemas[told["game"]])
    put_entity(world, told["key"], data)
    result = {"game": told["game"], "key": told["key"], "values": world.entities()[0].values()}
    result["hash"] = f"{world.hash():08x}"
    world = Diff(world, Prior(world.schema), b"").world
    return {**result, "next": world.entities()[0].values()}


def channel_diff(data):
    """Section 11.1"""
    reader = Reader(data[1:])
    parsed = {"epoch": reader.fixed(8), "nonce": reader.fixed(8), "tick": reader.fixed(8), "hash": reader.fixed(4)}
    told = {**readable(parsed), "sent_ms": reader.fixed(8)}
    frame = data[1 + reader.at :] if data[0] == 0x81 else reader.take(reader.fixed(4))
    prior, said = b"", []
    if data[0] == 0x84:
        prior = data[1 + reader.at :]
    elif data[0] in (0x85, 0x86):
        prior = reader.take(reader.fixed(4))
        lines = data[1 + reader.at :] if data[0] == 0x85 else reader.take(reader.fixed(4))
        said = decode_whole(("list", CHAT_LINE), lines)
    views = view_changes(Reader(data[1 + reader.at :])) if data[0] == 0x86 else []
    return {**told, "frame": frame.hex(" "), "prior": prior.hex(" ") or None, "said": said, "views": views}


def view_changes(reader):
    """Section 11.1"""
    changes = []
    while reader.at < len(reader.data):
        viewer, count, segments, next_segment = reader.varint(), reader.varint(), [], 0
        for _ in range(count - 1):
            segments.append(next_segment + reader.varint())
            next_segment = segments[-1] + 1
        changes.append([viewer, segments if count else None])
    return changes


def channel(told, data):
    if data[0] in (0x81, 0x84, 0x85, 0x86):
        return {"Diff": channel_diff(data)}
    name, of, start = {0x82: ("Note", NOTE, 1), 0x83: ("Upstream", UPSTREAM, 1)}.get(data[0], ("Order", ORDER, 0))
    encoded = data[:start] + encode_value(of, told[name])
    assert encoded == data, f"encoded: {encoded.hex(' ')}"
    return {name: decode_whole(of, data[start:])}


def refused(golden, told, data):
    """Must end with Broken."""
    duel = golden.schemas["duel"]
    of = told["as"]
    try:
        if of == "varint":
            Reader(data).varint()
        elif of == "frame":
            parse_frame(data)
        elif of == "sections":
            parse_sections(Reader(data))
        elif of in ("diff", "wide_diff"):
            replica = golden.first_state("duel" if of == "diff" else "wide")
            Diff(replica.world, replica.prior, data)
        elif of == "catch_up":
            CatchUp(golden.first_state("duel").world, 1, 2, data)
        elif of == "snapshot":
            Snapshot(duel, data)
        elif of == "prior":
            Prior(duel, data)
        elif of == "entity":
            put_entity(World(duel), "player:0", data)
        elif data[:1] != {"client": b"\x01", "server": b"\x02"}[of]:
            raise Broken("another kind of frame")
        else:
            decode_whole({"client": CLIENT_MESSAGE, "server": SERVER_MESSAGE}[of], data[1:])
    except Broken:
        return told
    return "accepted"


def restored(golden, start, late, end):
    """Section 10: entities as of a tick, the stored prior, and the ring's diffs after it are the state of a later one."""
    replica = Replica(golden.schemas["duel"])
    for name, told, data in golden.files["entities.hex"]:
        if told["game"] == "duel" and name.startswith("entity_late") == late:
            put_entity(replica.world, told["key"], data)
    replica.tick, replica.waiting = start, False
    if late:
        stored = parse_frame(golden.entry("duel.hex", "duel_prior_1")[1])["payload"]
        replica.prior = Prior(replica.world.schema, stored)
    outcome = None
    for name, told, data in golden.files["channel.hex"]:
        if name.startswith("channel_diff_") and start < told["Diff"]["tick"] <= end:
            message = told["Diff"]
            replica.fence = (message["epoch"], int(message["nonce"], 16))
            outcome = follow(replica, bytes.fromhex(channel_diff(data)["frame"]))
            assert outcome["hash"] == message["hash"], f"{name}: {outcome}"
    return outcome


def decisions(golden, document):
    """Where docs/wire.md tells the decisions of a frame, they must be those that this client makes."""
    wrong, found = [], 0
    for block in document.split("\ndecisions:")[1:]:
        name, _, rest = block.partition("\n")
        lines = rest.split("```")[0].strip().splitlines()
        told = [[word if word == "raw" else int(word) for word in line.split(";")[0].split()] for line in lines]
        replica, made = golden.replica_before("duel.hex", name), []
        frame = parse_frame(golden.entry("duel.hex", name)[1])
        if frame["frame"] == "DIFF":
            Diff(replica.world, replica.prior, frame["payload"], made)
        else:
            CatchUp(replica.world, frame["span"], replica.steps_known, frame["payload"], made)
        found += 1
        if told != [list(each) for each in made]:
            wrong.append(f"decisions of {name}")
            print(f"{name}: docs/wire.md tells\n  {told}\n  made are\n  {made}")
    return wrong if found else ["no decisions are told"]


def check(folder):
    """Checks every file; returns the exit code."""
    golden = Golden(folder)
    sequences = {f"{game}.hex": Replica(schema) for game, schema in golden.schemas.items()}
    others = {"slow.hex": "duel", "quiet.hex": "duel", "segments.hex": "duel", "fog_slow.hex": "fog", "fog_late.hex": "fog"}
    sequences |= {name: Replica(golden.schemas[game]) for name, game in others.items()}
    readings = {
        "numbers.hex": number,
        "control.hex": control,
        "coder.hex": lambda told, data: stream(golden, told, data),
        "frames.hex": lambda _, data: readable(parse_frame(data)),
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
    for start, late, end in [] if wrong else [(7, False, 16), (16, True, 17)]:
        actual = restored(golden, start, late, end)
        if actual != golden.entry("duel.hex", f"duel_tick_{end}")[0]:
            wrong.append(f"restored at {end}")
            print(f"restored at {end}: {json.dumps(actual)}")
    document = folder.parent.parent / "docs" / "wire.md"
    wrong += decisions(golden, document.read_text(encoding="utf-8")) if not wrong else []
    print(json.dumps({"files": len(golden.files), "checked": checked, "wrong": wrong}))
    return 1 if wrong or checked == 0 else 0
