# SPDX-License-Identifier: MIT
"""`mev_sendBundle`, version v0.1: its rules on either side, and what is put in for a user.

Reference: docs/protocols/orderflow-orders.md.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.transaction import Transaction
from buildernet.orderflow_proxy.order import OrderKind
from buildernet.orderflow_proxy.orders.errors import OrderParamsError, OrderRuleError
from buildernet.orderflow_proxy.orders.mev_bundle import (
    MAX_BODIES,
    MAX_DEPTH,
    MAX_REFUNDS,
    Body,
    Inclusion,
    Metadata,
    MevBundle,
    RefundShare,
    Validity,
)
from buildernet.orderflow_proxy.orders.parsed import (
    OrderRequest,
    ParsedOrder,
    TransactionReader,
    compute_order_key,
    make_replacement,
)
from buildernet.orderflow_proxy.orders.wire import (
    decode_param,
    encode_hex,
    read_address,
    read_quantity,
    read_u64,
    read_uuid,
)

METHOD: Final = "mev_sendBundle"
REVERT_MODES: Final = ("", "allow", "drop", "fail")
MAX_PERCENT: Final = 100

_DECODER: Final = msgspec.json.Decoder(MevBundle)


def parse_send_mev_bundle(
    param: bytes,
    request: OrderRequest,
    transactions: TransactionReader,
) -> ParsedOrder:
    """Read an MEV-Share bundle; from a user, put in the signer and the replacement's number.

    The number is the time of arrival. The Go proxy counts from 0 instead, and forgets where it was
    after a minute, with a restart and between nodes: a later replacement then looks out of date.

    Raises:
        OrderParamsError: A member has another type, form or size than the method's.
        OrderRuleError: A rule of the method or of Ethereum is broken.
    """
    wire = decode_param(_DECODER, param)
    walk = _Walk(transactions, request)
    bundle, bundle_hash = walk.read(wire, depth=0)
    uuid = read_uuid(wire.replacement_uuid, name="replacementUuid")
    if not walk.transactions and (bundle.body or uuid is None):
        raise OrderRuleError("bundle with no txs")
    if request.by_user:
        nonce = None if uuid is None else request.received_at_us
        metadata = Metadata(
            signer=request.signer.hex(),
            replacement_nonce=nonce,
            cancelled=True if not bundle.body else None,
        )
        bundle = msgspec.structs.replace(bundle, metadata=metadata)
    metadata = bundle.metadata or Metadata()
    signer = read_address(metadata.signer, name="metadata.signer") or request.signer
    cancels = not bundle.body or metadata.cancelled is True
    params = msgspec.json.encode(bundle)
    last = max(walk.blocks)
    return ParsedOrder(
        request=request,
        method=METHOD,
        kind=OrderKind.CANCELLATION if cancels else OrderKind.MEV_BUNDLE,
        params=params,
        key=compute_order_key(METHOD, signer.raw, params),
        hash=bundle_hash,
        signer=signer,
        target_block=last or None,
        replacement=make_replacement(uuid, metadata.replacement_nonce),
        transactions=tuple(walk.transactions),
        cannot_fail=all(walk.may_revert),
    )


@dataclass(slots=True)
class _Walk:
    """Goes through a bundle and the ones nested in it, collecting what concerns the whole order."""

    reader: TransactionReader
    request: OrderRequest
    transactions: list[Transaction] = field(default_factory=list)
    may_revert: list[bool] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    """The outermost bundle's first and last block."""
    entries: int = 0

    def read(self, wire: MevBundle, *, depth: int) -> tuple[MevBundle, bytes]:
        """Check a bundle; return it in its forwarded spelling, and its hash."""
        if depth > MAX_DEPTH:
            raise OrderRuleError("mev bundle too deep")
        if self.request.by_user and wire.metadata is not None:
            raise OrderRuleError(
                "mev share bundle should not contain metadata when sent to local endpoint"
            )
        inclusion = self._read_inclusion(wire.inclusion, depth=depth)
        bodies = wire.body or ()
        self.entries += len(bodies)
        if self.entries > MAX_BODIES:
            raise OrderParamsError(f"body has more than {MAX_BODIES} entries, nested ones included")
        read = [self._read_body(body, depth=depth, at=at) for at, body in enumerate(bodies)]
        uuid = read_uuid(wire.replacement_uuid, name="replacementUuid")
        bundle = MevBundle(
            version=wire.version,
            replacement_uuid=None if uuid is None else str(uuid),
            inclusion=inclusion,
            body=None if wire.body is None else tuple(body for body, _ in read),
            validity=_read_validity(wire.validity, entries=len(bodies)),
            metadata=_read_metadata(wire.metadata),
        )
        return bundle, compute_keccak256(b"".join(part for _, part in read))

    def _read_inclusion(self, wire: Inclusion, *, depth: int) -> Inclusion:
        first = read_quantity(wire.block, name="inclusion.block")
        last = read_quantity(wire.max_block, name="inclusion.maxBlock")
        if depth == 0:
            self.blocks += (first, last)
        return Inclusion(block=hex(first), max_block=hex(last))

    def _read_body(self, body: Body, *, depth: int, at: int) -> tuple[Body, bytes]:
        if body.hash is not None:
            raise OrderRuleError("mev bundle with unmatched tx")
        if body.revert_mode not in REVERT_MODES:
            raise OrderParamsError(f"body[{at}].revertMode is not allow, drop or fail")
        if (body.tx is None) == (body.bundle is None):
            raise OrderParamsError(f"body[{at}] is not exactly one of tx and bundle")
        if body.bundle is not None:
            inner, part = self.read(body.bundle, depth=depth + 1)
            return msgspec.structs.replace(body, bundle=inner), part
        transaction = self.reader.read(body.tx or "", name=f"body[{at}].tx")
        self.transactions.append(transaction)
        self.may_revert.append(body.can_revert or body.revert_mode in ("allow", "drop"))
        return msgspec.structs.replace(body, tx=encode_hex(transaction.raw)), transaction.hash


def _read_validity(wire: Validity, *, entries: int) -> Validity:
    refunds, shares = wire.refund or (), wire.refund_config or ()
    if max(len(refunds), len(shares)) > MAX_REFUNDS:
        raise OrderParamsError(f"validity has more than {MAX_REFUNDS} entries")
    for refund in refunds:
        if not 0 <= refund.body_idx < max(entries, 1):
            raise OrderParamsError("validity.refund names a bodyIdx that body does not have")
    percents = [refund.percent for refund in refunds] + [share.percent for share in shares]
    if any(not 0 <= percent <= MAX_PERCENT for percent in percents):
        raise OrderParamsError(f"a percent of validity is not between 0 and {MAX_PERCENT}")
    return Validity(
        refund=refunds or None,
        refund_config=tuple(_read_share(share) for share in shares) or None,
    )


def _read_share(share: RefundShare) -> RefundShare:
    address = read_address(share.address, name="validity.refundConfig.address")
    return msgspec.structs.replace(share, address="" if address is None else address.hex())


def _read_metadata(wire: Metadata | None) -> Metadata | None:
    if wire is None:
        return None
    signer = read_address(wire.signer, name="metadata.signer")
    nonce = read_u64(wire.replacement_nonce, name="metadata.replacementNonce")
    return Metadata(
        signer=None if signer is None else signer.hex(),
        replacement_nonce=nonce,
        cancelled=wire.cancelled,
    )
