# SPDX-License-Identifier: MIT
import json
from copy import deepcopy
from uuid import UUID

import pytest
from msgspec.structs import replace

from buildernet.ethereum.address import Address
from buildernet.orderflow_proxy.orders.bundle import Bundle, encode_bundle, read_bundle
from buildernet.orderflow_proxy.orders.errors import OrderRuleError
from buildernet.orderflow_proxy.orders.mev_bundle import Metadata, MevBundle
from buildernet.orderflow_proxy.orders.network_keys import (
    compute_bundle_unique_key,
    compute_bundle_uuid,
    compute_cancellation_unique_key,
    compute_mev_bundle_unique_key,
    compute_subsidy_unique_key,
    compute_transaction_unique_key,
)
from buildernet.orderflow_proxy.orders.parsed import TransactionReader
from tests.support.orders import SEPOLIA, VECTORS

BUNDLES = VECTORS["bundles"]


def read_vector(vector) -> Bundle:
    params = deepcopy(vector["params"])
    if "txs" in params:
        params["txs"] = [VECTORS["transactions"][name] for name in params["txs"]]
    chain_id = SEPOLIA if vector["params"].get("txs") == ["transfer_sepolia"] else 1
    return read_bundle(json.dumps(params).encode(), TransactionReader(chain_id=chain_id))


@pytest.mark.parametrize("vector", BUNDLES, ids=lambda vector: vector["uuid"][:8])
def test_bundle_of_the_vector_has_its_names(vector):
    bundle = read_vector(vector)
    assert "0x" + bundle.hash.hex() == vector["hash"]
    assert compute_bundle_uuid(bundle) == UUID(vector["uuid"])
    if vector["unique_key"]:
        assert compute_bundle_unique_key(bundle) == UUID(vector["unique_key"])


def test_naming_a_bundle_leaves_the_lists_in_the_senders_order():
    bundle = read_vector(BUNDLES[0])
    before = (bundle.reverting, encode_bundle(bundle))
    assert bundle.reverting[0] > bundle.reverting[1]
    compute_bundle_uuid(bundle)
    compute_bundle_unique_key(bundle)
    assert (bundle.reverting, encode_bundle(bundle)) == before


def test_refund_without_transactions_has_no_uuid():
    bundle = replace(read_vector(BUNDLES[8]), transactions=())
    with pytest.raises(OrderRuleError, match="no txs"):
        compute_bundle_uuid(bundle)


def test_every_part_enters_the_unique_key():
    bundle = read_vector(BUNDLES[8])
    keys = [
        compute_bundle_unique_key(each)
        for each in (
            bundle,
            replace(bundle, block=1),
            replace(bundle, min_timestamp=0),
            replace(bundle, max_timestamp=0),
            replace(bundle, reverting=()),
            replace(bundle, dropping=()),
            replace(bundle, replacement_uuid=UUID(int=1)),
            replace(bundle, replacement_uuid=UUID(int=1), replacement_nonce=1),
            replace(bundle, refund_percent=2),
            replace(bundle, refund_recipient=None),
            replace(bundle, refund_hash_texts=()),
            replace(bundle, signing_address=Address(bytes(20))),
        )
    ]
    assert len(set(keys)) == len(keys)


def test_unique_keys_of_the_other_methods_are_uuids_of_their_bytes():
    keys = [
        compute_transaction_unique_key(b"\1"),
        compute_cancellation_unique_key(UUID(int=1), Address(bytes(20))),
        compute_cancellation_unique_key(UUID(int=1), Address(b"\1" * 20)),
        compute_subsidy_unique_key(1000),
        compute_mev_bundle_unique_key(MevBundle()),
        compute_mev_bundle_unique_key(MevBundle(metadata=Metadata(signer="0x" + "11" * 20))),
    ]
    assert len(set(keys)) == len(keys)
    assert {key.version for key in keys} == {5}
    # printf 'e803000000000000' | xxd -r -p | sha256sum
    assert str(compute_subsidy_unique_key(1000)).startswith("921ac7f2-59f8-")
