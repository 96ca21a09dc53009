# SPDX-License-Identifier: MIT
"""The TPM client against swtpm; what it gives is checked with `cryptography` alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (extra `tpm` of services)")

from cryptography import x509
from tpm2_pytss import (  # type: ignore[import-untyped]  # has no type information
    ESYS_TR,
    TPM2_ALG,
    TPM2B_NAME,
    TPM2B_PUBLIC,
    TPMA_OBJECT,
    TPML_DIGEST_VALUES,
    TPMT_HA,
    TPMU_HA,
)
from tpm2_pytss.utils import make_credential  # type: ignore[import-untyped]  # the same

from buildernet.attestation.errors import VerificationError
from buildernet.attestation.issue import tpm as issue_tpm
from buildernet.attestation.issue.errors import NoProviderError, TPMError
from buildernet.attestation.issue.tpm import NV_CHUNK_BYTES, TPM, KeyKind, QuotedPCRs
from buildernet.attestation.registers import Bank, Digest, extend
from buildernet.attestation.tpm_quote import verify_tpm_quote
from tests.support.swtpm import SwtpmTCTI, software_tpm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildernet.attestation.issue.tpm import AttestationKey

NONCE = bytes(range(32))
SELECTION = {Bank.SHA256: (11, 4, 9), Bank.SHA384: tuple(range(24))}
USER_DATA_INDEX = 0x01400002


@pytest.fixture(scope="module")
def tcti(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwtpmTCTI]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TSS2_LOG", raising=False)
        with software_tpm(tmp_path_factory.mktemp("tpm")) as connection:
            yield connection


@pytest.fixture
def tpm(tcti: SwtpmTCTI) -> Iterator[TPM]:
    with TPM(tcti) as opened:
        yield opened


def verify(quoted: QuotedPCRs, key: AttestationKey, nonce: bytes = NONCE):
    return verify_tpm_quote(
        quoted.message,
        signature=quoted.signature,
        attestation_key=key.public,
        nonce=nonce,
        pcrs=quoted.pcrs,
    )


@pytest.mark.parametrize("kind", KeyKind)
def test_quote_is_verified_without_a_tpm_library(tpm: TPM, kind: KeyKind):
    key = tpm.create_attestation_key(kind)
    quoted = tpm.quote(key, nonce=NONCE, selection=SELECTION)
    quote = verify(quoted, key)
    assert {bank: set(numbers) for bank, numbers in quote.selection.items()} == {
        bank: set(numbers) for bank, numbers in SELECTION.items()
    }
    assert quoted.pcrs[Bank.SHA384][17] == b"\xff" * 48


def test_quote_follows_an_extended_pcr(tpm: TPM):
    key = tpm.create_attestation_key()
    before = tpm.quote(key, nonce=NONCE, selection={Bank.SHA256: [16]})
    event = Bank.SHA256.digest(b"event")
    extend_pcr(tpm, 16, event)
    after = tpm.quote(key, nonce=NONCE, selection={Bank.SHA256: [16]})
    verify(after, key)
    assert after.pcrs[Bank.SHA256][16] == extend(Bank.SHA256, before.pcrs[Bank.SHA256][16], event)
    with pytest.raises(VerificationError, match="step T5"):
        verify(QuotedPCRs(after.message, after.signature, before.pcrs), key)


def extend_pcr(tpm: TPM, number: int, digest: Digest) -> None:
    value = TPMT_HA(hashAlg=TPM2_ALG.SHA256, digest=TPMU_HA(sha256=bytes(digest)))
    tpm._esapi.pcr_extend(ESYS_TR(number), TPML_DIGEST_VALUES([value]))


def test_key_is_the_same_again_and_another_in_another_tpm(tpm: TPM, tmp_path: Path):
    first, again = tpm.create_attestation_key(), tpm.create_attestation_key()
    assert first.public.public_numbers() == again.public.public_numbers()
    with software_tpm(tmp_path) as other, TPM(other) as stranger:
        foreign = stranger.create_attestation_key()
        quoted = stranger.quote(foreign, nonce=NONCE, selection={Bank.SHA256: [0]})
    with pytest.raises(VerificationError, match="step T2"):
        verify(quoted, first)


def test_credential_is_activated_by_its_key_alone(tpm: TPM):
    key, other = tpm.create_attestation_key(), tpm.create_attestation_key(KeyKind.RSA)
    endorsement, _ = TPM2B_PUBLIC.unmarshal(tpm.endorsement_public())
    blob, secret = make_credential(endorsement, b"challenge", TPM2B_NAME(key.name))
    sent = {"blob": blob.marshal(), "secret": secret.marshal()}
    assert tpm.activate_credential(key, **sent) == b"challenge"
    with pytest.raises(TPMError, match="activating a credential"):
        tpm.activate_credential(other, **sent)
    with pytest.raises(TPMError, match="activating a credential"):
        tpm.activate_credential(key, blob=b"\0", secret=b"")


def test_endorsement_certificate_is_about_the_endorsement_key(tpm: TPM):
    certificate = x509.load_der_x509_certificate(tpm.endorsement_certificate())
    assert certificate.issuer.rfc4514_string() == "CN=swtpm-localca"


def test_nv_index_is_written_again_in_another_size(tpm: TPM):
    for data in (b"a" * 64, b"b" * 64, b"c" * 32):
        tpm.write_nv(USER_DATA_INDEX, data)
        assert tpm.read_nv(USER_DATA_INDEX) == data


def test_long_nv_index_is_read_in_pieces(tpm: TPM, tcti: SwtpmTCTI):
    tcti.nv[0x01400001] = bytes(range(256)) * 10 + b"end"
    assert len(tcti.nv[0x01400001]) > NV_CHUNK_BYTES
    assert tpm.read_nv(0x01400001) == tcti.nv[0x01400001]


def test_refusals_of_the_tpm_are_our_errors(tpm: TPM, capfd: pytest.CaptureFixture[str]):
    key = tpm.create_attestation_key()
    with pytest.raises(TPMError, match="reading NV index 0x01400007"):
        tpm.read_nv(0x01400007)
    with pytest.raises(TPMError, match="opening the key 0x81000003"):
        tpm.open_attestation_key(0x81000003)
    with pytest.raises(TPMError, match="quoting"):
        tpm.quote(key, nonce=bytes(100), selection={Bank.SHA256: [0]})
    with pytest.raises(TPMError, match="0 of 1 PCRs of sha512"):
        tpm.read_pcrs(Bank.SHA512, [0])
    assert capfd.readouterr().err == ""  # the library repeats them on stderr unless it is told


def test_unrestricted_key_is_not_taken_for_an_attestation_key(tpm: TPM):
    free = issue_tpm._AK_ATTRIBUTES & ~TPMA_OBJECT.RESTRICTED
    template = TPM2B_PUBLIC.parse(KeyKind.ECC, objectAttributes=free)
    handle, *_ = tpm._esapi.create_primary(None, template)
    with contextlib.ExitStack() as stack:
        stack.callback(tpm._esapi.flush_context, handle)
        stack.enter_context(pytest.raises(TPMError, match="not a restricted signing key"))
        tpm._key(handle)


def test_missing_device_is_named():
    with pytest.raises(NoProviderError, match="no TPM at device:/nonexistent"):
        TPM("device:/nonexistent")
