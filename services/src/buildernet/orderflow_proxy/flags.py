# SPDX-License-Identifier: MIT
"""Flags and environment variables of the proxies before this one, mapped to our settings.

The Go proxy's two generations (`local`/`public`, then `user`/`system`) and FlowProxy name the same
thing differently; every name works. What makes no sense here is taken and ignored, so that a unit
file written for them still starts.
"""

from typing import Final

from buildernet.base.flags import Flag

_LISTEN: Final = (
    Flag(
        ("--user-listen-addr", "--local-listen-addr"),
        "listen.user_addr",
        "where users send orders (default: 127.0.0.1:5543)",
        ("USER_LISTEN_ADDR", "LOCAL_LISTEN_ADDR"),
    ),
    Flag(
        ("--system-listen-addr", "--public-listen-addr"),
        "listen.system_addr",
        "where peers and Flashbots send orders (default: 127.0.0.1:5542)",
        ("SYSTEM_LISTEN_ADDR", "PUBLIC_LISTEN_ADDR"),
    ),
    Flag(
        ("--metrics-addr",),
        "listen.metrics_addr",
        "where /metrics is served (default: 127.0.0.1:8090)",
        ("METRICS_ADDR",),
    ),
    Flag(
        ("--certificate-file",),
        "listen.certificate_file",
        "PEM chain: speak TLS 1.3 without HAProxy",
        ("SERVER_CERTIFICATE_PEM_FILE",),
    ),
    Flag(
        ("--private-key-file",),
        "listen.private_key_file",
        "PEM key of it",
        ("SERVER_PRIVATE_KEY_PEM_FILE",),
    ),
)

_BUILDER: Final = (
    Flag(
        ("--builder-endpoint",),
        "builder.endpoint",
        "JSON-RPC of the local builder (default: http://127.0.0.1:8645)",
        ("BUILDER_ENDPOINT",),
    ),
    Flag(
        ("--builder-ready-endpoint",),
        "builder.ready_endpoint",
        "URL whose /readyz our own follows",
        ("BUILDER_READY_ENDPOINT",),
    ),
    Flag(
        ("--rpc-endpoint",),
        "builder.rpc_endpoint",
        "JSON-RPC with eth_blockNumber (default: http://127.0.0.1:8545)",
        ("RPC_ENDPOINT",),
    ),
    Flag(
        ("--chain-id",),
        "builder.chain_id",
        "chain whose transactions are taken (default: 1)",
        ("CHAIN_ID",),
    ),
)

_PEERING: Final = (
    Flag(
        ("--builder-confighub-endpoint", "--builderhub-endpoint"),
        "peering.hub_endpoint",
        "the builder hub, through the attested client",
        ("BUILDER_CONFIGHUB_ENDPOINT", "BUILDERHUB_ENDPOINT"),
    ),
    Flag(("--peers-file",), "peering.peers_file", "JSON list of peers instead of a hub"),
    Flag(
        ("--builder-name",),
        "peering.node_name",
        "this node's name at the hub",
        ("BUILDERNET_NODE_NAME", "BUILDER_NAME"),
    ),
    Flag(
        ("--orderflow-signer-key-file",),
        "peering.signing_key_file",
        "file with the key that signs what is sent on (default: a new key)",
        ("ORDERFLOW_SIGNER_KEY_FILE",),
    ),
    Flag(
        ("--registered-certificate-file",),
        "peering.registered_certificate_file",
        "certificate that HAProxy shows, to be registered at the hub",
    ),
    Flag(
        ("--flashbots-orderflow-signer-address",),
        "peering.flashbots_address",
        "signer that may send to the system side besides the peers",
        ("FLASHBOTS_ORDERFLOW_SIGNER_ADDRESS",),
    ),
    Flag(
        ("--connections-per-peer",),
        "peering.connections_per_peer",
        "most connections to one peer (default: 10)",
        ("CONN_PER_PEER",),
    ),
    Flag(
        ("--peer.update-interval-s",),
        "peering.update_interval_s",
        "how often the list of peers is fetched (default: 30)",
        ("PEER_UPDATE_INTERVAL_S",),
    ),
)

