# SPDX-License-Identifier: MIT
"""The TPM of this machine: attestation keys, quotes, credential activation, NV indexes.

The only importer of tpm2-pytss (extra `tpm`; works with 2.3 of Debian 13 and 3.0). Blocking. What
it gives is checked by `attestation.tpm_quote`, which needs no TPM library.

Reference:
    TCG TPM 2.0 Library Part 3 (TPM2_Quote, TPM2_ActivateCredential); TCG EK Credential Profile 2.5;
    specs/attestation.md section 4.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tpm2_pytss import (  # type: ignore[import-untyped]  # has no type information
    ESAPI,
    ESYS_TR,
    TPM2_ALG,
    TPM2_SE,
    TPM2B_ENCRYPTED_SECRET,
    TPM2B_ID_OBJECT,
    TPM2B_NV_PUBLIC,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_NV,
    TPMA_OBJECT,
    TPMS_NV_PUBLIC,
    TPMT_SYM_DEF,
    TSS2_Exception,
)
from tpm2_pytss.TCTI import TCTI  # type: ignore[import-untyped]  # the same
from tpm2_pytss.utils import (  # type: ignore[import-untyped]  # the same
    NVReadEK,
    create_ek_template,
)

from buildernet.attestation.errors import TPMQuoteFormatError
from buildernet.attestation.issue.errors import NoProviderError, TPMError
from buildernet.attestation.registers import Bank, Digest, digest_of
from buildernet.attestation.tpm_quote import (
    TPMSignature,
    compute_pcr_digest,
    parse_tpm_quote,
    parse_tpmt_signature,
)

DEFAULT_TCTI: Final = "device:/dev/tpmrm0"
"""The kernel's resource manager: keys of other processes cannot be in the way."""

_LIBRARY_LOG: Final = "all+none"
"""tpm2-tss writes to standard error what it also returns; whoever looks for more sets TSS2_LOG."""

PCRS_PER_READ: Final = 8
"""TPM2_PCR_Read returns at most this many digests."""

NV_CHUNK_BYTES: Final = 512
"""The smallest NV buffer that the PC Client profile allows a TPM."""

MAX_NV_BYTES: Final = 16 * 1024
"""Azure's largest index has 4096."""

QUOTE_ATTEMPTS: Final = 3
"""A PCR may be extended between reading and quoting; boot is over, so twice is already odd."""

_AK_ATTRIBUTES: Final = (
    TPMA_OBJECT.FIXEDTPM
    | TPMA_OBJECT.FIXEDPARENT
    | TPMA_OBJECT.SENSITIVEDATAORIGIN
    | TPMA_OBJECT.USERWITHAUTH
    | TPMA_OBJECT.RESTRICTED
    | TPMA_OBJECT.SIGN_ENCRYPT
)
_RESTRICTED_SIGNING: Final = TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.SIGN_ENCRYPT


class KeyKind(StrEnum):
    """Attestation keys, as templates of tpm2-pytss."""

    ECC = "ecc:ecdsa-sha256:null"
    """P-256: made in milliseconds."""
    RSA = "rsa2048:rsassa-sha256:null"
    """What Azure has; made in 40 ms by swtpm, in seconds by a chip."""


@dataclass(frozen=True, slots=True)
class AttestationKey:
    """A restricted signing key: it signs only what the TPM itself says."""

    handle: ESYS_TR
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    name: bytes
    """Hash of the public area; what a credential is bound to."""
    area: bytes
    """The public area, a marshalled TPMT_PUBLIC."""


@dataclass(frozen=True, slots=True)
class QuotedPCRs:
    """A quote with the values it is about."""

    message: bytes
    signature: TPMSignature
    pcrs: Mapping[Bank, Mapping[int, Digest]]


