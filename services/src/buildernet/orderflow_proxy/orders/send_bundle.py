# SPDX-License-Identifier: MIT
"""`eth_sendBundle`, versions v1 and v2: its rules on either side, and what is put in for a user.

Reference: docs/protocols/orderflow-orders.md.
"""

from typing import Final

from msgspec.structs import replace

from buildernet.ethereum.address import Address
from buildernet.orderflow_proxy.order import OrderKind
from buildernet.orderflow_proxy.orders.bundle import V1, V2, Bundle, encode_bundle, read_bundle
from buildernet.orderflow_proxy.orders.errors import OrderRuleError
from buildernet.orderflow_proxy.orders.parsed import (
    OrderRequest,
    ParsedOrder,
    TransactionReader,
    compute_order_key,
    make_replacement,
)

METHOD: Final = "eth_sendBundle"


def parse_send_bundle(
    param: bytes, request: OrderRequest, transactions: TransactionReader
) -> ParsedOrder:
    """Read a bundle; from a user, put in signer, version and replacement nonce.

    Raises:
        OrderParamsError: A member has another type, form or size than the method's.
        OrderRuleError: A rule of the method or of Ethereum is broken.
    """
    bundle = read_bundle(param, transactions)
    _validate(bundle, request)
    bundle = _complete(bundle, request)
    signer = bundle.signing_address or request.signer
    cancels = not bundle.transactions and bundle.replacement_uuid is not None
    reverting = set(bundle.reverting)
    return ParsedOrder(
        request=request,
        method=METHOD,
        kind=OrderKind.CANCELLATION if cancels else OrderKind.BUNDLE,
        params=encode_bundle(bundle),
        key=_compute_key(bundle, signer),
        hash=bundle.hash,
        signer=signer,
        target_block=bundle.block or None,
        replacement=make_replacement(bundle.replacement_uuid, bundle.replacement_nonce),
        transactions=bundle.transactions,
        cannot_fail=all(each.hash in reverting for each in bundle.transactions),
    )


def _validate(bundle: Bundle, request: OrderRequest) -> None:
    """Check what depends on the side and the version.

    Raises:
        OrderRuleError: With the Go proxy's text, where it has one.
    """
    if request.by_user and bundle.signing_address is not None:
        raise OrderRuleError("signing address field should not be set")
    if bundle.version not in (None, V1, V2):
        raise OrderRuleError("invalid version")
    if bundle.version is None and not request.by_user:
        raise OrderRuleError("version field should be set")
    if bundle.version == V1:
        _validate_v1(bundle)
    if not bundle.transactions and bundle.replacement_uuid is None:
        raise OrderRuleError("bundle with no txs")


def _validate_v1(bundle: Bundle) -> None:
    """Refuse what v1 cannot say, on the user side too: the next node would refuse it silently."""
    fields = {
        "dropping tx hashes": bundle.dropping,
        "refund percent": bundle.refund_percent is not None,
        "refund recipient": bundle.refund_recipient,
        "refund tx hashes": bundle.refund_hashes,
        "desired state": bundle.desired_state,
        "target addresses": bundle.target_addresses,
        "target slots": bundle.target_slots,
    }
    for name, value in fields.items():
        if value:
            raise OrderRuleError(f"{name} field should not be set")


def _complete(bundle: Bundle, request: OrderRequest) -> Bundle:
    """Put in what only the first node of a user's bundle knows."""
    if not request.by_user:
        return bundle
    nonce = bundle.replacement_nonce
    if nonce is None and bundle.replacement_uuid is not None:
        nonce = request.received_at_us
    return replace(
        bundle,
        signing_address=request.signer,
        version=bundle.version or V2,
        replacement_nonce=nonce,
    )


def _compute_key(bundle: Bundle, signer: Address) -> bytes:
    """Hash everything that makes two bundles of one signer differ, lists of hashes as sets."""
    return compute_order_key(
        METHOD,
        signer.raw,
        bundle.block or 0,
        tuple(each.hash for each in bundle.transactions),
        bundle.min_timestamp,
        bundle.max_timestamp,
        tuple(sorted(bundle.reverting)),
        tuple(sorted(bundle.dropping)),
        bundle.replacement_uuid.bytes if bundle.replacement_uuid else None,
        bundle.replacement_nonce,
        bundle.version,
        bundle.refund_percent,
        bundle.refund_recipient.raw if bundle.refund_recipient else None,
        bundle.refund_hashes,
        bundle.refund_identity.raw if bundle.refund_identity else None,
        bundle.delayed_refund,
        bundle.desired_state,
        tuple(each.raw for each in bundle.target_addresses),
        bundle.target_slots,
    )
