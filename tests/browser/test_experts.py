"""The Experts page in a real browser: its numbers against the same run trained here, its files read back, its refusals."""

import re
from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect

from moe_viz.records import specialisation, table_files, token_identity
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from tests.browser.lab import NARROW, browser_page, wait_for_pictures, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000
SMALL = {
    "task": "domains",
    "d_model": 16,
    "d_hidden": 16,
    "batch_tokens": 128,
    "n_experts": 4,
    "seed": 3,
    "device": "cpu",
}
VIEWS = {
    "Tokens": "Token ids seen at least 10 times",
    "Over time": "The probe batch at up to 60 kept moments",
    "Together": "How often two experts are chosen",
    "Layers": "Load of each expert in each layer",
    "Likeness": "Two experts can compute the same",
    "Bias": "no selection bias",
}
"""The small views, and what each of them says or shows."""
LINK = "&".join(f"{word}={value}" for word, value in SMALL.items()) + "&speed=20"


def here(step, frozen=False):
    """The same run, trained by the test itself."""
    torch.set_num_threads(1)
    trainer = Trainer(RunConfig.from_flat({**SMALL, "freeze_router": frozen}))
    trainer.run(step)
    return trainer


def look(page):
    """Pause, press Update, and say which step the page now shows."""
    page.locator(".st-key-play button").first.click()
    expect(page.locator(".st-key-play button").first).to_contain_text("Play", timeout=SLOW)
    wait_for_pictures(page, 2)
    page.locator(".st-key-update_moment button").first.click()
    now = re.search(r"\d+", page.locator(".st-key-live_step").inner_text(timeout=SLOW)).group()
    expect(page.locator(".st-key-as_of")).to_contain_text(f"step {now},", timeout=SLOW)
    return int(now)


def row(page, which):
    cells = page.locator(".st-key-domain_numbers tr", has_text=which).locator("td, th").all_inner_texts()
    return [float(cell) for cell in cells[1:]]


def expected(trainer, layer=0):
    trace = trainer.analyse().traces[layer]
    guess = token_identity.predictability(trace)
    beyond = token_identity.information_beyond_token(trace) - token_identity.information_beyond_token_null(trace).mean()
    chance = specialisation.domain_information_null(trace).mean()
    return [specialisation.domain_information(trace), chance, beyond, guess.by_token, guess.by_load]


def view(page, name):
    page.locator(".st-key-experts_view").get_by_text(name, exact=True).click()


def switch(page, word):
    page.locator(f".st-key-{word} label").first.click()


@pytest.mark.slow
def test_learned_and_frozen_numbers_files_and_ablation(address):
    with browser_page() as page:
        page.goto(f"{address}/experts?{LINK}")
        page.locator(".st-key-domain_numbers").wait_for(timeout=SLOW)
        wait_for_step(page, 30, 120)
        step = look(page)
        learned, frozen = here(step), here(step, frozen=True)
        expect(page.locator(".st-key-domain_numbers")).to_contain_text(f"{expected(learned)[3]:.2f}", timeout=SLOW)
        assert row(page, "Learned") == pytest.approx(expected(learned), abs=0.0051)

        switch(page, "frozen_router")
        page.locator(".st-key-domain_numbers tr", has_text="Frozen").wait_for(timeout=SLOW)
        assert row(page, "Frozen") == pytest.approx(expected(frozen), abs=0.0051)
        says = str(token_identity.verdict(expected(learned)[0], expected(frozen)[0], expected(learned)[1]))
        assert says in page.locator(".st-key-verdict").inner_text()

        page.locator(".st-key-take_domains button").first.click()
        for form, read in (("csv", table_files.read_csv), ("parquet", table_files.read_parquet)):
            with page.expect_download(timeout=SLOW) as download:
                page.locator(f".st-key-take_domains-frozen_{form} button").first.click(timeout=SLOW)
            table, said = read(Path(download.value.path()).read_bytes())
            truth = specialisation.domain_specialisation(frozen.analyse().traces[0])
            for domain in truth:
                assert table[table["domain"] == domain]["share"].tolist() == pytest.approx(truth[domain].tolist())
            assert said["step"] == step and said["seed"] == 3
        link = said["open_in_the_lab"]
        assert link.startswith(address) and "d_model=16" in link and "seed=3" in link
        page.keyboard.press("Escape")

        view(page, "Switch off")
        page.locator(".st-key-switch_off button").first.click(timeout=SLOW)
        most = page.locator(".st-key-most_needed_learned")
        most.wait_for(timeout=SLOW)
        base = learned.switch_off(step, 0, None)
        group = learned.analyse().sequence_groups()
        rise = {
            (e + 1, d): (learned.switch_off(step, 0, e) - base)[group == d].mean() for e in range(4) for d in set(group)
        }
        (expert, domain), change = max(rise.items(), key=lambda item: item[1])
        assert f"expert {expert} on {domain}, {change:+.3f}" in most.inner_text()

        for name, says in VIEWS.items():
            view(page, name)
            expect(page.get_by_text(says).or_(page.locator(f'[aria-label^="{says}"]')).first).to_be_visible(
                timeout=SLOW
            )
            assert page.locator(".stException").count() == 0, name

        view(page, "Domains")
        switch(page, "shuffled_labels")
        shuffled = specialisation.domain_information(specialisation.shuffled_labels(learned.analyse().traces[0]))
        expect(page.locator(".st-key-verdict")).to_contain_text(f"left, {shuffled:.2f}, is chance", timeout=SLOW)


def test_the_lab_s_tab_carries_the_same_two_controls_and_fits_a_phone(address):
    with browser_page(NARROW) as page:
        page.goto(f"{address}/?{LINK}&speed=5")
        wait_for_step(page, 3, 120)
        page.locator(".st-key-view").get_by_text("Specialise").click()
        page.locator(".st-key-domain_numbers").wait_for(timeout=SLOW)
        for word in ("shuffled_labels", "frozen_router"):
            expect(page.locator(f".st-key-{word}").first).to_be_visible()
        switch(page, "frozen_router")
        page.locator(".st-key-domain_numbers tr", has_text="Frozen").wait_for(timeout=SLOW)
        assert re.search(r"\d learned, \d\.\d+ frozen|learned − frozen", page.locator(".st-key-verdict").inner_text())
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth + 1")
        assert page.locator(".stException").count() == 0
