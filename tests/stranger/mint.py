#!/usr/bin/env python3
"""Makes a ticket as a game's backend does, from docs/wire.md, section 14, alone: nothing but Python's own library.

    TICKCAST_TICKET_KEY=... mint.py account-42 --match duel-7Qx
"""

import argparse
import base64
import hashlib
import hmac
import os
import secrets
import time


def mint(key, ticket_id, audience, subject, watches, match, game, name, not_before_ms, expires_ms):
    def text(value):
        return bytes([len(value.encode())]) + value.encode()

    def number(value):
        return b"\xfd" + value.to_bytes(8, "little")

    body = b"\x01" + ticket_id + text(audience) + text(subject) + bytes([watches])
    body += b"\x00" + text(match) if match else b"\x01" + text(game)
    body += text(name) + number(not_before_ms) + number(expires_ms)
    signed = body + hmac.new(key.encode(), body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def main():
    parser = argparse.ArgumentParser(description="Makes a ticket, written from docs/wire.md alone.")
    parser.add_argument("subject")
    parser.add_argument("--match", default="")
    parser.add_argument("--game", default="arena")
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--name", default="")
    parser.add_argument("--audience", default="tickcast")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--worked-example", action="store_true", help="the id and the times of the document")
    told = parser.parse_args()
    key = os.environ["TICKCAST_TICKET_KEY"]
    ticket_id, now_ms = secrets.token_bytes(16), int(time.time() * 1000)
    if told.worked_example:
        ticket_id, now_ms = bytes(range(16)), 1_800_000_000_000
    print(mint(key, ticket_id, told.audience, told.subject, told.watch, told.match, told.game, told.name, now_ms,
               now_ms + 1000 * told.seconds))


if __name__ == "__main__":
    main()
