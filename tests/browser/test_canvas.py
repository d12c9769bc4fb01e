"""What holds for every canvas view: the page scrolls beneath the pointer, nothing is cut off without a word, overflow is to scale, paper
shows what the screen shows, and a translator leaves it alone."""

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from moe_viz.charts.palette import COLORS
from tests.browser.lab import NARROW, browser_page, wait_for_frames
from tests.components.traces import make_trace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 30_000
EVERY_VIEW = ["", "kind=image&tokens=64", "kind=point&k=1", "view=gate_map", "view=scrubber", "view=pictures"]
ROOT = ".mv, .scrub"


def show(page, demo, query=""):
    page.goto(f"{demo}/?{query}")
    page.locator(f"{ROOT} >> :is(.tok, canvas, input, .one) >> nth=0").or_(
        page.get_by_text("There is no picture")
    ).first.wait_for(timeout=SLOW)


def until_scrolled(page, act):
    """Whether the page scrolls by what `act` does, again and again: a panel may have to reach its own end first."""
    for _ in range(10):
        act()
        wait_for_frames(page, 6)
        if page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") > 30:
            return True
    return False


def swipe_up(page, x, y, length=90):
    """A finger on (x, y) that moves up, as the browser itself would report it."""
    client = page.context.new_cdp_session(page)
    client.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for at in range(10, length, 10):
        client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y - at}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    client.detach()


@pytest.mark.parametrize("query", EVERY_VIEW)
def test_the_page_scrolls_beneath_a_view_that_has_nothing_to_scroll_and_translators_are_told_to_leave_it(demo, query):
    with browser_page({"width": 1000, "height": 700}) as page:
        show(page, demo, f"tall=1&{query}")
        expect(page.get_by_text("line 59")).to_be_attached(timeout=SLOW)
        for root in page.locator(ROOT).all():
            assert root.evaluate("n => n.translate === false && n.classList.contains('notranslate')")
        for part in (".batch", ".experts", "canvas", "input", ROOT):
            found = page.locator(part).first
            if not found.count() or not found.is_visible():
                continue
            box = found.bounding_box()
            at = box["x"] + box["width"] / 2, min(box["y"] + box["height"] / 2, 600)
            page.mouse.move(*at)
            assert until_scrolled(page, lambda: page.mouse.wheel(0, 200)), part
            page.mouse.move(5, 5)
            page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop = 0")


@pytest.mark.parametrize("query", ["", "view=gate_map", "view=scrubber"])
def test_a_finger_on_a_view_scrolls_the_page(demo, query):
    with browser_page(NARROW) as page:
        show(page, demo, f"tall=1&{query}")
        expect(page.get_by_text("line 59")).to_be_attached(timeout=SLOW)
        box = page.locator(ROOT).first.bounding_box()
        assert until_scrolled(page, lambda: swipe_up(page, box["x"] + box["width"] / 2, box["y"] + 110))


def test_at_the_end_of_a_panel_the_page_goes_on_scrolling(demo, page):
    show(page, demo, "tall=1&experts=64")
    page.locator(".experts").hover()
    assert until_scrolled(page, lambda: page.mouse.wheel(0, 700))
    assert page.locator(".experts").evaluate("n => n.scrollTop + n.clientHeight >= n.scrollHeight - 2")


@pytest.mark.parametrize(
    ("query", "panel"), [("experts=64&k=4", ".experts"), ("kind=image&tokens=512", ".batch"), ("tokens=2048", ".batch")]
)
def test_a_clipped_panel_says_how_many_more_there_are_and_leads_to_them(demo, page, query, panel):
    show(page, demo, query)
    more = page.locator(f"{panel} .more")
    hidden = """n => { const edge = n.getBoundingClientRect().bottom + 4;
        const kind = n.querySelector('.list')?.dataset.kind === 'image' ? '.line' : '.row, .tok';
        return [...n.querySelectorAll(kind)].filter((one) => one.getBoundingClientRect().bottom > edge).length }"""
    n = page.locator(panel).evaluate(hidden)
    assert n > 0
    expect(more).to_have_text(f"↓ + {n} more")
    more.click()
    expect(more).not_to_have_text(f"↓ + {n} more")
    page.locator(panel).evaluate("n => n.scrollTo(0, n.scrollHeight)")
    expect(more).to_be_hidden()


def test_what_is_all_in_view_has_no_hint(demo, page):
    show(page, demo)
    expect(page.locator(".more:visible")).to_have_count(0)


