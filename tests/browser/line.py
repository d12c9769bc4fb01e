"""The line between a browser and the server, as bad as a test wants it: slow towards the reader, or dead without being closed."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PIECE = 2048
"""Bytes taken in at once: little, so that a slow line does not hold much that the server believes to be sent."""


@dataclass
class _Way:
    """One direction of one connection. source and target: sockets; slow: towards the reader."""

    source: socket.socket
    target: socket.socket
    slow: bool
    held: bytes = b""
    ready: float = 0.0


@dataclass
class Line:
    """A TCP proxy in front of `server` ("http://127.0.0.1:8501"); `address` is where a browser connects.

    rate: bytes a second to all readers together, None for as fast as the machine; may be set at any time.  freeze(): nothing goes through any
    more, either way, and nothing is closed, until `thaw()`; what is closed meanwhile is told then.  passed: bytes that went to the readers.
    """

    server: str
    rate: float | None = None
    passed: int = 0
    _frozen: bool = False
    _stop: bool = False
    _turn: threading.Condition = field(default_factory=threading.Condition)
    """Held while anything is carried."""
    _ways: list[_Way] = field(default_factory=list)

    def __enter__(self) -> Line:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self._free_at = 0.0
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        with self._turn:
            self._stop = True
            self._turn.notify_all()
        self._thread.join()
        for way in self._ways:
            way.source.close()
        self._listening.close()

    def freeze(self) -> None:
        with self._turn:
            self._frozen = True

    def thaw(self) -> None:
        with self._turn:
            self._frozen = False
            self._turn.notify_all()

    def cut(self) -> None:
        """Close every connection, with all that is on its way; new ones go through again."""
        with self._turn:
            for way in list(self._ways):
                self._close(way)
            self._frozen = False
            self._turn.notify_all()

    def _run(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._stop or not self._frozen)
                if self._stop:
                    return
                self._accept()
                moved = [self._move(way) for way in list(self._ways)]
                if any(moved):
                    continue
                readable = self._readable()
            with readable:
                readable.select(0.005 if any(way.held for way in self._ways) else 0.02)

    def _readable(self) -> selectors.BaseSelector:
        """Waits until something can be read. Ways that still hold a piece are not read."""
        selector = selectors.DefaultSelector()
        selector.register(self._listening, selectors.EVENT_READ)
        for way in self._ways:
            if not way.held:
                selector.register(way.source, selectors.EVENT_READ)
        return selector

    def _accept(self) -> None:
        try:
            reader, _ = self._listening.accept()
        except BlockingIOError:
            return
        where = urlsplit(self.server)
        server = socket.socket()
        server.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE
        )  # before it connects, or the window is agreed already
        server.connect((where.hostname, where.port))
        for end in (reader, server):
            end.setblocking(False)
        self._ways += [_Way(reader, server, slow=False), _Way(server, reader, slow=True)]

    def _move(self, way: _Way) -> bool:
        """Carry one piece as far as it goes now; whether anything moved."""
        if way not in self._ways:
            return False
        try:
            if not way.held:
                way.held = way.source.recv(PIECE)
                if not way.held:
                    self._close(way)
                    return True
            if way.slow and self.rate is not None:
                now = time.monotonic()
                if now < self._free_at:
                    return False
                self._free_at = max(now, self._free_at) + len(way.held) / self.rate
            sent = way.target.send(way.held)
            way.held = way.held[sent:]
            self.passed += sent if way.slow else 0
            return True
        except BlockingIOError:
            return False
        except OSError:
            self._close(way)
            return True

    def _close(self, way: _Way) -> None:
        """One end has gone: so does the other."""
        for end in (way.source, way.target):
            end.close()
        self._ways = [other for other in self._ways if way.source not in (other.source, other.target)]
