# SPDX-License-Identifier: MIT
"""The admin's pages, as a browser without JavaScript gets them."""

import re
from html import unescape

import pytest

from tests.support.builder_hub import MEASUREMENT, RunningHub, instance_headers
from tests.support.hub_nodes import SimulatedNode

PAGES = ("/", "/measurements", "/registrations", "/attestations", "/events", "/audit")


async def show(hub: RunningHub, path: str) -> str:
    async with hub.admin.get(path) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        return await answer.text()


def forms(html: str) -> list[tuple[str, str, str]]:
    """Return action, token and wanted state of each form."""
    return re.findall(
        r'action="([^"]+)">\s*<input type="hidden" name="token" value="([^"]+)">\s*'
        r'<input type="hidden" name="enabled" value="([^"]+)">',
        html,
    )


async def send(hub: RunningHub, action: str, **form: str) -> int:
    async with hub.admin.post(action, data=form, allow_redirects=False) as answer:
        return answer.status


async def test_pages_show_and_switch(hub: RunningHub) -> None:
    for path in PAGES:
        assert "Nothing here yet" in await show(hub, path)
    await hub.add_measurement()
    await hub.add_builder()
    await hub.ask("/configuration")
    for path in ("/", "/measurements"):
        ((action, token, wanted),) = forms(await show(hub, path))
        assert wanted == "false"
        assert await send(hub, action, token=token, enabled=wanted) == 303
        assert ">inactive<" in await show(hub, path)
    assert await hub.ask("/builders", status=403) is None
    assert "GetConfig" in await show(hub, "/events")
    assert "builder_disabled" in await show(hub, "/audit")
    for path in PAGES:
        await show(hub, path)


async def test_form_without_its_own_token_changes_nothing(sqlite_hub: RunningHub) -> None:
    await sqlite_hub.add_builder("alpha")
    await sqlite_hub.add_builder("beta", ip="5.6.7.8")
    (first, token, _), (second, _, _) = forms(await show(sqlite_hub, "/"))
    assert await send(sqlite_hub, first, enabled="false") == 403
    assert await send(sqlite_hub, first, token="x", enabled="false") == 403
    assert await send(sqlite_hub, first, token="é", enabled="false") == 403
    assert await send(sqlite_hub, second, token=token, enabled="false") == 403
    assert all(one["is_active"] for one in await sqlite_hub.get("/builders"))


async def test_refusal_is_shown_on_the_page(sqlite_hub: RunningHub) -> None:
    bare = {"name": "bare", "ip_address": "9.9.9.9", "network": "n"}
    await sqlite_hub.post("/builders", bare)
    ((action, token, wanted),) = forms(await show(sqlite_hub, "/"))
    form = {"token": token, "enabled": wanted}
    async with sqlite_hub.admin.post(action, data=form) as answer:
        assert answer.status == 400
        assert "please set config" in await answer.text()


async def test_markup_in_data_stays_text(sqlite_hub: RunningHub) -> None:
    await sqlite_hub.add_builder()
    async with sqlite_hub.hub.transaction() as connection:
        await connection.exec_driver_sql("UPDATE builders SET dns_name = '<script>x</script>'")
        await connection.exec_driver_sql('UPDATE audit SET detail = \'{"a": "<b>\\""}\'')
    assert "<script>" not in await show(sqlite_hub, "/")
    assert "<b>" not in await show(sqlite_hub, "/audit")


@pytest.mark.parametrize("path", ["/?before=x", "/audit?before=x", "/events?limit=0", "/?after=-"])
async def test_malformed_page_is_refused(sqlite_hub: RunningHub, path: str) -> None:
    async with sqlite_hub.admin.get(path) as answer:
        assert answer.status == (200 if path.startswith("/?before") else 400)


async def test_further_rows_are_one_link_away(sqlite_hub: RunningHub) -> None:
    for number in range(3):
        name, ip = f"row{number}", f"9.9.9.{number}"
        await sqlite_hub.add_measurement({**MEASUREMENT, "measurement_id": name})
        await sqlite_hub.add_builder(name, ip=ip)
        posted = SimulatedNode(ip=ip).attestation_request()
        await sqlite_hub.send("/tee_attestation", posted, headers=instance_headers(ip=ip))
    for path in ("/", "/measurements", "/attestations", "/audit"):
        seen, link = "", "?limit=2"
        while link:
            html = await show(sqlite_hub, path + link)
            seen += html
            assert html.count("<tr") <= 3
            assert len(seen) < 100_000, "it never ends"
            found = re.findall(r'href="(\?[^"]+limit=2[^"]*|\?limit=2[^"]+)" rel="next"', html)
            link = unescape(found[0]) if found else ""
        assert all(f"row{number}" in seen for number in range(3))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n"),
        ("text/plain", b"token=x"),
        ("application/x-www-form-urlencoded; charset=none", b"token=x"),
        ("application/x-www-form-urlencoded", b"token=\xff"),
        ("application/x-www-form-urlencoded", b"token=%ff"),
        ("application/x-www-form-urlencoded", b"a=1&" * 20),
        ("application/x-www-form-urlencoded", b"a=" + b"1" * 2000),
        ("application/x-www-form-urlencoded", b""),
    ],
)
async def test_malformed_form_is_refused(sqlite_hub: RunningHub, kind: str, body: bytes) -> None:
    await sqlite_hub.add_builder()
    headers = {"Content-Type": kind}
    async with sqlite_hub.admin.post(
        "/builders/alpha/activation", data=body, headers=headers
    ) as answer:
        assert answer.status in (400, 403, 413)
