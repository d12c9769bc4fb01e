"""What readers need who hear the page, set colours or letters of their own, or write from right to left."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import browser_page, follow_menu, open_list, wait_for_step, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SLOW = 60_000
CONTRAST = """element => {
    const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const text = element.querySelector('p') ?? element;
    const [a, b] = [getComputedStyle(text).color, getComputedStyle(element).backgroundColor].map(light);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


def look(locator, *properties, pseudo=None):
    """Computed style of one element."""
    asked = {"properties": properties, "pseudo": pseudo}
    return locator.evaluate("(e, {properties, pseudo}) => properties.map((p) => getComputedStyle(e, pseudo)[p])", asked)


def test_the_page_and_each_row_declare_their_language(address):
    with browser_page() as page:
        page.goto(f"{address}/?task=domains&speed=5&lang=ru")
        page.locator(".st-key-routing .tok").first.wait_for(timeout=SLOW)
        assert page.locator("html").get_attribute("lang") == "ru"
        rows = page.locator(".st-key-routing .line").evaluate_all("rows => rows.map((row) => row.getAttribute('lang'))")
        assert rows[0] == "en" and "ru" in rows, rows
        open_list(page, "lang")
        page.get_by_role("option", name="English").click()
        expect(page.locator("html")).to_have_attribute("lang", "en", timeout=SLOW)


def test_in_a_contrast_theme_knobs_choices_and_keys_can_be_told(address):
    with browser_page(forced_colors="active") as page:
        page.goto(f"{address}/?task=domains&speed=5")
        wait_for_step(page, 1)
        track = page.locator(".stSlider [role=group] > div > div").first
        assert look(track, "borderTopStyle", "borderTopColor") == ["solid", "rgb(0, 0, 0)"]
        thumb = page.locator(".stSlider [role=group] > div > div:has(input)").first
        assert look(thumb, "backgroundColor") not in (["rgba(0, 0, 0, 0)"], ["rgb(255, 255, 255)"])
        for one, other, what in (
            (".stButtonGroup [aria-checked=true]", ".stButtonGroup [aria-checked=false]", "backgroundColor"),
            (".tab[aria-selected=true]", ".tab[aria-selected=false]", "borderBottomColor"),
        ):
            assert look(page.locator(one).first, what) != look(page.locator(other).first, what)
        switch = page.locator(".st-key-routing .switch")
        off = look(switch, "backgroundImage", pseudo="::before")
        switch.click()
        assert off != ["none"] and look(switch, "backgroundImage", pseudo="::before") not in (off, ["none"])
        chips = page.locator(".st-key-routing .row .chip")
        shades = chips.evaluate_all("chips => chips.map((chip) => getComputedStyle(chip).backgroundColor)")
        assert len(set(shades)) == 8, shades
        # a browser puts plain ground behind every letter of such a theme, which would hide the tint that is the token's key
        assert look(page.locator(".st-key-routing .tok").first, "forcedColorAdjust") == ["none"]


@pytest.mark.parametrize("view, drawn", [("routing", ".mv .tok"), ("gate_map", ".mv .stage canvas")])
def test_a_picture_that_nothing_updates_follows_the_systems_colours(demo, view, drawn):
    with browser_page() as page:
        page.goto(f"{demo}/?view={view}")
        page.locator(drawn).first.wait_for(timeout=SLOW)
        root = page.locator(".mv").first
        expect(root).to_have_attribute("data-dark", "false")
        ink = "root => root.querySelector('.legend canvas').toDataURL()"
        before = root.evaluate(ink)
        page.emulate_media(color_scheme="dark")
        expect(root).to_have_attribute("data-dark", "true", timeout=SLOW)
        assert root.evaluate(ink) != before
        page.emulate_media(color_scheme="light")
        expect(root).to_have_attribute("data-dark", "false", timeout=SLOW)
        assert root.evaluate(ink) == before


def test_the_main_button_reads_at_once_when_the_system_turns_dark_and_buffers_keep_room_beside_large_letters(address):
    with browser_page() as page:
        page.goto(f"{address}/?task=domains&speed=5")
        wait_for_step(page, 1)
        button = page.locator(".st-key-play button")
        assert button.evaluate(CONTRAST) >= 4.5
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("() => getComputedStyle(document.querySelector('.stApp')).colorScheme === 'dark'")
        page.wait_for_function(
            f"() => ({CONTRAST})(document.querySelector('.st-key-play button')) >= 4.5", timeout=5000
        )
        page.evaluate("document.documentElement.style.fontSize = '32px'")
        room = page.locator(".st-key-routing .row .room").first
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            wait_until(page, lambda: room.evaluate("e => e.clientWidth") >= 200, seconds=20)


def test_a_text_from_right_to_left_is_typed_and_shown_from_the_right(address):
    with browser_page() as page:
        page.goto(f"{address}/?task=domains&speed=by+step")
        wait_for_step(page, 0)
        page.locator(".st-key-view").get_by_text("Yours").click()
        field = page.locator(".st-key-own_text textarea")
        field.fill("שלום moe עולם")
        field.press("Control+Enter")
        assert look(field, "unicodeBidi", "textAlign") == ["plaintext", "start"]
        letters = page.locator(".st-key-own_routing .tok")
        expect(letters.first).to_have_text("ש", timeout=SLOW)
        places = letters.evaluate_all("all => all.map((e) => [e.textContent, e.getBoundingClientRect().x])")
        at = {text: x for text, x in reversed(places) if text != "·"}
        assert at["ש"] > at["ל"] > at["m"] and at["m"] < at["o"] < at["e"] and at["m"] > at["ע"], places
        letters.first.focus()
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(
            "() => [...document.querySelectorAll('*')].some((e) => e.shadowRoot?.activeElement?.dataset.t === '1')"
        )


LISTEN = """() => {
    const all = (root) => [...root.querySelectorAll('*')].flatMap((part) => [part, ...(part.shadowRoot ? all(part.shadowRoot) : [])]);
    const news = all(document.querySelector('.st-key-connection')).find((part) => part.matches('[role=status].live'));
    window.heard = [];
    new MutationObserver(() => window.heard.push(news.textContent)).observe(news, { childList: true, characterData: true, subtree: true });
}"""


def test_another_kind_of_sentence_is_announced_once_and_no_tick_is(address):
    with browser_page() as page:
        page.goto(f"{address}/?task=clusters&router=topk&k=1&balance_coef=0&shared_vector=8&speed=20")
        wait_for_step(page, 3)
        expect(page.locator(".st-key-connection [role=status].live")).to_have_text("")
        page.evaluate(LISTEN)
        expect(page.locator(".st-key-connection [role=status].live")).to_contain_text("expert", timeout=SLOW)
        first = len(page.evaluate("() => window.heard"))
        step = wait_for_step(page, 0)
        wait_for_step(page, step + 60)
        heard = page.evaluate("() => window.heard")
        assert first == 1 and len(heard) <= 5 and "" not in heard, heard
        follow_menu(page, "Gates")
        page.locator(".st-key-differences").wait_for(timeout=SLOW)
        expect(page.locator(".st-key-connection [role=status].live")).to_have_text(
            ""
        )  # that was said on the page just left


def test_without_cookies_the_page_says_what_that_means(address):
    with browser_page() as page:
        page.add_init_script("Object.defineProperty(Navigator.prototype, 'cookieEnabled', { get: () => false })")
        page.goto(f"{address}/?task=clusters&speed=5")
        said = page.locator(".st-key-connection .words")
        expect(said).to_contain_text("This browser keeps no cookies for this page", timeout=SLOW)
        page.get_by_role("button", name="Got it").click()
        expect(said).to_have_text("")
