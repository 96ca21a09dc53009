# SPDX-License-Identifier: MIT
"""Decides about a peer: which types of evidence are taken, and what the validator says. Blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from buildernet.attested_proxy import protocol_a
from buildernet.attested_proxy.errors import PeerRefusedError
from buildernet.attested_proxy.evidence import AttestationType, Peer, Validator


@dataclass(frozen=True, slots=True)
class Judge:
    """What is demanded of peers.

    A validator without `none` among the types demands evidence. `none` alone demands nothing;
    evidence that such a peer offers is not looked at, as it would not be believed.
    """

    validator: Validator | None
    accepted: frozenset[AttestationType]

    @property
    def demands_evidence(self) -> bool:
        """Whether a peer without evidence is refused."""
        return AttestationType.NONE not in self.accepted

    def judge_a(
        self, chain: Sequence[x509.Certificate], nonce: bytes, *, address: str = ""
    ) -> Peer:
        """Judge the certificate of protocol A that answers a nonce.

        Raises:
            BuildernetError: The certificate or its evidence is refused.
        """
        key = protocol_a.verify_certificate(chain, now=datetime.now(UTC))
        found = protocol_a.find_document(chain[0])
        if self.validator is None:
            return Peer(address=address)
        if found is None:
            self._require_accepted(AttestationType.NONE)
            return Peer(address=address)
        kind, document = found
        self._require_accepted(kind)
        binding = protocol_a.Binding.of(key, nonce)
        claims = self.validator.validate_document(
            kind, document, user_data=binding.user_data, extra_data=binding.extra_data
        )
        name = protocol_a.header_name(kind)
        return Peer(name, claims.registers, claims.record, address)

    def judge_b(
        self, kind: AttestationType, evidence: bytes, report_input: bytes, *, address: str = ""
    ) -> Peer:
        """Judge the frame of protocol B.

        Raises:
            BuildernetError: Its type or evidence is refused.
        """
        if kind is AttestationType.NONE or self.validator is None:
            if self.validator is not None:
                self._require_accepted(kind)
            # Unverified evidence proves nothing, so it is not repeated to anyone.
            return Peer(AttestationType.NONE.value, address=address)
        self._require_accepted(kind)
        claims = self.validator.validate(kind, evidence, report_input)
        return Peer(kind.value, claims.registers, claims.record, address)

    def _require_accepted(self, kind: AttestationType) -> None:
        platform = kind.platform
        if platform not in {accepted.platform for accepted in self.accepted}:
            wanted = ", ".join(sorted(accepted.value for accepted in self.accepted))
            raise PeerRefusedError(f"peer offers {kind.value}, taken is: {wanted}")
