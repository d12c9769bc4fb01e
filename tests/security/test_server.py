"""The running server from outside, over its websocket and over HTTP: what a stranger, a foreign page or a broken client can send it."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from moe_viz.logs import RUN_ID
from moe_viz.ui.server.upload_limit import MOST_FILES
from tests.browser.lab import server
from tests.security.hostile import BAD_IDS, NASTY
from tests.websocket import Reader

WORD = "sesame-0451"
TYPED = "zq-typed-by-a-reader"
DOOR = "#### This lab asks for the class passphrase"
CALM = "This part of the page could not be drawn."
MESSAGES = 120
MB = 2**20


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A server with a passphrase: its address, its log, and what the very first visitor saw, who asked for a page by name."""
    env = {
        "MOE_VIZ_HOME": str(tmp_path_factory.mktemp("home")),
        "MOE_VIZ_PASSPHRASE": WORD,
        "MOE_VIZ_LOG_LEVEL": "debug",
    }
    log = tmp_path_factory.mktemp("log") / "server.log"
    with server(env=env, log=log) as (address, process):
        first = asyncio.run(seen(Reader(address, page="gates", ticks=False)))
        home = env["MOE_VIZ_HOME"]
        yield SimpleNamespace(address=address, process=process, log=log, first=first, home=home)


async def seen(reader):
    """The texts of a page that has finished once."""
    await reader.open()
    await reader.until(lambda reader: reader.finished)
    found = reader.texts(), [button.label for button in reader.elements("button")], reader.errors
    await reader.close()
    return found


async def inside(locked, **more):
    """A reader who has given the passphrase and whose lab is drawn."""
    reader = await Reader(locked.address, **more).open()
    await reader.until(lambda reader: DOOR in reader.texts())
    await reader.set("passphrase", WORD)
    await reader.press("enter")
    await reader.until(lambda reader: DOOR not in reader.texts() and reader.text("live_step"), 120)
    return reader


def step(reader):
    found = "".join(c for c in reader.text("live_step") or "" if c.isdigit())
    return int(found) if found else -1


def run_of(reader):
    return parse_qs(reader.query).get("run", [""])[0]


def test_no_page_opens_beside_the_door(locked):
    asked = ([DOOR], ["Enter"], [])
    assert locked.first == asked, "the first visitor of a new server came in by the name of a page"
    for page in ("", "lab", "status", "runs", "../app", "nothing"):
        assert asyncio.run(seen(Reader(locked.address, page=page, ticks=False))) == asked


def test_a_foreign_page_cannot_connect(locked):
    async def knock(origin):
        stream = locked.address.replace("http", "ws") + "/_stcore/stream"
        async with connect(stream, origin=origin, subprotocols=["streamlit"]):
            return "open"

    for origin in ("https://evil.example", "null", locked.address.replace("127.0.0.1", "127.0.0.1.evil.example")):
        with pytest.raises(InvalidStatus):
            asyncio.run(knock(origin))
    assert asyncio.run(knock(locked.address)) == "open"
    request = urllib.request.Request(locked.address + "/_stcore/health", headers={"Origin": "https://evil.example"})
    with urllib.request.urlopen(request) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


