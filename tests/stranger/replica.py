"""State frames and how to follow them, from docs/wire.md, sections 3 and 8."""

from payloads import CatchUp, Diff, Prior, Snapshot
from segments import Segments, parse_sections
from state import World
from wire import Broken, Reader

STEPS_KNOWN_MAX = 2


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
    if first & 0xF2 == 0x10 or first & 0xF3 == 0x13:
        told = {"frame": "DIFF", "tag": reader.fixed(1), "tick_low": reader.fixed(2), "prior_low": first >> 2 & 3}
        told["after_quiet"] = first & 2 != 0
        told["hash"] = reader.fixed(4) if first & 1 else None
    elif first in (0x20, 0x21):
        told = {"frame": "SNAPSHOT" if first == 0x20 else "OWNER"}
        told.update(epoch=reader.fixed(8), nonce=reader.fixed(8), tick=reader.fixed(8))
        if first == 0x21:
            reader.finish()
            return told
        told["hash"] = reader.fixed(4)
        told["prior"] = reader.take(reader.fixed(4))
    elif first == 0x22:
        told = {"frame": "PRIOR", "tag": reader.fixed(1), "tick_low": reader.fixed(2)}
    elif first in (0x30, 0x31):
        told = {"frame": "CATCHUP", "tag": reader.fixed(1), "tick_low": reader.fixed(2), "span": reader.fixed(1)}
        told["hash"] = reader.fixed(4) if first & 1 else None
        if told["span"] == 0:
            raise Broken("a catch-up over no tick")
    else:
        return parse_segmented(first, reader)
    told["payload"] = frame[reader.at :]
    return told


def parse_segmented(first, reader):
    """3.1: frames of matches in segments."""
    if first & 0xF3 == 0x50:
        told = {"frame": "SEGMENTS", "tag": reader.fixed(1), "tick_low": reader.fixed(2), "prior_low": first >> 2 & 3}
    elif first == 0x51:
        told = {"frame": "VIEW", "epoch": reader.fixed(8), "nonce": reader.fixed(8), "tick": reader.fixed(8)}
        told["prior"] = reader.take(reader.fixed(4))
    elif first == 0x52:
        told = {"frame": "LEAP", "tag": reader.fixed(1), "tick_low": reader.fixed(2), "span": reader.fixed(1)}
        if told["span"] == 0:
            raise Broken("a leap over no tick")
    else:
        raise Broken(f"unknown frame kind {first:#x}")
    return {**told, "sections": parse_sections(reader)}


class Replica:
    """Follows a match. `apply` answers "advanced", "nothing" or "gap"; `why` explains the last gap."""

    def __init__(self, schema):
        self.world, self.prior = World(schema), Prior(schema)
        self.segments = None  # of a match in segments, what is known of it
        self.fence, self.tick = (0, 0), 0
        self.steps_known = STEPS_KNOWN_MAX
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

    def out_of_order(self, told, span):
        """What becomes of a frame that does not lead on from here over `span` ticks; None if it does."""
        if self.waiting:
            return self.gap("waiting for a snapshot")
        if told["tag"] != tag(*self.fence):
            return self.gap(f"another owner's frame after tick {self.tick}")
        ahead = (told["tick_low"] - self.tick) % 65536
        if ahead == span:
            return None
        if ahead == 0 or ahead >= 32768:
            return "nothing"
        return self.gap(f"a frame that leads to {ahead} ticks after {self.tick}")

    def refuse_other_kind(self, in_segments):
        """3.1: a match is in segments, or it is not."""
        if not self.waiting and (self.segments is not None) != in_segments:
            raise Broken("a frame for the other kind of match")

    def apply_diff(self, told):
        self.refuse_other_kind(in_segments=False)
        ahead = (told["tick_low"] - self.tick) % 65536
        span = ahead if told["after_quiet"] and 0 < ahead < 32768 else 1
        outcome = self.out_of_order(told, span)
        if outcome is not None:
            return outcome
        if self.steps_known < STEPS_KNOWN_MAX:
            return self.gap(f"a diff, but {self.steps_known} steps are known")
        if told["prior_low"] != self.prior.number & 3:
            return self.gap(f"a diff with another prior than {self.prior.number}")
        self.world = Diff(self.world, self.prior, told["payload"]).world
        self.tick += span
        return self.verify(told["hash"])

    def apply_prior(self, told):
        outcome = self.out_of_order(told, 0)
        if outcome is not None:
            return outcome
        self.prior = Prior(self.world.schema, told["payload"])
        return "nothing"

    def apply_catchup(self, told):
        self.refuse_other_kind(in_segments=False)
        span = told["span"]
        outcome = self.out_of_order(told, span)
        if outcome is not None:
            return outcome
        self.world = CatchUp(self.world, span, self.steps_known, told["payload"]).world
        self.tick += span
        self.steps_known = min(self.steps_known + 1, STEPS_KNOWN_MAX) if span == 1 else 0
        return self.verify(told["hash"])

    def apply_snapshot(self, told):
        fence = (told["epoch"], told["nonce"])
        teaches = told["tick"] == self.tick and self.steps_known < STEPS_KNOWN_MAX
        if not self.waiting and fence == self.fence and told["tick"] <= self.tick and not teaches:
            return "nothing"
        prior = Prior(self.world.schema, told["prior"])
        self.world, self.prior = Snapshot(self.world.schema, told["payload"]).world, prior
        self.fence, self.tick, self.segments = fence, told["tick"], None
        self.steps_known, self.waiting = STEPS_KNOWN_MAX, False
        return self.verify(told["hash"])

    def apply_segments(self, told):
        self.refuse_other_kind(in_segments=True)
        outcome = self.out_of_order(told, 1)
        if outcome is not None:
            return outcome
        if told["prior_low"] != self.prior.number & 3:
            return self.gap(f"sections with another prior than {self.prior.number}")
        return self.take(self.segments.changed(told["sections"], self.prior), self.tick + 1)

    def apply_leap(self, told):
        self.refuse_other_kind(in_segments=True)
        outcome = self.out_of_order(told, told["span"])
        if outcome is not None:
            return outcome
        return self.take(self.segments.changed(told["sections"]), self.tick + told["span"])

    def apply_view(self, told):
        fence = (told["epoch"], told["nonce"])
        if not self.waiting and fence == self.fence and told["tick"] <= self.tick:
            return "nothing"
        prior = Prior(self.world.schema, told["prior"])
        segments = Segments(self.world.schema).changed(told["sections"])
        self.prior, self.fence = prior, fence
        self.steps_known, self.waiting = STEPS_KNOWN_MAX, False
        return self.take(segments, told["tick"])

    def take(self, segments, tick):
        """The state is that of all segments together."""
        self.world, self.segments, self.tick = segments.together(), segments, tick
        self.hashes_verified += segments.verified
        return "advanced"

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
