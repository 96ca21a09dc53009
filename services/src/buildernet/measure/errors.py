# SPDX-License-Identifier: MIT
"""Errors of the measurement tool: all mean that an input is not what it should be."""

from buildernet.base.errors import EXIT_USAGE, BuildernetError


class MeasureError(BuildernetError):
    """An input cannot be measured."""

    exit_code = EXIT_USAGE


class PEError(MeasureError):
    """Not a PE image, or a damaged one."""


class UKIError(MeasureError):
    """A PE image that is no unified kernel image, or of a kind that is not modelled."""


class DiskError(MeasureError):
    """The disk has no usable partition table, ESP or boot file."""


class FirmwareError(MeasureError):
    """The firmware has no usable TDX metadata, or its facts file is wrong."""


class DocumentError(MeasureError):
    """A measurements or events document does not follow its schema."""
