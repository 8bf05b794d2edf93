"""The client's half of a WebSocket (RFC 6455), as much as docs/wire.md section 2.1 needs."""

import base64
import hashlib
import os
import socket
import struct
from urllib.parse import urlsplit

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MESSAGE_BYTES_MAX = 16 * 1024 * 1024


class Closed(Exception):
    """The connection ended; 1006 stands for an end without a close."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with {code} {reason}".strip())
        self.code, self.reason = code, reason


class WebSocket:
    def __init__(self, url, subprotocol, timeout):
        parts = urlsplit(url)
        if parts.scheme != "ws":
            raise ValueError(f"not a ws:// URL: {url}")
        host, port = parts.hostname, parts.port or 80
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.handshake(f"{host}:{port}", parts.path or "/", subprotocol)

    def handshake(self, host, path, subprotocol):
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Protocol: {subprotocol}", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, rest = bytes(self.buffer).split(b"\r\n\r\n", 1)
        self.buffer = bytearray(rest)
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if status.split(" ")[1:2] != ["101"]:
            raise Closed(1006, f"no upgrade: {status}")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if headers.get("sec-websocket-accept") != accept:
            raise Closed(1006, "a false Sec-WebSocket-Accept")
        if headers.get("sec-websocket-protocol") != subprotocol:
            raise Closed(1006, f"the server does not speak {subprotocol}")

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed(1006, "the connection broke")
        self.buffer += data

    def whole_frame(self):
        """The first frame in the buffer as (final, opcode, payload); None while it is not complete."""
        if len(self.buffer) < 2:
            return None
        final, opcode = bool(self.buffer[0] & 0x80), self.buffer[0] & 0x0F
        masked, length = self.buffer[1] & 0x80, self.buffer[1] & 0x7F
        if self.buffer[0] & 0x70 or masked:
            raise Closed(1002, "a frame with an extension or a mask")
        size = {126: 2, 127: 8}.get(length, 0)
        if len(self.buffer) < 2 + size:
            return None
        if size:
            length = int.from_bytes(self.buffer[2 : 2 + size], "big")
        if length > MESSAGE_BYTES_MAX:
            raise Closed(1009, f"a frame of {length} bytes")
        end = 2 + size + length
        if len(self.buffer) < end:
            return None
        payload = bytes(self.buffer[2 + size : end])
        del self.buffer[:end]
        return final, opcode, payload

    def receive(self, timeout):
        """The next binary message; None when none came in time. Answers pings on the way."""
        self.socket.settimeout(max(timeout, 0.001))
        message = None
        while True:
            frame = self.whole_frame()
            if frame is None:
                try:
                    self.fill()
                except TimeoutError:
                    if message is None:
                        return None
                continue
            final, opcode, payload = frame
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                self.answer_close(payload)
            elif opcode == TEXT:
                raise Closed(1003, "the server sent text")
            elif opcode in (BINARY, CONTINUATION):
                message = payload if opcode == BINARY else (message or b"") + payload
                if final:
                    return message

    def answer_close(self, payload):
        self.send_frame(CLOSE, payload[:2])
        code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
        raise Closed(code, payload[2:].decode("utf-8", "replace"))

    def send(self, message):
        self.send_frame(BINARY, message)

    def send_frame(self, opcode, payload):
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
        else:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self.socket.sendall(head + mask + masked)

    def drop(self):
        """Cuts the connection: both directions end without a close."""
        self.socket.shutdown(socket.SHUT_RDWR)

    def close(self, code=1000):
        try:
            self.send_frame(CLOSE, struct.pack("!H", code))
        except OSError:
            pass
        self.socket.close()