# Every stroke and area that a canvas draws, as [what, x, y, w, h, dashed].
DRAWN = """(node) => {
  const said = [], dash = { on: false };
  const ctx = new Proxy({ set: {} }, { get: (own, name) => name in own.set ? own.set[name] : (...at) => {
    if (name === 'setLineDash') dash.on = at[0].length > 0;
    if (['moveTo', 'fillRect', 'strokeRect', 'arc', 'pattern'].includes(name)) said.push([name, ...at.slice(name === 'pattern' ? 3 : 0), dash.on]);
  }, set: (own, name, value) => { own.set[name] = value; return true; } });
  node.picture(ctx, node.clientWidth, node.clientHeight);
  return said;
}"""


@pytest.mark.parametrize("viewport", [None, NARROW])
def test_overflow_is_as_long_as_it_is_large(demo, viewport):
    query = {"k": 1, "capacity": 0.25, "skew": 4}
    trace = make_trace(k=1, capacity_factor=0.25, skew=4, moment=3)
    lost = [int((~trace.kept[trace.expert == e]).sum()) for e in range(8)]
    assert max(lost) > 60 and len({n for n in lost if n}) > 2
    with browser_page(viewport) as page:
        show(page, demo, "&".join(f"{name}={value}" for name, value in query.items()))
        drawn = page.locator(".slots").evaluate(DRAWN)
        rows = page.locator(".slots").evaluate(
            """n => { const top = n.getBoundingClientRect().top;
                return [...n.parentElement.querySelectorAll('.row')].map((row) => { const b = row.getBoundingClientRect(); return [b.top - top, b.bottom - top] }) }"""
        )
        remarks = page.locator(".remark").all_inner_texts()
        crosses = any(what[0] == "moveTo" for what in drawn)
        widths = []
        for (top, bottom), n, remark in zip(rows, lost, remarks):
            mine = [what for what in drawn if top <= what[2] <= bottom]
            if crosses:
                marks = [what[1] for what in mine if what[0] == "moveTo"]
                assert len(marks) == 2 * n, "one cross, which is two strokes, for each dropped route"
                widths.append(max(marks) - min(marks) if marks else 0)
            else:
                widths.append(sum(what[3] for what in mine if what[0] == "pattern"))
            assert (f"{n} dropped" in remark) == (n > 0)
        full = [(width, n) for width, n in zip(widths, lost) if n > 20]
        scale = [width / n for width, n in full]
        assert max(scale) / min(scale) < 1.25


@pytest.mark.parametrize("kind", ["text", "image", "point"])
def test_a_dropped_token_is_drawn_as_its_legend_shows(demo, page, kind):
    show(page, demo, f"kind={kind}&k=1&capacity=0.5")
    dropped = page.locator(".tok[data-state=dropped]").count()
    assert dropped > 10

    def signs(drawn):
        return sum(1 for what in drawn if what[0] == "strokeRect" and what[-1])

    assert signs(page.locator(".under").evaluate(DRAWN)) == dropped
    legend = page.locator(".key", has_text="dropped: goes on").locator("canvas")
    assert signs(legend.evaluate(DRAWN)) == 1
    route = page.locator(".key", has_text="a dropped route").locator("canvas")
    assert [what[0] for what in route.evaluate(DRAWN)] == ["moveTo", "moveTo"]


def test_the_title_names_batch_step_and_layer_and_shares_name_their_whole(demo, page):
    show(page, demo)
    expect(page.locator(".facts")).to_have_text("Probe batch, step 103, layer 1 · 8 experts, dropless")
    expect(page.locator(".legend")).to_contain_text("share of the 512 routes asked for")
    expect(page.locator(".legend")).to_contain_text("colour: the expert")
    show(page, demo, "view=gate_map")
    expect(page.locator(".facts")).to_have_text("Gate map, step 103, layer 1")
    page.locator(".stage canvas").click(position={"x": 40, "y": 40})
    expect(page.locator(".place")).to_contain_text("x \u22120.")


def test_the_list_of_pictures_does_not_change_under_the_reader_with_every_step(demo, page):
    show(page, demo, "tick=0.4")
    step, name = page.locator(".mv").evaluate("n => [n.dataset.step, n.dataset.title]")
    expect(page.locator(".mv")).not_to_have_attribute("data-step", step)
    assert page.locator(".mv").get_attribute("data-title") == name


