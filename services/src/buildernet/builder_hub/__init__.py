# SPDX-License-Identifier: MIT
"""The registry of a network, outside the TEE.

It says which builders and images belong to the network, hands each builder its configuration and
secrets, and passes credentials and attestation evidence from node to node. It trusts the attested
proxy in front of it about who calls, and its admins about who may. Nodes need not trust it: they
verify each other's evidence themselves.
"""
