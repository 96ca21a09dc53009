# SPDX-License-Identifier: MIT
"""Evidence about a node of the network: what it states about itself, and how that is verified.

The registry and every node use the same code, so that nobody needs to believe the registry.
"""

from buildernet.attestation.node.possession import (
    ProofKind,
    possession_transcript,
    sign_possession,
    verify_possession,
)
from buildernet.attestation.node.statement import NodeStatement, key_digest
from buildernet.attestation.node.verify import (
    ATTESTATION_TYPES,
    MAX_EVIDENCE_BYTES,
    NodeClaims,
    encode_measurement,
    quote_of,
    require_fresh,
    verify_node_evidence,
)

__all__ = [
    "ATTESTATION_TYPES",
    "MAX_EVIDENCE_BYTES",
    "NodeClaims",
    "NodeStatement",
    "ProofKind",
    "encode_measurement",
    "key_digest",
    "possession_transcript",
    "quote_of",
    "require_fresh",
    "sign_possession",
    "verify_node_evidence",
    "verify_possession",
]
