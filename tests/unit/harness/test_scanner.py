# SPDX-License-Identifier: MIT
"""The port scan against a guest that is a thread: it asks who we are and accepts on some ports."""

import socket
import struct
import threading

import pytest

from tests.harness.deadline import Deadline
from tests.harness.errors import DeadlineError, HarnessError
from tests.harness.scanner import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    GUEST_ADDRESS,
    GUEST_MAC,
    OUR_ADDRESS,
    OUR_MAC,
    SYN,
    SYN_ACK,
    Neighbour,
)

ARP_REQUEST = struct.pack(">HHBBH", 1, ETHERTYPE_IPV4, 6, 4, 1)
ANNOUNCEMENT = b"\xff" * 6 + GUEST_MAC + ETHERTYPE_ARP.to_bytes(2, "big") + ARP_REQUEST


class Guest(threading.Thread):
    """Answers SYNs to its open ports; checks that what reaches it is well formed."""

    def __init__(self, connection: socket.socket, open_ports: set[int]) -> None:
        super().__init__(daemon=True)
        self._file = connection.makefile("rwb")
        self._open_ports = open_ports
        self.knows_us = False
        self.bad_checksums = 0

    def run(self) -> None:
        self._send(ANNOUNCEMENT + GUEST_MAC + GUEST_ADDRESS + bytes(6) + OUR_ADDRESS)
        while header := self._file.read(4):
            frame = self._file.read(int.from_bytes(header, "big"))
            if frame[12:14] == ETHERTYPE_ARP.to_bytes(2, "big"):
                self.knows_us = frame[22:32] == OUR_MAC + OUR_ADDRESS
                continue
            self.bad_checksums += not sums_up(frame)
            source, port = struct.unpack_from(">HH", frame, 34)
            if frame[47] == SYN and port in self._open_ports:
                self._send(syn_ack(port, source))

    def _send(self, frame: bytes) -> None:
        self._file.write(len(frame).to_bytes(4, "big") + frame)
        self._file.flush()


def syn_ack(source: int, destination: int) -> bytes:
    ethernet = OUR_MAC + GUEST_MAC + ETHERTYPE_IPV4.to_bytes(2, "big")
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + GUEST_ADDRESS + OUR_ADDRESS
    tcp = struct.pack(">HHIIBBHHH", source, destination, 9, 2, 0x50, SYN_ACK, 0, 0, 0)
    return ethernet + ip + tcp


def sums_up(frame: bytes) -> bool:
    """Both Internet checksums of a TCP segment without options are right."""
    ip, tcp = frame[14:34], frame[34:]
    pseudo = ip[12:20] + struct.pack(">HH", 6, len(tcp))
    return all(
        sum(struct.unpack(f">{len(data) // 2}H", data)) % 0xFFFF == 0 for data in (ip, pseudo + tcp)
    )


@pytest.fixture
def network():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_exactly_the_open_ports_are_found(network):
    guest = Guest(network[1], {22, 512, 513, 3535, 65535})
    guest.start()
    found = Neighbour(network[0]).scan([*range(1, 1500), 65535], 3535, Deadline.after(60))
    assert found == {22, 512, 513, 65535}
    assert guest.knows_us
    assert guest.bad_checksums == 0


def test_a_guest_that_does_not_answer_is_an_error_not_a_closed_guest(network):
    Guest(network[1], {22}).start()
    with pytest.raises(DeadlineError):
        Neighbour(network[0]).scan([22], 3535, Deadline.after(0.2))


def test_a_vanished_network_is_an_error(network):
    network[1].shutdown(socket.SHUT_WR)
    with pytest.raises(HarnessError, match="closed"):
        Neighbour(network[0]).scan([22], 3535, Deadline.after(5))
