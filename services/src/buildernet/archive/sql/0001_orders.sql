-- Orders, receipts and bids as the nodes report them.
-- A row's identity is (node, stream, seq). It is part of the sorting key, so that two copies of one
-- record are the same key; FINAL shows one of them, merges remove the other.
-- $ENGINE is ReplacingMergeTree, on a cluster its replicated form; $ON_CLUSTER is empty on a single server.

CREATE TABLE IF NOT EXISTS bundles $ON_CLUSTER
(
    block_number UInt64,
    hash FixedString(32),
    node LowCardinality(String),
    stream UUID,
    seq UInt64,
    received_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String),
    method LowCardinality(String),
    order_key FixedString(16),
    uuid Nullable(UUID),
    signer_address FixedString(20),
    priority LowCardinality(String),
    head_block Nullable(UInt64),
    min_timestamp Nullable(UInt64),
    max_timestamp Nullable(UInt64),
    reverting_tx_hashes Array(FixedString(32)),
    dropping_tx_hashes Array(FixedString(32)),
    refund_tx_hashes Array(FixedString(32)),
    replacement_uuid Nullable(UUID),
    replacement_nonce Nullable(UInt64),
    refund_percent Nullable(UInt8),
    refund_recipient Nullable(FixedString(20)),
    refund_identity Nullable(FixedString(20)),
    delayed_refund Nullable(Bool),
    version LowCardinality(String),
    tx Nested
    (
        hash FixedString(32),
        sender FixedString(20),
        nonce UInt64,
        type UInt8,
        recipient Nullable(FixedString(20)),
        gas UInt64,
        value UInt256,
        gas_price Nullable(UInt256),
        max_fee_per_gas Nullable(UInt256),
        max_priority_fee_per_gas Nullable(UInt256),
        raw String
    ),
    rest String CODEC(ZSTD(3)),
    INDEX by_hash hash TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_tx `tx.hash` TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_signer signer_address TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_time received_at TYPE minmax GRANULARITY 1
)
ENGINE = $ENGINE
PARTITION BY toYYYYMM(received_at)
ORDER BY (block_number, hash, node, stream, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS bundle_receipts $ON_CLUSTER
(
    bundle_hash FixedString(32),
    dst_builder_name LowCardinality(String),
    stream UUID,
    seq UInt64,
    double_bundle_hash FixedString(32),
    sent_at Nullable(DateTime64(6, 'UTC')),
    received_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    src_builder_name LowCardinality(String),
    payload_size UInt64,
    priority LowCardinality(String),
    INDEX by_time received_at TYPE minmax GRANULARITY 1
)
ENGINE = $ENGINE
PARTITION BY toYYYYMM(received_at)
ORDER BY (bundle_hash, dst_builder_name, stream, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS bids $ON_CLUSTER
(
    block_number UInt64,
    block_hash FixedString(32),
    node LowCardinality(String),
    stream UUID,
    seq UInt64,
    received_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    slot UInt64,
    parent_hash FixedString(32),
    builder_key String,
    value_wei UInt256,
    transactions UInt32,
    gas_used UInt64,
    relay LowCardinality(String),
    INDEX by_hash block_hash TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_time received_at TYPE minmax GRANULARITY 1
)
ENGINE = $ENGINE
PARTITION BY toYYYYMM(received_at)
ORDER BY (block_number, block_hash, node, stream, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