class TPM:
    """One connection; use as a context manager."""

    def __init__(self, tcti: str | TCTI = DEFAULT_TCTI) -> None:
        """Connect.

        Args:
            tcti: tpm2-tss configuration ("device:PATH", "swtpm:host=H,port=P"), or a TCTI.

        Raises:
            NoProviderError: no TPM there.
        """
        os.environ.setdefault("TSS2_LOG", _LIBRARY_LOG)
        try:
            self._esapi = ESAPI(tcti)
        except (TSS2_Exception, RuntimeError) as exc:
            raise NoProviderError(
                f"no TPM at {tcti}: {exc}", hint="the device must exist and be readable (group tss)"
            ) from exc
        self._transient: list[ESYS_TR] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._transient:
            with contextlib.suppress(TSS2_Exception):
                self._esapi.flush_context(handle)
        self._esapi.close()

    def create_attestation_key(self, kind: KeyKind = KeyKind.ECC) -> AttestationKey:
        """Derive the attestation key of the endorsement hierarchy: the same until the TPM is reset.

        Raises:
            TPMError: the TPM refused.
        """
        template = TPM2B_PUBLIC.parse(kind, objectAttributes=_AK_ATTRIBUTES)
        with _errors("creating the attestation key"):
            handle, *_ = self._esapi.create_primary(
                TPM2B_SENSITIVE_CREATE(), template, ESYS_TR.ENDORSEMENT
            )
        self._transient.append(handle)
        return self._key(handle)

    def open_attestation_key(self, handle: int) -> AttestationKey:
        """Use a persistent key, as Azure's at 0x81000003.

        Raises:
            TPMError: no such key, or not a restricted signing key.
        """
        with _errors(f"opening the key 0x{handle:08x}"):
            return self._key(self._esapi.tr_from_tpmpublic(handle))

    def _key(self, handle: ESYS_TR) -> AttestationKey:
        with _errors("reading the attestation key"):
            public, name, _ = self._esapi.read_public(handle)
        if public.publicArea.objectAttributes & _RESTRICTED_SIGNING != _RESTRICTED_SIGNING:
            raise TPMError("the key is not a restricted signing key: it could sign forged quotes")
        key = serialization.load_pem_public_key(public.to_pem())
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise TPMError(f"attestation key of type {type(key).__name__}")
        return AttestationKey(handle, key, bytes(name), bytes(public.publicArea.marshal()))

    def quote(
        self, key: AttestationKey, *, nonce: bytes, selection: Mapping[Bank, Sequence[int]]
    ) -> QuotedPCRs:
        """Quote PCRs.

        Args:
            key: attestation key.
            nonce: 1 to 64 bytes; most TPMs take 32 to 64.
            selection: banks and PCR numbers.

        Raises:
            TPMError: the TPM refused, or PCRs changed under `QUOTE_ATTEMPTS` quotes.
        """
        wanted = "+".join(f"{bank}:{_numbers(numbers)}" for bank, numbers in selection.items())
        for _ in range(QUOTE_ATTEMPTS):
            pcrs = {bank: self.read_pcrs(bank, numbers) for bank, numbers in selection.items()}
            with _errors("quoting"):
                attest, signed = self._esapi.quote(key.handle, wanted, nonce)
            message = bytes(attest)
            try:
                quote = parse_tpm_quote(message)
                signature = parse_tpmt_signature(signed.marshal())
            except TPMQuoteFormatError as exc:
                raise TPMError(f"the TPM gave no usable quote: {exc}") from exc
            if compute_pcr_digest(signature.bank, quote.selection, pcrs) == quote.pcr_digest:
                return QuotedPCRs(message, signature, pcrs)
        raise TPMError(f"PCRs changed during each of {QUOTE_ATTEMPTS} quotes")

    def read_pcrs(self, bank: Bank, numbers: Sequence[int]) -> dict[int, Digest]:
        """Read PCR values; unsigned.

        Raises:
            TPMError: the TPM has no such bank or PCR.
        """
        ordered = sorted(numbers)
        values: dict[int, Digest] = {}
        for start in range(0, len(ordered), PCRS_PER_READ):
            some = ordered[start : start + PCRS_PER_READ]
            with _errors(f"reading PCRs of the bank {bank}"):
                _, _, digests = self._esapi.pcr_read(f"{bank}:{_numbers(some)}")
            if len(digests) != len(some):
                raise TPMError(f"the TPM gave {len(digests)} of {len(some)} PCRs of {bank}")
            pairs = zip(some, digests, strict=True)
            values |= {number: digest_of(bank, bytes(value)) for number, value in pairs}
        return values

    def activate_credential(self, key: AttestationKey, *, blob: bytes, secret: bytes) -> bytes:
        """Prove that `key` and the endorsement key (RSA 2048) live in the same TPM.

        Args:
            key: attestation key.
            blob: marshalled TPM2B_ID_OBJECT from TPM2_MakeCredential.
            secret: marshalled TPM2B_ENCRYPTED_SECRET from the same.

        Returns:
            The challenge that the certifier chose.

        Raises:
            TPMError: the credential is for another key or another TPM.
        """
        with self._endorsement_key() as (endorsement, session), _errors("activating a credential"):
            challenge = self._esapi.activate_credential(
                key.handle,
                endorsement,
                TPM2B_ID_OBJECT.unmarshal(blob)[0],
                TPM2B_ENCRYPTED_SECRET.unmarshal(secret)[0],
                session2=session,
            )
        return bytes(challenge)

    def endorsement_public(self) -> bytes:
        """Return the endorsement key's public area, a marshalled TPM2B_PUBLIC.

        Raises:
            TPMError: the TPM has no RSA 2048 endorsement key.
        """
        with self._endorsement_key() as (endorsement, _), _errors("reading the endorsement key"):
            public, *_ = self._esapi.read_public(endorsement)
            return bytes(public.marshal())

    def endorsement_certificate(self) -> bytes:
        """Return the endorsement key's certificate (RSA 2048) in DER, as the TPM's maker stored it.

        Raises:
            TPMError: the TPM has none.
        """
        with _errors("reading the endorsement certificate"):
            certificate: bytes = self._endorsement_template()[0]
        return certificate

    def read_nv(self, index: int) -> bytes:
        """Read an NV index whole, with the owner's (empty) authorisation.

        Raises:
            TPMError: no such index, or it cannot be read.
        """
        with _errors(f"reading NV index 0x{index:08x}"):
            handle = self._esapi.tr_from_tpmpublic(index)
            public, _ = self._esapi.nv_read_public(handle)
            size = public.nvPublic.dataSize
            if size > MAX_NV_BYTES:
                raise TPMError(f"NV index 0x{index:08x} has {size} bytes")
            return b"".join(
                bytes(
                    self._esapi.nv_read(
                        handle,
                        min(NV_CHUNK_BYTES, size - offset),
                        offset,
                        auth_handle=ESYS_TR.OWNER,
                    )
                )
                for offset in range(0, size, NV_CHUNK_BYTES)
            )

    def write_nv(self, index: int, data: bytes) -> None:
        """Write an NV index, made anew when it is missing or of another size.

        Args:
            index: in the owner's range.
            data: at most `NV_CHUNK_BYTES`.

        Raises:
            TPMError: the TPM refused.
        """
        with _errors(f"writing NV index 0x{index:08x}"):
            handle = self._nv_of_size(index, len(data))
            self._esapi.nv_write(handle, data, auth_handle=ESYS_TR.OWNER)

    def _nv_of_size(self, index: int, size: int) -> ESYS_TR:
        try:
            handle = self._esapi.tr_from_tpmpublic(index)
        except TSS2_Exception:
            pass  # not defined yet
        else:
            public, _ = self._esapi.nv_read_public(handle)
            if public.nvPublic.dataSize == size:
                return handle
            self._esapi.nv_undefine_space(handle, ESYS_TR.OWNER)
        area = TPMS_NV_PUBLIC(
            nvIndex=index,
            nameAlg=TPM2_ALG.SHA256,
            attributes=TPMA_NV.OWNERREAD | TPMA_NV.OWNERWRITE,
            dataSize=size,
        )
        return self._esapi.nv_define_space(None, TPM2B_NV_PUBLIC(nvPublic=area), ESYS_TR.OWNER)

    def _endorsement_template(self) -> tuple[bytes, TPM2B_PUBLIC]:
        certificate, template = create_ek_template("EK-RSA2048", NVReadEK(self._esapi))
        return certificate, template

    @contextlib.contextmanager
    def _endorsement_key(self) -> Iterator[tuple[ESYS_TR, ESYS_TR]]:
        """Give the endorsement key and a session that may use it."""
        with _errors("creating the endorsement key"):
            _, template = self._endorsement_template()
            key, *_ = self._esapi.create_primary(
                TPM2B_SENSITIVE_CREATE(), template, ESYS_TR.ENDORSEMENT
            )
        try:
            with _errors("authorising the endorsement key"):
                session = self._esapi.start_auth_session(
                    ESYS_TR.NONE,
                    ESYS_TR.NONE,
                    TPM2_SE.POLICY,
                    TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL),
                    TPM2_ALG.SHA256,
                )
            try:
                with _errors("authorising the endorsement key"):
                    self._esapi.policy_secret(
                        ESYS_TR.ENDORSEMENT,
                        session,
                        nonce_tpm=b"",
                        cp_hash_a=b"",
                        policy_ref=b"",
                        expiration=0,
                    )
                yield key, session
            finally:
                with contextlib.suppress(TSS2_Exception):
                    self._esapi.flush_context(session)
        finally:
            with contextlib.suppress(TSS2_Exception):
                self._esapi.flush_context(key)


def _numbers(numbers: Sequence[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


@contextlib.contextmanager
def _errors(doing: str) -> Iterator[None]:
    try:
        yield
    # tpm2-pytss raises the last three for values that do not fit its structures.
    except (TSS2_Exception, RuntimeError, ValueError, IndexError, TypeError) as exc:
        raise TPMError(f"{doing}: {exc}") from exc
