# SPDX-License-Identifier: MIT
"""What everybody on the machine could read is refused, or said."""

from argparse import ArgumentParser, Namespace

import pytest

from buildernet.base.errors import UsageError
from buildernet.base.flags import add_flags
from buildernet.builder_hub.argv_secrets import refuse_password, warnings
from buildernet.builder_hub.flags import FLAGS


def parsed(*words: str) -> Namespace:
    parser = ArgumentParser()
    add_flags(parser, FLAGS)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://a:s3cret@b/c",
        "postgres://a:@b/c",
        "postgres://b/c?password=s3cret",
    ],
)
def test_password_of_the_database_is_no_argument(url: str) -> None:
    with pytest.raises(UsageError, match="list of processes") as caught:
        refuse_password(parsed("--postgres-dsn", url))
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert "database_url_file" in str(caught.value.hint)


@pytest.mark.parametrize("url", ["", "postgres://a@b/c", "sqlite:///x", "postgres://[::1"])
def test_an_address_alone_is_fine(url: str) -> None:
    refuse_password(parsed(f"--postgres-dsn={url}"))
    refuse_password(parsed())


def test_hash_as_an_argument_is_deprecated() -> None:
    assert warnings(parsed()) == []
    (warning,) = warnings(parsed("--admin-basic-password-bcrypt", "$2b$x"))
    assert "deprecated" in warning
    assert "basic_password_bcrypt_file" in warning
    assert "$2b$" not in warning
