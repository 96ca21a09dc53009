# SPDX-License-Identifier: MIT
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildernet.base import config
from buildernet.base.errors import ConfigError


@dataclass(frozen=True)
class Peer:
    name: str
    port: int = 1


@dataclass(frozen=True)
class Inner:
    listen_addr: str = "here"
    key_file: Path | None = None
    entries: int = 5
    verbose: bool = False


@dataclass(frozen=True)
class Settings:
    general: Inner = field(default_factory=Inner)
    peer: tuple[Peer, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Demanding:
    needed: str


@pytest.fixture
def load(tmp_path):
    def _load(text: str | bytes, **more):
        path = tmp_path / "c.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return config.load(Settings, path=path, **more)

    return _load


def test_without_sources_the_defaults_hold():
    assert config.load(Settings) == Settings()


def test_a_file_sets_every_kind_of_field(load):
    text = """
        words = ["a", "b"]
        [general]
        listen_addr = "there"
        key_file = "/k"
        entries = 7
        verbose = true
        [[peer]]
        name = "p"
    """
    inner = Inner("there", Path("/k"), 7, verbose=True)
    assert load(text) == Settings(inner, (Peer("p"),), ("a", "b"))


def test_the_later_source_wins(load):
    text = "[general]\nentries = 1\nlisten_addr = 'file'\n"
    env = {"T_GENERAL_ENTRIES": "2", "T_GENERAL_VERBOSE": "true", "HOME": "/"}
    found = load(text, prefix="T_", environment=env, overrides={"general.entries": "3"})
    assert found.general == Inner("file", None, 3, verbose=True)


@pytest.mark.parametrize(
    ("text", "names", "hint"),
    [
        ("[general]\nlisten_adr = ''", "general.listen_adr", "listen_addr"),
        ("[genral]", "genral", "general"),
        ("[[peer]]\nname = 'x'\nprt = 1", "peer[0].prt", "port"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(load, text, names, hint):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert names in str(caught.value)
    assert caught.value.hint == f"did you mean {hint}?"


@pytest.mark.parametrize(
    ("text", "expected", "got"),
    [
        ("[general]\nentries = true", "int", "bool"),
        ("[general]\nentries = '1'", "int", "str"),
        ("[general]\nverbose = 1", "bool", "int"),
        ("[general]\nkey_file = 1", "str", "int"),
        ("general = 1", "dict", "int"),
        ("words = 'a'", "list", "str"),
        ("words = [1]", "str", "int"),
        ("peer = [1]", "dict", "int"),
    ],
)
def test_a_value_of_another_type_is_refused(load, text, expected, got):
    with pytest.raises(ConfigError, match=f"expected {expected}, got {got}"):
        load(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("T_GENERAL_ENTRIES", "many"),
        ("T_GENERAL_ENTRIES", "9" * 5000),
        ("T_GENERAL_VERBOSE", "yes"),
        ("T_NOTHING", "x"),
    ],
)
def test_a_wrong_environment_variable_is_named(name, text):
    with pytest.raises(ConfigError, match=name):
        config.load(Settings, prefix="T_", environment={name: text})


def test_a_key_without_default_must_be_given():
    with pytest.raises(ConfigError, match="needed is missing"):
        config.load(Demanding)


def test_a_missing_file_and_a_huge_file_are_refused(load, tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        config.load(Settings, path=tmp_path / "none")
    with pytest.raises(ConfigError, match="larger than"):
        load(b"#" * (config.MAX_CONFIG_BYTES + 1))


@pytest.mark.parametrize("text", [b"\xff", b"a = ", b"a = 1\na = 2", b"a = " + b"[" * 100_000])
def test_what_is_not_toml_is_refused(load, text):
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(text)


@given(st.binary(max_size=200) | st.text(alphabet='[]{}="\n.gneralpws1tu\\', max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_file_gives_settings_or_our_error(load, raw):
    try:
        found = load(raw)
    except ConfigError:
        return
    assert isinstance(found, Settings)


@given(
    st.recursive(
        st.integers() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["name", "entries"]), inner)
        ),
        max_leaves=6,
    ),
    st.sampled_from(["general", "peer", "words"]),
)
def test_any_toml_value_gives_settings_or_our_error(value, key):
    try:
        found = config._build(Settings, {key: value}, where="f", texts={})
    except ConfigError:
        return
    assert isinstance(found, Settings)


def test_ranges_include_their_ends():
    config.require_ranges(SimpleNamespace(x=1, y=5), x=(1, 1), y=(1, 5))
    for value in (0, 2):
        with pytest.raises(ConfigError, match=f"x is {value}, must be between 1 and 1"):
            config.require_ranges(SimpleNamespace(x=value), x=(1, 1))


def test_a_flag_that_was_not_given_overrides_nothing():
    assert config.load(Settings, overrides={"words": None}) == config.load(Settings)


def test_a_name_that_is_near_none_gets_the_list(tmp_path):
    (tmp_path / "c.toml").write_text("zzzz = 1\n")
    with pytest.raises(ConfigError) as caught:
        config.load(Settings, path=tmp_path / "c.toml")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("known: ")
    assert "words" in caught.value.hint


def test_the_shipped_default_file_names_every_key_with_its_default():
    from buildernet.system_api.config import SystemApiConfig

    path = Path(__file__).parents[3] / "services/config/system-api.toml"
    shown = "\n".join(
        line.removeprefix("#")
        for line in path.read_text().splitlines()
        if not line.startswith("# ")
    )
    general = SystemApiConfig().general
    assert tomllib.loads(shown)["general"] == {
        name: str(value) if isinstance(value, Path) else value
        for name in general.__dataclass_fields__
        for value in [getattr(general, name)]
    }
    assert config.load(SystemApiConfig, path=path) == SystemApiConfig()


@pytest.mark.parametrize(
    ("text", "value"),
    [(text, True) for text in ("1", "t", "T", "true", "True", "TRUE")]
    + [(text, False) for text in ("0", "f", "F", "false", "False", "FALSE")],
)
def test_a_boolean_is_what_go_takes(text, value):
    environment = {"T_GENERAL_VERBOSE": text}
    assert config.load(Settings, prefix="T_", environment=environment).general.verbose is value


@pytest.mark.parametrize("text", ["", "yes", "on", "tRUE", "2"])
def test_anything_else_is_no_boolean(text):
    with pytest.raises(ConfigError, match="T_GENERAL_VERBOSE: expected true or false"):
        config.load(Settings, prefix="T_", environment={"T_GENERAL_VERBOSE": text})


@pytest.mark.parametrize(
    ("text", "words"), [("a", ("a",)), ("a, b,,c ", ("a", "b", "c")), ("", ())]
)
def test_the_environment_gives_a_list_with_commas(text, words):
    assert config.load(Settings, prefix="T_", environment={"T_WORDS": text}).words == words


def test_a_list_of_tables_is_only_in_the_file():
    with pytest.raises(ConfigError, match="T_PEER"):
        config.load(Settings, prefix="T_", environment={"T_PEER": "x"})
