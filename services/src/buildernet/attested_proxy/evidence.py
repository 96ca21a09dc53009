# SPDX-License-Identifier: MIT
"""What the proxy asks of evidence: someone who issues it, someone who validates it.

The issuer has a queue of its own (`attestation.issue.QuoteQueue`). Validating computes, and may
fetch collateral, so `Workers` runs it in threads, with a bound on how many may wait.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from buildernet.attestation.policy import Platform
from buildernet.attestation.registers import Digest, Register
from buildernet.attested_proxy.errors import BusyError

REPORT_DATA_BYTES: Final = 64

MAX_EVIDENCE_BYTES: Final = 96 * 1024
"""A padded quote has 8 KB, Azure's document with its event log about 60 KB; OpenSSL stops taking
certificates at 100 KiB."""

MAX_WAITING: Final = 256
"""At 2 ms a verification the last of them waits half a second."""

_THREADS: Final = 4
"""One that waits for collateral from the network does not hold up the others."""

_T = TypeVar("_T")


class AttestationType(StrEnum):
    """Types of evidence, in the spelling of flags, measurement files and protocol B."""

    NONE = "none"
    DCAP_TDX = "dcap-tdx"
    GCP_TDX = "gcp-tdx"
    QEMU_TDX = "qemu-tdx"
    AZURE_TDX = "azure-tdx"

    @property
    def platform(self) -> Platform | None:
        """Which registers such evidence holds; None for no evidence."""
        if self is AttestationType.NONE:
            return None
        if self is AttestationType.AZURE_TDX:
            return Platform.AZURE_TDX
        return Platform.DCAP_TDX


class Claims(Protocol):
    """What validated evidence proves."""

    @property
    def registers(self) -> Mapping[Register, Digest]:
        """Authentic registers: MRTD and RTMRs, or PCRs on Azure."""

    @property
    def record(self) -> str | None:
        """Name of the published measurement that fits; None when the caller compares."""


class Issuer(Protocol):
    """Makes evidence about this machine."""

    @property
    def attestation_type(self) -> AttestationType:
        """The type of evidence it makes."""

    async def issue(self, report_data: bytes) -> bytes:
        """Return evidence of protocol B bound to 64 bytes; waits for its turn.

        Raises:
            BuildernetError: The machine gives none.
        """

    async def issue_document(self, user_data: bytes, extra_data: bytes) -> bytes:
        """Return the document of protocol A; waits for its turn.

        Args:
            user_data: 32 bytes: hash of the certificate's key.
            extra_data: 32 bytes that the evidence is bound to: hash of user data and nonce.

        Raises:
            BuildernetError: The machine gives none.
        """


class Validator(Protocol):
    """Verifies evidence about another machine."""

    def validate(self, kind: AttestationType, evidence: bytes, report_data: bytes) -> Claims:
        """Return what evidence of protocol B proves.

        Args:
            kind: The type the peer names.
            evidence: As the issuer of that type makes it.
            report_data: 64 bytes that it must be bound to.

        Raises:
            BuildernetError: It proves nothing, or not what is demanded.
        """

    def validate_document(
        self, kind: AttestationType, document: bytes, *, user_data: bytes, extra_data: bytes
    ) -> Claims:
        """Return what a document of protocol A proves.

        Args:
            kind: The type of the extension it came in.
            document: As the issuer of that type makes it.
            user_data: 32 bytes it must name.
            extra_data: 32 bytes that it must be bound to.

        Raises:
            BuildernetError: It proves nothing, or not what is demanded.
        """


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, as far as it is proved."""

    attestation_type: str | None = None
    """As the headers name it; None when the protocol offers no evidence at all."""
    registers: Mapping[Register, Digest] | None = None
    record: str | None = None
    address: str = ""


class Workers:
    """Threads for blocking evidence work, with a bounded queue."""

    def __init__(self, name: str, *, max_waiting: int = MAX_WAITING) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
        self._max_waiting = max_waiting
        self.waiting = 0

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run work in a thread.

        Raises:
            BusyError: The queue is full.
        """
        if self.waiting >= self._max_waiting:
            raise BusyError(f"{self.waiting} connections wait for evidence already")
        self.waiting += 1
        future = self._pool.submit(work)
        # Counted until the thread is done: a cancelled connection does not stop its quote.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop what has not begun; does not wait for what has."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self) -> None:
        self.waiting -= 1
