# SPDX-License-Identifier: MIT
"""Errors of the in-guest commands."""

from buildernet.base.errors import BuildernetError, ConfigError


class EventError(BuildernetError):
    """An event cannot be handed to system-api."""


class MeasuredBootError(BuildernetError):
    """What the firmware measured cannot be read or kept."""


class PortListError(ConfigError):
    """The list of open ports is wrong."""


class CertificateError(BuildernetError):
    """The node's certificate cannot be handed to HAProxy."""


class RegistrationError(BuildernetError):
    """The node cannot be registered at the hub now."""
