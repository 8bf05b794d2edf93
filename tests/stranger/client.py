#!/usr/bin/env python3
"""A client of tickcast in plain Python, written from docs/wire.md alone: the proof that the document suffices.

    client.py ws://127.0.0.1:7777/ws --seconds 5       plays, and checks all that it is told
    client.py ws://... --match ID [--spectate]         in this match
    client.py ws://A ws://B --drop-after 2             loses its connection after 2 seconds, and goes on at B
    client.py --golden shared-protocol/golden          decodes the golden files, without a server

Prints one line of JSON and exits with 0 only if all is well. It follows the state, sends one input per tick,
and verifies every hash, that no tick is missing, and that its inputs are acknowledged. A connection that is lost is
resumed as the same player, and what was not acknowledged is sent again.
"""

import sys

sys.dont_write_bytecode = True  # this folder belongs to the source tree

import argparse
import json
import random
import threading
import time
from pathlib import Path

import golden
from replica import Replica
from state import Schema
from websocket import Closed, WebSocket
from wire import SERVER_MESSAGE, Broken, client_frame, decode_whole, position

PROTOCOL = 5
SEQ_AHEAD_MAX = 64
WELCOME_SECONDS_MAX = 10
# Section 9.2: the waits between two tries, and for how long it is tried after a loss.
WAIT_SECONDS_FIRST, WAIT_SECONDS_MAX, RESUME_SECONDS_MAX = 0.25, 2, 10
SILENCE_SECONDS_MAX = 5


def may_come_back(code):
    """Section 9.2."""
    return code in (1006, 1012) or 4000 <= code <= 4499