_EVIDENCE: Final = (
    Flag(
        ("--peer-measurements",),
        "evidence.measurements",
        "file with the images that peers of the hub's list may run",
    ),
    Flag(
        ("--dangerously-trust-hub",),
        "evidence.dangerously_trust_hub",
        "believe the hub's list without evidence",
        boolean=True,
    ),
)

_ARCHIVE: Final = (
    Flag(
        ("--orderflow-archive-endpoint",),
        "archive.endpoint",
        "the redistribution archive",
        ("ORDERFLOW_ARCHIVE_ENDPOINT",),
    ),
    Flag(("--archive-spool-dir",), "archive.spool_dir", "where orders wait for the archive"),
    Flag(
        ("--disk-backup-size-reject-flow-threshold-mb",),
        "archive.reject_above_mb",
        "refuse users above so much spool (default: 1024)",
        ("DISK_BACKUP_SIZE_REJECT_FLOW_THRESHOLD_MB",),
    ),
    Flag(
        ("--disk-backup-size-resume-flow-threshold-mb",),
        "archive.resume_below_mb",
        "serve them again below (default: 512)",
        ("DISK_BACKUP_SIZE_RESUME_FLOW_THRESHOLD_MB",),
    ),
)

_LIMITS: Final = (
    Flag(
        ("--max-request-body-size-bytes", "--max-request-size"),
        "limits.max_body_bytes",
        "of a JSON-RPC request (default: 10485760)",
        ("MAX_REQUEST_BODY_SIZE_BYTES", "MAX_REQUEST_SIZE"),
    ),
    Flag(
        ("--max-txs-per-bundle",),
        "limits.max_txs_per_bundle",
        "transactions of one bundle (default: 100)",
        ("MAX_TXS_PER_BUNDLE",),
    ),
    Flag(
        (
            "--max-user-requests-per-second",
            "--max-local-requests-per-second",
            "--rate-limit-count",
        ),
        "limits.orders_per_second",
        "orders of one signer per second; 0 for no limit (default: 500)",
        ("MAX_USER_RPS", "MAX_LOCAL_RPS", "RATE_LIMIT_COUNT"),
    ),
    Flag(
        ("--http-read-timeout-s",),
        "limits.request_timeout_s",
        "longest time for one request (default: 30)",
        ("HTTP_READ_TIMEOUT_SEC",),
    ),
    Flag(
        ("--http-idle-timeout-s",),
        "limits.idle_timeout_s",
        "longest time between two requests (default: 65)",
        ("HTTP_IDLE_TIMEOUT_SEC",),
    ),
    Flag(
        ("--http.enable-gzip",),
        "limits.accept_gzip",
        "take compressed bodies",
        ("HTTP_ENABLE_GZIP",),
        boolean=True,
    ),
)

_LOGGING: Final = (
    Flag(("--log-json",), "logging.log_json", "log as JSON", ("LOG_JSON",), boolean=True),
    Flag(("--log-debug",), "logging.log_debug", "log every request", ("LOG_DEBUG",), boolean=True),
)

GO_ALONE: Final = (
    Flag(("--log-service",), "", "ignored: a log line names its logger"),
    Flag(("--log-uid",), "", "ignored: a process has a systemd invocation id", boolean=True),
    Flag(("--pprof",), "", "ignored: Go's profiler", boolean=True),
)
"""Of both Go programs, and of no use here."""

_IGNORED: Final = (
    *GO_ALONE,
    *(
        Flag((name,), "", f"ignored: {reason}")
        for name, reason in (
            ("--cert-listen-addr", "attested-proxy serves the certificate"),
            ("--cert-duration", "attested-proxy makes the certificate"),
            ("--cert-hosts", "attested-proxy makes the certificate"),
            ("--archive-worker-count", "the spool is sent in order by one worker"),
            ("--tcp.small-clients", "one pool per peer"),
            ("--tcp.big-clients", "one pool per peer"),
        )
    ),
    Flag(
        ("--enable-rate-limiting",),
        "",
        "ignored: --max-user-requests-per-second decides",
        boolean=True,
    ),
)

RECEIVER: Final = (
    *_LISTEN,
    *_BUILDER,
    *_PEERING,
    *_EVIDENCE,
    *_ARCHIVE,
    *_LIMITS,
    *_LOGGING,
    *_IGNORED,
)
