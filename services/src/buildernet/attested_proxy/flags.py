# SPDX-License-Identifier: MIT
"""Flags and environment variables of the two tools this one replaces, mapped to our settings.

`cvm-reverse-proxy` (protocol A) and `attested-tls-proxy` (protocol B) name the same thing
differently; both names work.
"""

from dataclasses import replace
from typing import Final

from buildernet.base.flags import Flag

_PEERS: Final = (
    Flag(
        ("--allowed-remote-attestation-type",),
        "peers.allowed_remote_attestation_type",
        "none, tdx, dcap-tdx, gcp-tdx, qemu-tdx or azure-tdx",
        ("ALLOWED_REMOTE_ATTESTATION_TYPE",),
    ),
    Flag(
        ("--dangerously-accept-any-measurement",),
        "peers.dangerously_accept_any_measurement",
        "take every image that real hardware vouches for",
        boolean=True,
    ),
    Flag(("--collateral",), "peers.collateral", "file with collateral; nothing is fetched then"),
    Flag(("--pccs-url",), "peers.pccs_url", "where collateral is fetched (default: Intel)"),
    Flag(("--collateral-dir",), "peers.collateral_dir", "folder that keeps fetched collateral"),
    Flag(
        ("--trust-root",), "peers.trust_root", "root to believe instead of Intel's; simulated TEE"
    ),
    Flag(
        ("--azure-ak-roots",), "peers.azure_ak_roots", "the same for Azure's vTPMs; simulated TEE"
    ),
    Flag(("--azure-ak-issuers",), "peers.azure_ak_issuers", "intermediates that peers do not send"),
    Flag(
        ("--dangerously-accept-azure-without-ak-certificate",),
        "peers.dangerously_accept_azure_without_ak_certificate",
        "take Azure documents of protocol A whose vTPM nobody certified",
        boolean=True,
    ),
    Flag(
        ("--override-azure-outdated-tcb", "--override-azurev6-tcbinfo"),
        "peers.override_azure_outdated_tcb",
        "take hosts that are out of date",
        ("OVERRIDE_AZURE_OUTDATED_TCB", "OVERRIDE_AZUREV6_TCBINFO"),
        boolean=True,
    ),
)

_LOGGING: Final = (
    Flag(("--log-json",), "logging.log_json", "log as JSON", ("LOG_JSON",), boolean=True),
    Flag(("--log-debug",), "logging.log_debug", "log every request", ("LOG_DEBUG",), boolean=True),
)

_TLS: Final = (
    Flag(
        ("--tls-certificate-path",),
        "tls_certificate_path",
        "PEM chain to present",
        ("TLS_CERTIFICATE_PATH",),
    ),
    Flag(
        ("--tls-private-key-path",),
        "tls_private_key_path",
        "PEM key of it",
        ("TLS_PRIVATE_KEY_PATH",),
    ),
    Flag(("--tsm-dir",), "tsm_dir", "folder of configfs-tsm's reports"),
)

_LISTEN: Final = (
    Flag(("--listen-addr",), "listen_addr", "where to listen", ("LISTEN_ADDR",)),
    Flag(
        ("--listen-addr-healthcheck",),
        "listen_addr_healthcheck",
        "where to serve /livez, /readyz and /metrics in plain HTTP (default: nowhere)",
        ("LISTEN_ADDR_HEALTHCHECK",),
    ),
)

SERVER: Final = (
    *_LISTEN,
    Flag(("--target-addr",), "target_addr", "where requests go", ("TARGET_ADDR",)),
    Flag(("--target-secret-file",), "target_secret_file", "secret to show it in a header"),
    Flag(
        ("--server-attestation-type",),
        "server_attestation_type",
        "auto, none, dcap-tdx, gcp-tdx, qemu-tdx or azure-tdx",
        ("SERVER_ATTESTATION_TYPE",),
    ),
    Flag(
        ("--measurements-file", "--client-measurements"),
        "peers.measurements",
        "file or URL; only clients with one of these measurements are served",
        ("MEASUREMENTS_FILE", "CLIENT_MEASUREMENTS"),
    ),
    *_PEERS,
    *_TLS,
    Flag(("--certificate-hosts",), "certificate_hosts", "names and addresses, with commas"),
    Flag(("--certificate-dir",), "certificate_dir", "memory-backed folder for others to read"),
    Flag(
        ("--serve-certificate",),
        "serve_certificate",
        "answer GET /cert with the node's certificate",
        boolean=True,
    ),
    *_LOGGING,
    Flag(("--client-attestation-type",), "", "ignored, as in the tool before"),
    Flag(("--client-auth",), "", "ignored: certificates are asked for when needed", boolean=True),
)

CLIENT: Final = (
    *_LISTEN,
    Flag(("--target-addr",), "target_addr", "the attested server", ("TARGET_ADDR",)),
    Flag(("--protocol",), "protocol", "a, b, b+http/1.1, b+h2 or auto"),
    Flag(("--source-address",), "source_address", "IP address of this machine to connect from"),
    Flag(
        ("--client-attestation-type",),
        "client_attestation_type",
        "auto, none, dcap-tdx, gcp-tdx, qemu-tdx or azure-tdx",
        ("CLIENT_ATTESTATION_TYPE",),
    ),
    Flag(
        ("--measurements-file", "--server-measurements"),
        "peers.measurements",
        "file or URL; only servers with one of these measurements are talked to",
        ("MEASUREMENTS_FILE", "SERVER_MEASUREMENTS"),
    ),
    *_PEERS,
    *_TLS,
    Flag(("--verify-tls",), "verify_tls", "ordinary TLS instead of attestation", boolean=True),
    Flag(
        ("--tls-ca-certificate",),
        "tls_ca_certificate",
        "PEM of who may vouch for the server's certificate (default: whom the system believes)",
        ("TLS_CA_CERTIFICATE",),
    ),
    Flag(
        ("--server-certificate-sha256",),
        "server_certificate_sha256",
        "fingerprints of the certificates the server may show, with commas",
        ("SERVER_CERTIFICATE_SHA256",),
    ),
    Flag(
        ("--dangerously-accept-unauthenticated-server", "--allow-self-signed"),
        "dangerously_accept_unauthenticated_server",
        "talk to a server that proves neither what nor who it is",
        ("DANGEROUSLY_ACCEPT_UNAUTHENTICATED_SERVER",),
        boolean=True,
    ),
    *_LOGGING,
    Flag(("--server-attestation-type",), "", "none: as --allowed-remote-attestation-type none"),
)

GET: Final = tuple(
    replace(flag, key=flag.key.removeprefix("peers."))
    for flag in (
        Flag(
            ("--expected-measurements", "--measurements-file"),
            "peers.measurements",
            "file or URL that the node must fit",
            ("MEASUREMENTS_FILE",),
        ),
        *_PEERS,
    )
)
