# SPDX-License-Identifier: MIT
"""Attested TLS: HTTP whose other end has proved by hardware evidence which software it runs.

The server stands in front of a plain HTTP service of the node, the client in front of one outside.
It trusts its verifier (`buildernet.attestation`) and nothing that a peer says of itself. It speaks
two protocols on one port: docs/protocols/attested-tls-a.md and attested-tls-b.md.
"""