PAPER = """() => {
  const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('.mv'), sheet = root.querySelector('.paper');
  const box = (n) => { const b = n.getBoundingClientRect(); return { x: b.x, y: b.y, w: b.width, h: b.height, fill: n.getAttribute('fill'), text: n.textContent } };
  return { shown: getComputedStyle(sheet).display, others: [...root.children].filter((n) => n !== sheet && n.offsetHeight).length, width: sheet.getBoundingClientRect().width,
    texts: [...sheet.querySelectorAll('text')].map(box), rects: [...sheet.querySelectorAll('rect')].map(box),
    tokens: [...root.querySelectorAll('.tok')].map((n) => [n.textContent, n.dataset.x]) };
}"""


def colour(number):
    return COLORS[(int(number) - 1) % len(COLORS)].lower()


def test_on_paper_every_letter_lies_on_the_tint_of_its_expert_and_every_buffer_beside_its_expert(demo):
    with browser_page(scheme="dark") as page:
        show(page, demo, "tick=0.4")
        page.set_viewport_size({"width": 760, "height": 1000})
        page.emulate_media(media="print")
        page.locator(".paper").wait_for()
        step = page.locator(".mv").get_attribute("data-step")
        expect(page.locator(".mv")).not_to_have_attribute("data-step", step)  # some ticks later it is still true
        paper = page.evaluate(PAPER)
        assert paper["shown"] == "block" and paper["others"] == 0 and paper["width"] <= 760
        texts, at = paper["texts"], 0
        tints = {name: [r for r in paper["rects"] if r["fill"] == name] for name in map(str.lower, COLORS)}
        for token, number in paper["tokens"]:
            at = next(
                i for i in range(at, len(texts) - 1) if (texts[i]["text"], texts[i + 1]["text"]) == (token, number)
            )
            letter = texts[at]
            middle = letter["x"] + letter["w"] / 2, letter["y"] + letter["h"] / 2
            under = [r for r in tints[colour(number)] if contains(r, middle)]
            assert under, f"{token!r} of expert {number} at {middle}"
            at += 2
        for number in range(1, 9):
            chip, share = next((t, u) for t, u in pairwise(texts) if t["text"] == str(number) and "%" in u["text"])
            right = share["x"] + share["w"]
            row = [r for r in tints[colour(number)] if r["x"] > right and abs(r["y"] - chip["y"]) < 30]
            assert bool(row) == (share["text"] != "0 %"), f"the buffer of expert {number}"


def contains(r, at):
    return r["x"] - 0.5 <= at[0] <= r["x"] + r["w"] + 0.5 and r["y"] - 0.5 <= at[1] <= r["y"] + r["h"] + 0.5


@pytest.mark.parametrize("query", ["capacity=0.75&filling=1&tokens=64", "view=gate_map"])
def test_a_print_shows_the_view_complete_and_at_rest_and_the_screen_is_as_before(demo, page, query):
    show(page, demo, query)
    before = page.locator(".mv").evaluate("n => n.innerText")
    if "filling" in query:
        page.locator(".replay").click()
        expect(page.locator(".mv[data-replaying]")).to_be_visible()
    page.evaluate(
        """() => addEventListener('beforeprint', () => {
            const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('.mv');
            window.printed = { sheets: root.querySelectorAll('.paper').length, replaying: 'replaying' in root.dataset,
                               texts: [...root.querySelectorAll('.paper text')].map((n) => n.textContent) };
        })"""
    )
    assert page.pdf()[:4] == b"%PDF"
    printed = page.evaluate("window.printed")
    assert printed["sheets"] == 1 and not printed["replaying"]
    assert any("step 103, layer 1" in text for text in printed["texts"])
    expect(page.locator(".paper")).to_have_count(0)
    assert page.locator(".mv").evaluate("n => n.innerText") == before


TRANSLATED = """(root) => {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) if (walker.currentNode.textContent.trim() && walker.currentNode.parentElement.tagName !== 'STYLE') found.push(walker.currentNode);
  for (const text of found) {
    const outer = document.createElement('font'), inner = document.createElement('font');
    inner.textContent = `⟦${text.textContent}⟧`;
    outer.append(inner);
    text.replaceWith(outer);
  }
  return found.length;
}"""


def test_what_a_translator_wrapped_all_the_same_is_up_to_date_again_with_the_next_update(demo, page):
    show(page, demo, "tick=0.4")
    assert page.locator(".mv").evaluate(TRANSLATED) > 100
    wrong = """() => { const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('.mv');
        return ![...root.querySelectorAll('.facts, .share, .remark, .tok, .tab, .switch')].some((n) => n.textContent.startsWith('⟦')) }"""
    page.wait_for_function(wrong, timeout=SLOW)
    step = page.locator(".mv").get_attribute("data-step")
    expect(page.locator(".facts")).to_contain_text("Probe batch, step ")
    expect(page.locator(".mv")).not_to_have_attribute("data-step", step)
