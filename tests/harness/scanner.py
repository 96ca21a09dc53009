# SPDX-License-Identifier: MIT
"""Finds every open TCP port of a guest by sending it Ethernet frames: needs no shell in the guest.

The harness sits on the guest's network beside QEMU's user network, as a neighbour would. Forwarded
ports cannot answer the question, because QEMU accepts for the guest before it asks the guest.

Reference: RFC 826 (ARP), RFC 791 (IPv4), RFC 9293 (TCP); QEMU's `-netdev socket` puts the length
as a 32-bit big-endian number before every frame.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Final

from tests.harness.errors import DeadlineError, HarnessError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from tests.harness.deadline import Deadline

GUEST_MAC: Final = bytes.fromhex("525400123456")
"""QEMU's default for the first network card."""
OUR_MAC: Final = bytes.fromhex("02000000c0de")
GUEST_ADDRESS: Final = ipaddress.IPv4Address("10.0.2.15").packed
"""What QEMU's DHCP server hands to the first client."""
OUR_ADDRESS: Final = ipaddress.IPv4Address("10.0.2.99").packed
BATCH: Final = 512
"""SYNs between two barriers; bounds what is under way."""
PROBE_SOURCE_PORT: Final = 20000
BARRIER_SOURCE_PORT: Final = 40000
"""Plus the number of the batch: Linux answers a repeated SYN only twice a second."""
MAX_FRAME_BYTES: Final = 65535
ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
PROTOCOL_TCP: Final = 6
SYN: Final = 0x02
RST: Final = 0x04
SYN_ACK: Final = 0x12


class Neighbour:
    """A host on the guest's network, in the test."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def scan(self, ports: Iterable[int], open_port: int, deadline: Deadline) -> set[int]:
        """The ports of `ports` on which the guest accepts connections.

        Frames are neither lost nor reordered on the way, so when the SYN to a port that is known to
        be open has been answered, every SYN before it has been looked at.

        Args:
            ports: TCP ports to try.
            open_port: One that certainly answers; without it nothing could be told from silence.
            deadline: For the whole scan.

        Raises:
            DeadlineError: `open_port` did not answer.
        """
        found: set[int] = set()
        wanted = list(ports)
        for number, start in enumerate(range(0, len(wanted), BATCH)):
            barrier = BARRIER_SOURCE_PORT + number
            for port in wanted[start : start + BATCH]:
                self._send(_tcp(PROBE_SOURCE_PORT, port, SYN))
            self._send(_tcp(barrier, open_port, SYN))
            while True:
                source, destination = self._receive_syn_ack(deadline)
                self._send(_tcp(destination, source, RST))  # frees the guest's queue
                if destination == barrier:
                    break
                if destination == PROBE_SOURCE_PORT:
                    found.add(source)
        return found

    def _receive_syn_ack(self, deadline: Deadline) -> tuple[int, int]:
        """Source and destination port of the next SYN-ACK; answers ARP meanwhile."""
        while True:
            frame = self._receive(deadline)
            kind = int.from_bytes(frame[12:14], "big")
            if kind == ETHERTYPE_ARP and frame[20:22] == b"\0\1" and frame[38:42] == OUR_ADDRESS:
                self._send(_arp_reply(frame))
            elif kind == ETHERTYPE_IPV4 and _is_tcp_to_us(frame):
                header = 14 + (frame[14] & 0xF) * 4
                source, destination = struct.unpack_from(">HH", frame, header)
                if frame[header + 13] & SYN_ACK == SYN_ACK:
                    return source, destination

    def _send(self, frame: bytes) -> None:
        self._connection.settimeout(None)
        self._connection.sendall(struct.pack(">I", len(frame)) + frame)

    def _receive(self, deadline: Deadline) -> bytes:
        size = int.from_bytes(self._take(4, deadline), "big")
        if size > MAX_FRAME_BYTES:
            raise HarnessError(f"QEMU sent a frame of {size} bytes")
        return self._take(size, deadline).ljust(60, b"\0")

    def _take(self, count: int, deadline: Deadline) -> bytes:
        while len(self._buffer) < count:
            self._connection.settimeout(deadline.require("an answer of the guest to a SYN"))
            try:
                chunk = self._connection.recv(65536)
            except TimeoutError as exc:
                raise DeadlineError("the guest did not answer a SYN in time") from exc
            if not chunk:
                raise HarnessError("QEMU closed the guest's network")
            self._buffer += chunk
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def _is_tcp_to_us(frame: bytes) -> bool:
    return (
        frame[23] == PROTOCOL_TCP
        and frame[26:30] == GUEST_ADDRESS
        and frame[30:34] == OUR_ADDRESS
        and len(frame) >= 14 + (frame[14] & 0xF) * 4 + 14
    )


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _tcp(source: int, destination: int, flags: int) -> bytes:
    sequence = 1 if flags == SYN else 2

    def header(checksum: int) -> bytes:
        fields = (source, destination, sequence, 0, 5 << 4, flags, 1024, checksum, 0)
        return struct.pack(">HHIIBBHHH", *fields)

    pseudo = OUR_ADDRESS + GUEST_ADDRESS + struct.pack(">BBH", 0, PROTOCOL_TCP, len(header(0)))
    segment = header(_checksum(pseudo + header(0)))
    return _ethernet(ETHERTYPE_IPV4) + _ipv4(len(segment)) + segment


def _ipv4(payload_size: int) -> bytes:
    def header(checksum: int) -> bytes:
        fields = (0x45, 0, 20 + payload_size, 1, 0, 64, PROTOCOL_TCP, checksum)
        return struct.pack(">BBHHHBBH", *fields) + OUR_ADDRESS + GUEST_ADDRESS

    return header(_checksum(header(0)))


def _arp_reply(request: bytes) -> bytes:
    asker = request[22:32]
    body = struct.pack(">HHBBH", 1, ETHERTYPE_IPV4, 6, 4, 2) + OUR_MAC + OUR_ADDRESS + asker
    return _ethernet(ETHERTYPE_ARP) + body


def _ethernet(kind: int) -> bytes:
    return GUEST_MAC + OUR_MAC + kind.to_bytes(2, "big")
