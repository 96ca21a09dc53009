# SPDX-License-Identifier: MIT
"""The one error of this package."""


class ManifestError(Exception):
    """The image cannot be described or signed; ``hint`` says what to do."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.hint = hint