def put(locked, session, data, token=True):
    """Upload one file; the HTTP status."""
    with urllib.request.urlopen(locked.address + "/_stcore/health") as answer:
        cookie = SimpleCookie(answer.headers["Set-Cookie"])["_streamlit_xsrf"].value
    border = uuid.uuid4().hex
    body = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="../../x.png"\r\n\r\n'.encode() + data
    headers = {"Content-Type": f"multipart/form-data; boundary={border}", "Cookie": f"_streamlit_xsrf={cookie}"}
    headers |= {"X-Xsrftoken": cookie} if token else {}
    where = f"{locked.address}/_stcore/upload_file/{session}/{uuid.uuid4()}"
    request = urllib.request.Request(where, body + f"\r\n--{border}--\r\n".encode(), headers, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 413  # it does not even listen to the end


def test_uploads_are_few_small_and_from_the_page_itself(locked):
    async def tried():
        reader = await Reader(locked.address, ticks=False).open()
        await reader.until(lambda reader: reader.finished)
        session = reader._session
        found = {
            "a stranger's": await asyncio.to_thread(put, locked, str(uuid.uuid4()), b"x"),
            "without token": await asyncio.to_thread(put, locked, session, b"x", False),
            "too large": await asyncio.to_thread(put, locked, session, b"x" * (13 * MB)),
            "small": [await asyncio.to_thread(put, locked, session, b"x") for _ in range(10)],
        }
        await reader.close()
        return found

    found = asyncio.run(tried())
    assert found["a stranger's"] == 400 and found["without token"] == 403 and found["too large"] == 413
    assert found["small"] == [204] * MOST_FILES + [429] * (10 - MOST_FILES)


def messages(reader, chance):
    """Hostile messages about the widgets that are on the page: other kinds of value, impossible ones, unknown widgets, broken protobuf."""
    known = [element.id for kind in KINDS for element in reader.elements(kind) if getattr(element, "id", "")]
    known += ["", "$$ID-0-nobody", "lab_run", "door", "own_text", "$$ID-" + "A" * 2000]
    for _ in range(MESSAGES):
        message = BackMsg()
        state = message.rerun_script
        state.query_string = chance.choice(
            [
                reader.query,
                reader.query,
                reader.query,
                "run=" + chance.choice(BAD_IDS),
                "&".join(f"{w}={w}" for w in NASTY[:9]),
            ]
        )
        state.page_script_hash = chance.choice([*[reader._script] * 6, "", "x" * 32])
        state.page_name = chance.choice(["", "lab", "../x", "status"])
        if chance.random() < 0.5:
            state.fragment_id = chance.choice([*reader.intervals, "nothing"])
        for _ in range(chance.randint(1, 4)):
            state.widget_states.widgets.append(widget(chance.choice(known), chance))
        data = message.SerializeToString()
        if chance.random() < 0.15:
            data = bytes(chance.randrange(256) if chance.random() < 0.05 else b for b in data)
        yield chance.choice([data] * 9 + [bytes(chance.randrange(256) for _ in range(50)), b"", TYPED])


KINDS = (
    "button",
    "selectbox",
    "slider",
    "text_area",
    "text_input",
    "checkbox",
    "button_group",
    "bidi_component",
    "number_input",
    "file_uploader",
)


def widget(name, chance):
    text = chance.choice([*NASTY, TYPED])[:300]
    state = WidgetState(id=name)
    number = chance.choice([0, -1, 3, 2**31, -(2**62)])
    kind = chance.randrange(9)
    if kind == 0:
        state.string_value = text
    elif kind == 1:
        state.double_value = chance.choice([float("nan"), float("inf"), -1e308, 0.5])
    elif kind == 2:
        state.int_value = number
    elif kind == 3:
        state.string_array_value.data.extend([text] * chance.randint(0, 3))
    elif kind == 4:
        state.double_array_value.data.extend([float("nan"), 1e300][: chance.randint(0, 2)])
    elif kind == 5:
        state.trigger_value = True
    elif kind == 6:
        event = {
            "at": {"step": chance.choice([None, "x", number, 1e400, [], {}]), "stamp": text},
            "painted": chance.choice([text, [], {"points": number}]),
        }
        state.json_value = chance.choice(
            [json.dumps(event), "[" * 500, "{", json.dumps({"script": {}, "pictures": [], "selected": 7})]
        )
    elif kind == 7:
        state.bytes_value = text.encode("utf-8", "replace")
    else:
        state.file_uploader_state_value.uploaded_file_info.add(file_id=text, name="../../x.png")
    return state


@pytest.mark.slow
def test_no_message_harms_the_server_or_a_bystander(locked):
    async def siege():
        bystander = await inside(locked)
        await bystander.until(lambda reader: step(reader) > 0 and run_of(reader), 120)
        run, settings = run_of(bystander), parse_qs(bystander.query)
        attacker = await inside(locked, ticks=False)
        assert run_of(attacker) != run
        sent, runs = 0, set()
        for message in messages(attacker, random.Random(7)):
            try:
                if not attacker.connected:  # an earlier frame ended the connection: this message is still to be tried
                    await attacker.open()
                await attacker.send(message)
                sent += 1
                with suppress(TimeoutError):  # some get no answer at all, some share one
                    await attacker.until(lambda reader: reader._run not in runs or not reader.connected, 0.15)
            except ConnectionClosed:
                await attacker.open()  # a broken frame ends the connection, not the session
            runs.add(attacker._run)
            assert not attacker.errors and not any("Traceback" in text for text in attacker.texts())
        await attacker.close()
        at = step(bystander)
        await bystander.until(lambda reader: step(reader) > at, 120)  # not stopped, not reset, still read
        same = run_of(bystander) == run and parse_qs(bystander.query) == settings and not bystander.errors
        newcomer = await inside(locked)
        await newcomer.until(lambda reader: step(reader) > 0, 120)
        assert not newcomer.errors and run_of(newcomer) != run
        await newcomer.close()
        await bystander.close()
        return run, same, sent, len(runs)

    run, same, sent, answered = asyncio.run(siege())
    assert same and sent >= 0.8 * MESSAGES and answered > 10, (same, sent, answered)
    with urllib.request.urlopen(locked.address + "/healthz", timeout=30) as answer:
        assert answer.status == 200
    log = locked.log.read_text(encoding="utf-8") + Path(locked.home, "worker.log").read_text(encoding="utf-8")
    for secret in (WORD, TYPED, run):
        assert secret not in log, "the log repeats what only a reader may know"


def test_no_stranger_empties_the_caches(locked):
    """Streamlit would do it before `app.py` runs, so before the passphrase: every lease of every session would end, and all that is kept once."""

    async def tried():
        bystander = await inside(locked)
        await bystander.until(lambda reader: step(reader) > 0 and run_of(reader), 120)
        run = run_of(bystander)
        stranger = await Reader(locked.address, ticks=False).open()
        await stranger.until(lambda reader: reader.finished)
        for kind in ("clear_cache", "load_git_info", "set_run_on_save"):
            await stranger.send(BackMsg(**{kind: True}).SerializeToString())
        skills = BackMsg()
        skills.backend_operation_request.install_skills.SetInParent()
        await stranger.send(skills.SerializeToString())
        await stranger.rerun()
        await stranger.until(lambda reader: reader.finished > 1)
        assert not stranger.errors
        at = step(bystander)
        await bystander.until(lambda reader: step(reader) > at, 120)
        assert run_of(bystander) == run and not bystander.errors
        await stranger.close()
        await bystander.close()

    asyncio.run(tried())
    said = locked.log.read_text(encoding="utf-8")
    for kind in ("clear_cache", "load_git_info", "set_run_on_save", "backend_operation_request"):
        assert f"message_refused kind={kind}" in said


def test_a_message_too_large_is_not_even_read(locked):
    async def send(size):
        reader = await Reader(locked.address, ticks=False).open()
        await reader.until(lambda reader: reader.finished)
        message = BackMsg()
        message.rerun_script.widget_states.widgets.append(WidgetState(id="x", string_value="x" * size))
        done = reader.finished
        try:
            await reader.send(message.SerializeToString())
            await reader.rerun()
            await reader.until(lambda reader: reader.finished > done, 5)
        except (ConnectionClosed, TimeoutError):
            return "refused"
        finally:
            await reader.close()
        return "answered"

    assert asyncio.run(send(100)) == "answered"
    assert asyncio.run(send(33 * MB)) == "refused"
    assert asyncio.run(seen(Reader(locked.address, ticks=False)))[0] == [DOOR]


def test_nothing_is_served_but_the_page(locked):
    """No files of the machine or of the lab over HTTP, whatever the path."""
    secret = ("root:", "import ", "[server]", WORD)
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/app.py", "/.streamlit/config.toml", "/pages/lab.py", "/static/../app.py",
                 "/app/static/x", "/media/../../etc/passwd", "/component/x/../../../app.py", "/_stcore/bidi-components/x/../../app.py", "//etc/passwd"):  # fmt: skip
        try:
            with urllib.request.urlopen(locked.address + path, timeout=30) as answer:
                body = answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            body = error.read().decode("utf-8", "replace")
        assert not any(word in body for word in secret), path


def test_public_figures_name_no_run(locked):
    for path in ("/healthz", "/_stcore/metrics"):
        with urllib.request.urlopen(locked.address + path, timeout=30) as answer:
            body = answer.read().decode()
        assert body and not RUN_ID.search(body), path


def test_connections_that_never_finish_asking_keep_nobody_out(locked):
    port = int(locked.address.rpartition(":")[2])
    half = [socket.create_connection(("127.0.0.1", port)) for _ in range(150)]
    try:
        for one in half:
            one.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nX-Slow: ")
        start = time.monotonic()
        assert asyncio.run(seen(Reader(locked.address, ticks=False)))[0] == [DOOR]
        assert time.monotonic() - start < 20
    finally:
        for one in half:
            one.close()
