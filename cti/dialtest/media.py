"""The RTP clock of the process: all phones' packets out on one tick, all in with the kernel's time stamp.

Knows: sockets, two threads, which packet is next on each line. Must not know: SIP, what the sounds mean.

Why two threads beside asyncio. A test that measures gaps of 20 ms must not make them. The *sender* wakes
every 5 ms and serves a quarter of the lines; it calls the C library's ``sendto`` without giving up the
interpreter, because every release would cost a busy process a switch interval (5 ms) a packet. The *receiver*
may be as late as it likes: the kernel stamps each datagram on arrival (SO_TIMESTAMPNS), and the stamps are
moved to the monotonic clock. How late the sender itself was is kept (:meth:`Media.stalled`), so that a gap
can be laid at the right door.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from cti.dialtest import rtp, tones

SLOTS = 4  #: groups of lines served one after the other within 20 ms
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the socket module has no name for it
_TIMESPEC = struct.Struct("@qq")
_LATE_S = 0.005
_C = ctypes.PyDLL(None)  # PyDLL: the call keeps the interpreter lock
_SENDTO = _C.sendto
_SENDTO.argtypes = (
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
)


@dataclass(frozen=True, slots=True)
class _Step:
    """One tick of a digit, ``duration`` samples so far; the last digit's END tells its time to ``done``."""

    digit: str
    duration: int
    end: bool = False
    done: Callable[[float], None] | None = None


class Line:
    """One RTP socket on an even port: what goes out next, and the record of what came in."""

    def __init__(self, sock: socket.socket, voice: bytes) -> None:
        self.sock = sock
        self.port: int = sock.getsockname()[1]
        self.recording = rtp.Recording()
        self.muted = False
        self._voice = voice
        self._to: bytes | None = None
        self._from_port = 0
        self._ssrc = secrets.randbits(32)
        self._seq = first_seq()
        self._stamp = secrets.randbits(31)
        self._start = True  # the next audio packet carries the marker
        self._keys: deque[_Step | None] = deque()  # None: a tick of voice between two digits
        self._key_stamp = 0

    def aim(self, host: str, port: int, events: int | None, *, send: bool) -> None:
        """Send there (if ``send``), and take only what comes from that port."""
        self.recording.events = events
        self._from_port = port
        address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
        self._to = address if send and port else None

    def press(self, digits: str, duration_ms: int, gap_ms: int, done: Callable[[float], None]) -> None:
        """Send digits as events from the next tick on.

        ``done`` gets, in the sender's thread, the time at which the END of the last digit was first sent. ValueError
        for a character that is no digit, or no agreement on telephone-event.
        """
        if self.recording.events is None or not digits or any(digit not in rtp.DIGITS for digit in digits):
            raise ValueError(f"cannot send {len(digits)} digits as events")
        steps = max(2, round(duration_ms / 20))
        script: list[_Step | None] = []
        for index, digit in enumerate(digits, 1):
            script += [_Step(digit, step * rtp.FRAME) for step in range(1, steps)]
            script.append(_Step(digit, steps * rtp.FRAME, True, done if index == len(digits) else None))
            script += [None] * round(gap_ms / 20)
        self._keys.extend(script)

    def next_packets(self, now: float) -> tuple[tuple[bytes, ...], bytes | None]:
        """The packets of this tick and their address. The media clock goes on when nothing is sent."""
        self._stamp = (self._stamp + rtp.FRAME) & 0xFFFFFFFF
        if self._to is None or self.muted:
            self._start = True
            return (), None
        key = self._keys.popleft() if self._keys else None
        if key is None:
            first, self._start = self._start, False
            return (self._packet(self._voice, rtp.PCMA, self._stamp, first),), self._to
        begins = key.duration == rtp.FRAME
        if begins:
            self._key_stamp = self._stamp
        payload = rtp.event(key.digit, key.duration, end=key.end)
        kind = self.recording.events or 0
        # END goes out three times at once, RFC 4733 2.5.1.4.
        sent = tuple(self._packet(payload, kind, self._key_stamp, begins) for _ in range(3 if key.end else 1))
        if key.done is not None:
            key.done(now)
        return sent, self._to

    def _packet(self, payload: bytes, kind: int, stamp: int, marker: bool) -> bytes:
        self._seq = (self._seq + 1) & 0xFFFF
        return rtp.packet(payload, kind=kind, seq=self._seq, stamp=stamp, ssrc=self._ssrc, marker=marker)

    def read(self, offset_ns: int) -> None:
        """Take one waiting datagram; ``offset_ns`` is monotonic minus wall clock."""
        try:
            data, extra, _, source = self.sock.recvmsg(2048, 64)
        except OSError:  # nothing there after all, or an ICMP error of an earlier sending
            return
        now = time.monotonic()
        for level, kind, value in extra:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(value) >= _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack_from(value)
                now = (seconds * 1_000_000_000 + nanoseconds + offset_ns) / 1e9
        if self._from_port in (0, source[1]):
            self.recording.feed(now, data)
        else:
            self.recording.strays += 1


