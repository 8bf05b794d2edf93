#!/usr/bin/env python3
"""A client of tickcast in plain Python, written from docs/wire.md alone: the proof that the document suffices.

    client.py ws://127.0.0.1:7777/ws --seconds 5       plays, and checks all that it is told
    client.py ws://... --match ID [--spectate]         in this match
    client.py --golden shared-protocol/golden          decodes the golden files, without a server

Prints one line of JSON and exits with 0 only if all is well. It follows the state, sends one input per tick,
and verifies every hash, that no tick is missing, and that its inputs are acknowledged.
"""

import sys

sys.dont_write_bytecode = True  # this folder belongs to the source tree

import argparse
import json
import random
import time
from pathlib import Path

import golden
from replica import Replica
from state import Schema
from websocket import Closed, WebSocket
from wire import SERVER_MESSAGE, Broken, client_frame, decode_whole

SEQ_AHEAD_MAX = 64
WELCOME_SECONDS_MAX = 10


class Client:
    """One connection, from the hello to the end (section 2.2)."""

    def __init__(self, url, name, join):
        self.socket = WebSocket(url, "tickcast.v2", WELCOME_SECONDS_MAX)
        self.random = random.Random()
        self.player = self.replica = self.entity = None
        self.seq = self.acknowledged = 0
        self.ticks = self.gaps = self.snapshots = self.catch_ups = self.priors = self.resets = self.pongs = 0
        self.trouble = []
        self.say({"Hello": {"protocol": 2, "name": name, "join": join}})

    def say(self, message):
        self.socket.send(client_frame(message))

    def run(self, seconds):
        """Plays for a while, counted from the welcome."""
        deadline = time.monotonic() + WELCOME_SECONDS_MAX
        next_ping = 0.0
        while time.monotonic() < deadline:
            frame = self.socket.receive(min(deadline - time.monotonic(), 0.2))
            welcomed = self.replica is not None
            if frame is not None:
                self.handle_frame(frame)
            if self.replica is not None and not welcomed:
                deadline = time.monotonic() + seconds
            if self.replica is not None and time.monotonic() >= next_ping:
                next_ping = time.monotonic() + 1
                self.say({"Ping": {"nonce": self.random.randrange(1 << 32)}})
        if self.replica is None:
            self.trouble.append("no welcome")
        self.say("Leave")
        self.socket.close()

    def handle_frame(self, frame):
        if frame[:1] == b"\x02":
            self.handle_message(decode_whole(SERVER_MESSAGE, frame[1:]))
        elif self.replica is None:
            raise Broken("state before the welcome")
        else:
            self.handle_state(frame)

    def handle_message(self, message):
        name, told = (message, {}) if isinstance(message, str) else next(iter(message.items()))
        if name == "Welcome":
            if self.replica is not None:
                raise Broken("a second welcome")
            if told["protocol"] != 2:
                raise Broken(f"protocol {told['protocol']}")
            role = told["role"]
            self.player = role["Player"] if isinstance(role, dict) else None
            self.replica = Replica(Schema(told["schema"]))
        elif name == "Pong":
            self.pongs += 1
        elif name == "Reset":
            self.resets += 1
            self.replica.waiting = True
            self.acknowledged = 0
        elif name == "Ended":
            self.trouble.append("the match ended")

    def handle_state(self, frame):
        """Section 8. A new tick is answered with an input."""
        was_waiting, before = self.replica.waiting, self.replica.tick
        outcome = self.replica.apply(frame)
        is_snapshot = frame[:1] == b"\x20"
        if outcome == "gap" and (is_snapshot or not was_waiting):
            self.gaps += 1
            self.trouble.append(f"gap: {self.replica.why}")
            self.say("NeedSnapshot")
        self.priors += frame[:1] == b"\x22" and outcome == "nothing"
        if outcome != "advanced":
            return
        if is_snapshot:
            self.snapshots += 1
        else:
            self.catch_ups += frame[0] & 0xFE == 0x30
            self.ticks += self.replica.tick - before
        self.read_acknowledgement()
        if self.player is not None and self.seq - self.acknowledged < SEQ_AHEAD_MAX:
            self.send_input()

    def read_acknowledgement(self):
        """Section 2.3: the field `seq` of our player's entity."""
        players = self.replica.world.tables[self.replica.world.schema.player_kind.number].values()
        self.entity = next((entity for entity in players if entity.value("player") == self.player), None)
        if self.entity is None:
            return
        acknowledged = self.entity.value("seq")
        if not self.acknowledged <= acknowledged <= self.seq:
            self.trouble.append(f"acknowledged {acknowledged} after {self.acknowledged}, sent were {self.seq}")
        self.acknowledged = acknowledged

    def send_input(self):
        self.seq += 1
        values = [self.random.randint(low, high) for _, low, high in self.replica.world.schema.input]
        self.say({"Input": {"seq": self.seq, "seen": self.replica.tick, "values": values}})

    def report(self):
        replica = self.replica
        return {
            "ticks": self.ticks,
            "hashes_verified": replica.hashes_verified if replica else 0,
            "desyncs": replica.desyncs if replica else 0,
            "acknowledged": self.acknowledged,
            "entities": len(replica.world.entities()) if replica else 0,
            "sent": self.seq,
            "snapshots": self.snapshots,
            "catch_ups": self.catch_ups,
            "priors": self.priors,
            "gaps": self.gaps,
            "resets": self.resets,
            "pongs": self.pongs,
            "player": self.player,
            "trouble": self.trouble[:10],
        }

    def all_is_well(self, spectate):
        report = self.report()
        followed = report["ticks"] > 0 and report["hashes_verified"] > 0 and report["pongs"] > 0
        played = spectate or (self.entity is not None and report["acknowledged"] > 0)
        return followed and played and not self.trouble


def play(arguments):
    if arguments.match:
        join = {"Spectate" if arguments.spectate else "Match": arguments.match}
    else:
        join = {"Quick": {"game": arguments.game}}
    client = None
    trouble = None
    try:
        client = Client(arguments.url, arguments.name, join)
        client.run(arguments.seconds)
    except (Broken, Closed, OSError) as error:
        trouble = f"{type(error).__name__}: {error}"
    if client is None:
        print(json.dumps({"trouble": [trouble]}))
        return 1
    if trouble is not None:
        client.trouble.append(trouble)
    print(json.dumps(client.report()))
    return 0 if client.all_is_well(arguments.spectate) else 1


def main():
    parser = argparse.ArgumentParser(description="A client of tickcast, written from docs/wire.md alone.")
    parser.add_argument("url", nargs="?", help="for example ws://127.0.0.1:7777/ws")
    parser.add_argument("--seconds", type=float, default=5, help="how long to play")
    parser.add_argument("--match", help="id of the match; without it, quick play")
    parser.add_argument("--spectate", action="store_true", help="only watch the match (needs --match)")
    parser.add_argument("--game", default="", help="game of a quick play; the server's default game without it")
    parser.add_argument("--name", default="stranger", help="the player's name")
    parser.add_argument("--golden", type=Path, metavar="DIR", help="check the golden files instead")
    arguments = parser.parse_args()
    if arguments.golden:
        sys.exit(golden.check(arguments.golden))
    if not arguments.url or (arguments.spectate and not arguments.match):
        parser.error("give a URL (and --match with --spectate), or --golden DIR")
    sys.exit(play(arguments))


if __name__ == "__main__":
    main()
