# SPDX-License-Identifier: MIT
"""Errors of attested TLS and of the proxy."""

from typing import ClassVar

from buildernet.base.errors import BuildernetError, ConfigError
from buildernet.net.errors import RequestError


class AttestedTlsError(BuildernetError):
    """The peer does not follow one of the two protocols, or its evidence is not taken."""

    reason: ClassVar[str] = "protocol"
    """Label of the metric that counts it."""


class DocumentError(AttestedTlsError):
    """An evidence document (protocol A) or frame (protocol B) is malformed or too large."""

    reason = "document"


class PeerCertificateError(AttestedTlsError):
    """A peer's certificate is missing, not self-signed as demanded, expired, or of another kind."""

    reason = "certificate"


class ServerCertificateError(AttestedTlsError):
    """The server's certificate does not show that it is the one that was asked for."""

    reason = "server_certificate"


class PeerRefusedError(AttestedTlsError):
    """The peer offers no evidence, or evidence of a type that is not taken."""

    reason = "unattested"


class BusyError(AttestedTlsError):
    """Too many connections wait for evidence already."""

    reason = "busy"


class NodeCertificateError(ConfigError):
    """The node's own key or certificate cannot be made, stored or read."""


class UpstreamError(RequestError):
    """The other side of the proxy cannot be reached; the caller gets the reason."""

    status = 502


class UpstreamTimeoutError(RequestError):
    """The other side of the proxy does not answer in time."""

    status = 504


class UpstreamBackOffError(RequestError):
    """The last connection failed and the next attempt is not due yet."""

    status = 503


class BodyTooLargeError(RequestError):
    """A request's body is larger than the proxy takes."""

    status = 413


class BadTargetError(RequestError):
    """A request names its target in a form that a proxy of one target does not take."""