def first_seq() -> int:
    """Where a stream's sequence numbers begin: at random (RFC 3550 §5.1), in the lower half: none wraps early."""
    return secrets.randbits(15)


class Media:
    """All lines of the process: started with the first of its phones, stopped with the last."""

    _shared: ClassVar[Media | None] = None

    def __init__(self) -> None:
        self._users = 0
        self._lines: tuple[tuple[Line, ...], ...] = ((),) * SLOTS
        self._by_fd: dict[int, Line] = {}
        # One lock a thread: a receiver held up by a busy interpreter must not hold up the sender.
        self._out, self._in = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._poll = select.epoll()
        self._late: deque[tuple[float, float]] = deque(maxlen=10_000)
        self._threads = [
            threading.Thread(target=run, name=f"dialtest-{run.__name__.strip('_')}", daemon=True)
            for run in (self._send, self._receive)
        ]

    @classmethod
    def acquire(cls) -> Media:
        if cls._shared is None:
            cls._shared = cls()
            for thread in cls._shared._threads:
                thread.start()
        cls._shared._users += 1
        return cls._shared

    def release(self) -> None:
        """Give it back; the last one waits for the threads, at most some 20 ms."""
        self._users -= 1
        if self._users:
            return
        Media._shared = None
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._poll.close()

    def open(self, host: str, hz: int) -> Line:
        """A new line on an even port (the odd one above it would get RTCP). OSError when there is none."""
        for _ in range(64):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.bind((host, 0))
            if sock.getsockname()[1] % 2 == 0:
                break
            sock.close()
        else:
            raise OSError("no even RTP port in 64 attempts")
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        line = Line(sock, rtp.alaw(tones.samples(hz)))
        with self._out, self._in:
            slot = min(range(SLOTS), key=lambda index: len(self._lines[index]))
            self._set(slot, (*self._lines[slot], line))
            self._by_fd[sock.fileno()] = line
            self._poll.register(sock.fileno(), select.EPOLLIN)
        return line

    def close(self, line: Line) -> None:
        """Nothing is sent or received any more; the recording stays readable. May be repeated."""
        with self._out, self._in:
            if self._by_fd.pop(line.sock.fileno(), None) is None:
                return
            for slot, lines in enumerate(self._lines):
                if line in lines:
                    self._set(slot, tuple(other for other in lines if other is not line))
            self._poll.unregister(line.sock.fileno())
            line.sock.close()

    def lateness(self, t0: float, t1: float) -> float:
        """How late, ms, the sender was at worst between two moments; 0 when never above 5 ms."""
        return max((late * 1000 for t, late in tuple(self._late) if t0 <= t <= t1), default=0.0)

    def stalled(self, t0: float, t1: float) -> float:
        """For how long, ms, the sender owed somebody a packet between two moments: so much of a gap is our own."""
        owed, until = 0.0, t0
        for now, late in tuple(self._late):  # in order: each wake-up pays for the time since its tick
            start, end = max(until, now - late), min(now, t1)
            if end > start:
                owed, until = owed + end - start, end
        return owed * 1000

    def _set(self, slot: int, lines: tuple[Line, ...]) -> None:
        self._lines = (*self._lines[:slot], lines, *self._lines[slot + 1 :])

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # before all others if we may: this is the measuring instrument
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # 0: this thread
        tick, slot = time.monotonic(), 0

        while not self._stop.is_set():
            tick, slot = tick + rtp.PACKET_S / SLOTS, (slot + 1) % SLOTS
            if (wait := tick - time.monotonic()) > 0:
                time.sleep(wait)
            now = time.monotonic()
            if now - tick > _LATE_S:
                self._late.append((now, now - tick))
            with self._out:
                for line in self._lines[slot]:
                    packets, address = line.next_packets(now)
                    for data in packets:
                        _SENDTO(line.sock.fileno(), data, len(data), socket.MSG_DONTWAIT, address, 16)

    def _receive(self) -> None:
        while not self._stop.is_set():
            ready = self._poll.poll(0.02)
            offset = time.monotonic_ns() - time.time_ns()
            with self._in:
                for descriptor, _ in ready:
                    if (line := self._by_fd.get(descriptor)) is not None:
                        line.read(offset)
            time.sleep(0.002)  # one wake-up for many packets: their stamps are the kernel's
