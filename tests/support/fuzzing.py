# SPDX-License-Identifier: MIT
"""Coverage-guided fuzzing of one parser in a process of its own, for libFuzzer ends the process.

`python -m tests.support.fuzzing TARGET FOLDER -max_total_time=60`: FOLDER holds the corpus and is
given the seeds first. Any exception but ours is a crash.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import atheris  # type: ignore[import-untyped] # ships no types

with atheris.instrument_imports(include=["buildernet"]):
    from buildernet.attestation import azure, tpm_quote
    from buildernet.attestation.collateral import encode_bundle, parse_collateral
    from buildernet.attestation.collateral.pcs import split_signed
    from buildernet.attestation.collateral.tcb_info import parse_qe_identity, parse_tcb_info
    from buildernet.attestation.event_log import parse_event_log
    from buildernet.attestation.policy import parse_measurement_policy
    from buildernet.attestation.quote import parse_quote
    from buildernet.attestation.registers import Bank, Digest32
    from buildernet.attestation.verify.certificates import parse_chain
    from buildernet.attestation.verify.pck_extension import parse_pck_extension
    from buildernet.attested_proxy import documents, protocol_a, protocol_b
    from buildernet.attested_proxy.evidence import AttestationType
    from buildernet.base.errors import BuildernetError
    from buildernet.net.client_hello import parse_client_hello

from tests.support.minted_chain import Domain, shared_chain
from tests.support.minted_pki import sgx_extension
from tests.support.quote_verification import COLLATERAL, verify
from tests.support.tpm_quotes import make_attest
from tests.unit.net.test_client_hello import HELLO

GO_BUILT_DOCUMENT: Final = Path(__file__).parents[1] / "vectors/azure/go-built-document.json"


@dataclass(frozen=True)
class Target:
    """A parser and what it accepts."""

    parse: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


def _quotes() -> list[bytes]:
    chain = shared_chain()
    return [chain.quote(), chain.quote(Domain(version=5, body_type=4))]


def _control(data: bytes) -> None:
    """Be wrong: what the harness must find."""
    if data[:1] == b"!":
        raise KeyError(data)


TARGETS: Final = {
    "control": Target(_control, lambda: [b"?"]),
    "quote": Target(parse_quote, _quotes),
    "verification": Target(lambda data: verify(quote=data), _quotes),
    "collateral": Target(parse_collateral, lambda: [encode_bundle([COLLATERAL]).encode()]),
    "signed-answer": Target(
        lambda data: split_signed(data, "tcbInfo"), lambda: [b'{"tcbInfo":{},"signature":"00"}']
    ),
    "tcb-info": Target(parse_tcb_info, lambda: [COLLATERAL.tcb_info]),
    "qe-identity": Target(parse_qe_identity, lambda: [COLLATERAL.qe_identity]),
    "pck-extension": Target(parse_pck_extension, lambda: [sgx_extension()]),
    "chain": Target(
        lambda data: parse_chain(data, "chain"), lambda: [COLLATERAL.tcb_info_issuer_chain]
    ),
    "measurements": Target(
        parse_measurement_policy,
        lambda: [b'[{"attestation_type":"dcap-tdx","measurements":{"0":{"expected":"00"}}}]'],
    ),
    "event-log": Target(parse_event_log, lambda: [b"\0" * 4 + b"\3\0\0\0" + bytes(60)]),
    "tpm-quote": Target(
        tpm_quote.parse_tpm_quote,
        lambda: [make_attest({Bank.SHA256: {4: Digest32(bytes(32))}}, b"nonce")],
    ),
    "tpm-signature": Target(
        tpm_quote.parse_tpmt_signature, lambda: [bytes.fromhex("0018000b000101000101")]
    ),
    "hcl-report": Target(azure.parse_hcl_report, lambda: [b"HCLA\2\0\0\0" + bytes(2592)]),
    "azure-evidence": Target(
        azure.parse_azure_evidence, lambda: [b'{"tpm_attestation":{"quote":{"pcrs":[]}}}']
    ),
    "azure-document": Target(
        azure.parse_azure_tpm_document, lambda: [GO_BUILT_DOCUMENT.read_bytes()]
    ),
    "client-hello": Target(parse_client_hello, lambda: [HELLO]),
    "frame": Target(
        protocol_b.parse_frame,
        lambda: [protocol_b.encode_frame(AttestationType.DCAP_TDX, bytes(100))[4:]],
    ),
    "document": Target(
        lambda data: documents.parse_quote(data, user_data=bytes(32)),
        lambda: [documents.encode_quote(b"quote", user_data=bytes(32))],
    ),
    "authorities": Target(
        lambda data: protocol_a.parse_authorities([[(b"CN", data)]]),
        lambda: [protocol_a.encode_nonce(bytes(32)).encode()],
    ),
}


def main() -> None:
    """Fuzz the target named first; the other arguments are libFuzzer's."""
    name, folder = sys.argv[1:3]
    target = TARGETS[name]
    for number, seed in enumerate(target.seeds()):
        Path(folder, f"seed-{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        try:
            target.parse(data)
        except BuildernetError:
            return

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
