# SPDX-License-Identifier: MIT
"""The benchmark's table: a failure is shown, a missed aim is shown, a ratio needs both sides."""

from __future__ import annotations

import json

from tests.bench.figures import Figure, as_json, as_table, ratio, ratio_of_rates, take


def fail() -> float:
    raise RuntimeError("no network\nand more")


def test_a_figure_that_cannot_be_taken_says_why() -> None:
    figure = take("boot", "s", fail, aim=40)
    assert figure.value is None
    assert figure.row() == ("boot", "-", "<= 40", "not measured: no network")


def test_a_missed_aim_is_shown() -> None:
    assert Figure("boot", 41.0, "s", 40.0).row()[3].startswith("MISSED")
    assert not Figure("boot", 40.0, "s", 40.0).row()[3].startswith("MISSED")


def test_a_ratio_is_ours_by_theirs() -> None:
    assert ratio("r", Figure("a", 20.0, "s"), Figure("b", 40.0, "s")).value == 0.5
    assert ratio("r", Figure("a", 20.0, "s"), Figure("b", None, "s")).value is None
    assert ratio("r", Figure("a", None, "s"), Figure("b", 40.0, "s")).value is None


def test_table_and_json_hold_every_figure() -> None:
    figures = [Figure("boot", 12.34, "s", 40.0, "tcg"), Figure("disk", None, "MiB")]
    assert as_table(figures, "2 processors").splitlines()[3:] == [
        "boot      12.3 s  <= 40  tcg",
        "disk           -",
    ]
    document = json.loads(as_json(figures, "2 processors"))
    assert document["machine"] == "2 processors"
    assert [figure["value"] for figure in document["figures"]] == [12.34, None]


def test_a_ratio_of_rates_compares_the_time_of_one() -> None:
    fast, slow = Figure("a", 40.0, "/s"), Figure("b", 20.0, "/s")
    assert ratio_of_rates("r", fast, slow).value == 0.5
    assert ratio_of_rates("r", fast, Figure("b", None, "/s")).value is None
