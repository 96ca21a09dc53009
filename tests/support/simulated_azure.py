# SPDX-License-Identifier: MIT
"""A whole Azure machine, SIMULATED: swtpm, a paravisor that renews its report, a quoting host.

Its TDX quotes are under the simulated TEE's chain, its attestation key under a root of its own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tpm2_pytss import ESYS_TR  # type: ignore[import-untyped]  # has no type information

from buildernet.attestation.azure.links import td_fields
from buildernet.attestation.issue.azure import (
    AK_CERTIFICATE_INDEX,
    AK_HANDLE,
    HCL_REPORT_INDEX,
    QUOTE_URL,
    USER_DATA_INDEX,
    AzureQuotes,
)
from buildernet.attestation.issue.tpm import TPM, KeyKind
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import Bank
from tests.support.minted_chain import Domain
from tests.support.simulated_tee.chain import load_chain
from tests.support.swtpm import SwtpmTCTI, software_tpm
from tests.support.tpm_quotes import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHAIN = load_chain()
ROOT_KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = make_certificate("SIMULATED vTPM root", ROOT_KEY)
"""Valid around `AT`, as everything this machine makes."""


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def integer(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


class SimulatedAzure:
    """swtpm with Azure's indexes; `sleep` is when the paravisor works, `post` is the host."""

    def __init__(self, tcti: SwtpmTCTI) -> None:
        self.tcti = tcti
        self.asked = 0
        """Quotes that the host was asked for."""
        with TPM(tcti) as tpm:
            key = tpm.create_attestation_key(KeyKind.RSA)
            tpm._esapi.evict_control(ESYS_TR.OWNER, key.handle, AK_HANDLE)
        assert isinstance(key.public, rsa.RSAPublicKey)
        self.key = key.public
        certificate = make_certificate(
            "ak", ROOT_KEY, (ROOT, ROOT_KEY), authority=False, public=self.key
        )
        tcti.nv[AK_CERTIFICATE_INDEX] = certificate.public_bytes(Encoding.DER).ljust(4096, b"\0")
        self.renew(bytes(64))

    def renew(self, user_data: bytes) -> None:
        numbers = self.key.public_numbers()
        key = {"kid": "HCLAkPub", "key_ops": ["sign"], "kty": "RSA"}
        claims = json.dumps(
            {
                "keys": [{**key, "e": integer(numbers.e), "n": integer(numbers.n)}],
                "vm-configuration": {"secure-boot": False, "vmUniqueId": "SIMULATED"},
                "user-data": user_data.hex(),
            }
        ).encode()
        digest = Bank.SHA256.digest(claims)
        self.quote = CHAIN.quote(replace(Domain(), report_data=digest.ljust(64, b"\0")))
        td_report = bytearray(1024)
        for _, place, value in td_fields(parse_quote(self.quote).body):
            td_report[place] = value
        report = struct.pack("<4sIIII12x", b"HCLA", 2, 0, 2, 0) + bytes(td_report).ljust(
            1184, b"\0"
        )
        report += struct.pack("<IIIII", len(claims) + 20, 1, 4, 1, len(claims)) + claims
        self.tcti.nv[HCL_REPORT_INDEX] = report.ljust(2600, b"\0")

    def sleep(self, _seconds: float) -> None:
        with TPM(self.tcti) as tpm:
            self.renew(tpm.read_nv(USER_DATA_INDEX))

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
        self.asked += 1
        report = json.loads(body)["report"]
        assert (url, headers["Metadata"], limit > len(self.quote)) == (QUOTE_URL, "true", True)
        assert report == base64url(self.tcti.nv[HCL_REPORT_INDEX][32:1056])
        return json.dumps({"quote": base64url(self.quote)}).encode()

    def quotes(self) -> AzureQuotes:
        return AzureQuotes(
            lambda: TPM(self.tcti), self.post, sleep=self.sleep, event_log=Path(os.devnull)
        )


@contextlib.contextmanager
def simulated_azure(folder: Path) -> Iterator[SimulatedAzure]:
    """Run the machine.

    Args:
        folder: empty; gets the TPM's state.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSS2_LOG", "all+none")  # libtss2 reports expected refusals on stderr
        with software_tpm(folder) as tcti:
            yield SimulatedAzure(tcti)
