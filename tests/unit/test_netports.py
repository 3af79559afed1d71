"""Ports: never the same number twice, in one process or two; and the holder of a taken port has a name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cti.stack import netports

pytestmark = pytest.mark.unit

HOLDER = """
import sys
from cti.stack.netports import free_tcp_port
print(*(free_tcp_port() for _ in range(50)), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def claims_returned() -> Iterator[None]:
    yield
    netports.release(*range(netports.FIRST, netports.LAST))


def test_a_port_is_given_once() -> None:
    ports = [netports.free_tcp_port() for _ in range(200)]
    assert len(set(ports)) == 200
    assert all(netports.FIRST <= port < netports.LAST for port in ports)


def test_two_processes_never_get_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a window of 100 the other process holds 50: we get none of those until it has died."""
    first = 9_600
    window = f"from cti.stack import netports; netports.FIRST, netports.LAST = {first}, {first + 100}\n"
    with subprocess.Popen(
        [sys.executable, "-c", window + HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None
            theirs = {int(port) for port in other.stdout.readline().split()}
            monkeypatch.setattr(netports, "FIRST", first)
            monkeypatch.setattr(netports, "LAST", first + 100)
            ours: set[int] = set()
            with pytest.raises(OSError, match="no 1 free tcp ports"):
                for _ in range(101):
                    ours.add(netports.free_tcp_port())
            assert len(theirs) == 50
            assert not ours & theirs
        finally:
            other.kill()
            other.wait(10)
    assert netports.free_tcp_port() in theirs  # The kernel dropped the dead process's claims.


def test_a_range_is_even_consecutive_and_steps_over_a_taken_port(monkeypatch: pytest.MonkeyPatch) -> None:
    first = 9_720
    monkeypatch.setattr(netports, "FIRST", first)
    monkeypatch.setattr(netports, "LAST", first + 40)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((netports.LOOPBACK, first + 15))
        ports = netports.free_udp_range(20)
    assert len(ports) == 20
    assert ports.start % 2 == 0
    assert first + 15 not in ports


def test_released_ports_may_be_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netports, "FIRST", 9_780)
    monkeypatch.setattr(netports, "LAST", 9_784)
    before = netports.free_udp_range(2)
    assert netports.free_udp_range(2).start != before.start
    netports.release(*before)
    assert netports.free_udp_range(2) == before


@pytest.mark.parametrize("count", [0, 30_000])
def test_an_impossible_range_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match=str(count)):
        netports.free_udp_range(count)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_the_holder_is_named(kind: netports.Kind) -> None:
    port = netports.free_tcp_port()
    assert netports.check_free(port, kind) is None
    with socket.socket(socket.AF_INET, netports._TYPES[kind]) as holder:
        holder.bind((netports.LOOPBACK, port))
        if kind == "tcp":
            holder.listen()
        taken = netports.check_free(port, kind)
        assert taken is not None
        assert taken.pid == os.getpid()
        assert str(taken) == f"port {port}/{kind} is taken by {taken.command} (pid {os.getpid()})"


def test_a_holder_we_may_not_see_is_called_another_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netports, "_sockets_of", lambda pid: set())
    port = netports.free_tcp_port()
    with socket.create_server((netports.LOOPBACK, port)):
        assert str(netports.check_free(port, "tcp")).endswith("another user's process")