class Client:
    """One player or spectator, over all its connections (section 2.2)."""

    def __init__(self, urls, name, join, ticket):
        self.urls, self.name, self.join, self.ticket = urls, name, join, ticket
        self.random = random.Random()
        self.socket = None
        self.match = self.player = self.token = self.replica = self.entity = None
        self.welcomed = self.resuming = False
        self.move_at = self.move_to = None
        self.heard = 0.0
        self.seq = self.acknowledged = 0
        self.kept = []  # inputs that are not acknowledged
        self.ticks = self.gaps = self.snapshots = self.catch_ups = self.priors = self.resets = self.pongs = 0
        self.connections = self.attempts = self.resumes = self.sent_again = 0
        self.shown = position((0, 0), 0)
        self.trouble = []

    def connect(self, url=None):
        """The next connection: joins, or resumes what was lost."""
        url = url or self.urls[self.connections % len(self.urls)]
        self.connections += 1
        join = self.join
        if self.match is not None:
            self.resuming = True
            join = {"Spectate": self.match}
            if self.player is not None:
                self.attempts += 1
                join = {"Resume": {"match_id": self.match, "player": self.player, "token": self.token,
                                   "shown": self.shown, "attempt": self.attempts}}
        self.socket = WebSocket(url, f"tickcast.v{PROTOCOL}", WELCOME_SECONDS_MAX)
        self.welcomed, self.heard = False, time.monotonic()
        self.say({"Hello": {"protocol": PROTOCOL, "name": self.name, "join": join,
                            "ticket": "" if "Resume" in join else self.ticket}})

    def say(self, message):
        self.socket.send(client_frame(message))

    def run(self, seconds, drop_after):
        """Plays for a while, counted from the first welcome."""
        self.connect()
        deadline = time.monotonic() + WELCOME_SECONDS_MAX
        drop_at = None
        next_ping = 0.0
        while time.monotonic() < deadline:
            was_out = self.match is None
            try:
                frame = self.socket.receive(min(deadline - time.monotonic(), 0.2))
                if frame is not None:
                    self.heard = time.monotonic()
                    self.handle_frame(frame)
                elif time.monotonic() > self.heard + SILENCE_SECONDS_MAX:
                    raise Closed(1006, "nothing heard, not even a pong")
                if self.welcomed and time.monotonic() >= next_ping:
                    next_ping = time.monotonic() + 1
                    self.say({"Ping": {"nonce": self.random.randrange(1 << 32)}})
                self.move_if_asked()
                if drop_at is not None and time.monotonic() >= drop_at:
                    drop_at = None
                    self.socket.drop()
            except (Closed, OSError) as lost:
                self.come_back(lost, deadline)
            if was_out and self.match is not None:
                deadline = time.monotonic() + seconds
                drop_at = time.monotonic() + drop_after if drop_after is not None else None
        if self.replica is None or self.replica.waiting:
            self.trouble.append("without the state at the end")
        self.say("Leave")
        self.socket.close()

    def come_back(self, lost, deadline):
        """Tries again and again, ever more slowly; raises the loss when there is no way back."""
        if self.match is None or not may_come_back(getattr(lost, "code", 1006)):
            raise lost
        give_up = min(time.monotonic() + RESUME_SECONDS_MAX, deadline)
        wait = WAIT_SECONDS_FIRST
        while True:
            pause = wait * self.random.uniform(0.2, 1)
            if time.monotonic() + pause > give_up:
                raise lost
            # An event that nobody sets.
            threading.Event().wait(pause)
            wait = min(2 * wait, WAIT_SECONDS_MAX)
            try:
                self.connect()
                return
            except (Closed, OSError):
                pass

    def move_if_asked(self):
        """After a Reconnect: the next connection is opened before the old one goes."""
        if self.move_at is None or time.monotonic() < self.move_at:
            return
        old, url = self.socket, self.move_to
        self.move_at = self.move_to = None
        self.connect(url)
        old.close()

    def handle_frame(self, frame):
        if frame[:1] == b"\x02":
            self.handle_message(decode_whole(SERVER_MESSAGE, frame[1:]))
        elif not self.welcomed:
            raise Broken("state before the welcome")
        else:
            self.handle_state(frame)

    def handle_message(self, message):
        name, told = (message, {}) if isinstance(message, str) else next(iter(message.items()))
        if name == "Welcome":
            self.handle_welcome(told)
        elif name == "Pong":
            self.pongs += 1
        elif name == "Reset":
            self.resets += 1
            self.replica.waiting = True
            self.acknowledged = 0
        elif name == "Ended":
            self.trouble.append("the match ended")
        elif name == "Reconnect":
            self.move_at = time.monotonic() + self.random.uniform(0, told["within_ms"] / 1000)
            self.move_to = told["url"] or None

    def handle_welcome(self, told):
        if self.welcomed:
            raise Broken("a second welcome")
        if told["protocol"] != PROTOCOL:
            raise Broken(f"protocol {told['protocol']}")
        player = told["role"]["Player"] if isinstance(told["role"], dict) else None
        if self.match is not None and (told["match_id"], player) != (self.match, self.player):
            raise Broken(f"resumed as player {player} of {told['match_id']}")
        self.match, self.player, self.token = told["match_id"], player, told["resume"]
        verified, desyncs = (self.replica.hashes_verified, self.replica.desyncs) if self.replica else (0, 0)
        self.replica = Replica(Schema(told["schema"]))
        self.replica.hashes_verified, self.replica.desyncs = verified, desyncs
        self.welcomed = True

    def handle_state(self, frame):
        """Section 8. A new tick is answered with an input."""
        was_waiting, before, owner = self.replica.waiting, self.replica.tick, self.replica.fence
        outcome = self.replica.apply(frame)
        is_snapshot = frame[:1] in (b"\x20", b"\x51")
        if outcome == "gap" and (is_snapshot or not was_waiting):
            self.gaps += 1
            self.trouble.append(f"gap: {self.replica.why}")
            self.say("NeedSnapshot")
        self.priors += frame[:1] == b"\x22" and outcome == "nothing"
        if outcome == "gap":
            return
        self.shown = position(self.replica.fence, self.replica.tick)
        again = self.resuming or (self.replica.fence != owner and owner != (0, 0))
        if outcome != "advanced":
            if again and not self.replica.waiting:
                self.send_again()
            return
        if is_snapshot:
            self.snapshots += 1
        else:
            self.catch_ups += frame[0] in (0x30, 0x31, 0x52)
            self.ticks += self.replica.tick - before
        self.read_acknowledgement()
        if again:
            self.resumes += self.resuming
            self.resuming = False
            self.send_again()
        acts = self.entity is not None or self.seq > 0
        if self.player is not None and acts and self.seq - self.acknowledged < SEQ_AHEAD_MAX:
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
        self.kept = [each for each in self.kept if each["seq"] > acknowledged]

    def send_input(self):
        self.seq += 1
        values = [self.random.randint(low, high) for _, low, high in self.replica.world.schema.input]
        # Whoever acts on the state itself, and not on an interpolated picture, is nothing behind.
        made = {"seq": self.seq, "seen": self.replica.tick, "behind": 0, "values": values}
        self.kept = [*self.kept, made][-SEQ_AHEAD_MAX:]
        self.say({"Input": self.kept[-1]})

    def send_again(self):
        """Section 2.3: as they were, in order, before any new one."""
        for each in self.kept:
            self.say({"Input": each})
        self.sent_again += len(self.kept)

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
            "connections": self.connections,
            "resumes": self.resumes,
            "sent_again": self.sent_again,
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
    client = Client(arguments.url, arguments.name, join, arguments.ticket)
    try:
        client.run(arguments.seconds, arguments.drop_after)
    except (Broken, Closed, OSError) as error:
        client.trouble.append(f"{type(error).__name__}: {error}")
    print(json.dumps(client.report()))
    return 0 if client.all_is_well(arguments.spectate) else 1


def main():
    parser = argparse.ArgumentParser(description="A client of tickcast, written from docs/wire.md alone.")
    parser.add_argument("url", nargs="*", help="for example ws://127.0.0.1:7777/ws; of several the next after a loss")
    parser.add_argument("--seconds", type=float, default=5, help="how long to play")
    parser.add_argument("--drop-after", type=float, metavar="SECONDS", help="cut the connection once, after so long")
    parser.add_argument("--match", help="id of the match; without it, quick play")
    parser.add_argument("--spectate", action="store_true", help="only watch the match (needs --match)")
    parser.add_argument("--game", default="", help="game of a quick play; the server's default game without it")
    parser.add_argument("--name", default="stranger", help="the player's name")
    parser.add_argument("--ticket", default="", help="what the game's backend gave to show (section 14)")
    parser.add_argument("--golden", type=Path, metavar="DIR", help="check the golden files instead")
    arguments = parser.parse_args()
    if arguments.golden:
        sys.exit(golden.check(arguments.golden))
    if not arguments.url or (arguments.spectate and not arguments.match):
        parser.error("give a URL (and --match with --spectate), or --golden DIR")
    sys.exit(play(arguments))


if __name__ == "__main__":
    main()
