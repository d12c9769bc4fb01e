"""The page "Be the router": twelve tokens, four experts with three slots each, and the real losses of a model that was trained for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import streamlit as st

from moe_viz.components import be_router as view
from moe_viz.engine.protocol import Engine, Update
from moe_viz.records.assignment import AssignmentLosses
from moe_viz.spec import RunConfig
from moe_viz.ui.i18n import _, language
from moe_viz.ui.server import theme
from moe_viz.ui.session import address, permalink
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets import glossary, refresh
from moe_viz.ui.widgets.messages import tell
from moe_viz.ui.widgets.tables import lazy, show_table

STATE = "game_run"
STEPS, DEALS = 200, 100
"""Steps that the model is trained, and deals of twelve tokens that there are."""
SECONDS, SECONDS_PAUSED = 0.5, 5.0
MOST_SEED = 9999
WORDS = ("token", "expert", "router", "gate", "slot", "capacity", "dropped", "loss")


def config(seed: int) -> RunConfig:
    """The run whose losses are played for: points, four experts, balanced."""
    return RunConfig(task="clusters", router="switch", n_experts=4, balance_coef=0.1, seed=seed)


@dataclass
class GameRun(SessionRun):
    """deal: which twelve tokens, from 0;  game: what was measured of them (None: not yet)."""

    deal: int = 0
    game: AssignmentLosses | None = None
    kept: ClassVar[bool] = False

    def begin(self, engine: Engine, owner: str) -> None:
        self.run_id = engine.open(self.config, playing=False, owner=owner)
        engine.train_to(self.run_id, STEPS)

    def read(self, engine: Engine) -> Update:
        update = engine.read(self.open_id)
        if self.game is None and update.snapshot.step >= STEPS:
            self.game, self.changed = engine.assignment_losses(self.open_id, self.deal), True
        return update

    def forget(self) -> None:
        super().forget()
        self.game = None

    def choose(self, seed: int, deal: int) -> None:
        """Another model, or other tokens of the same one."""
        if seed != self.config.seed:
            self.leave()
            self.config = config(seed)
        self.deal, self.game = deal % DEALS, None


def game_run() -> GameRun:
    """The session's, begun as the address says."""
    if STATE not in st.session_state:
        params = address.read()
        seed, deal = (permalink.number_of(params, word) or 0 for word in ("seed", "deal"))
        st.session_state[STATE] = GameRun(config=config(min(seed, MOST_SEED)), playing=False, deal=deal % DEALS)
    return st.session_state[STATE]


def draw() -> None:
    """Be the router: send twelve tokens to experts yourself, and see how good that was."""
    run = game_run()
    if (params := address.gone_to()) is not None:
        seed, deal = (permalink.number_of(params, word) or 0 for word in ("seed", "deal"))
        if (min(seed, MOST_SEED), deal % DEALS) != (run.config.seed, run.deal):
            run.choose(min(seed, MOST_SEED), deal)
    theme.apply()
    st.markdown("#### " + _("Be the router"))
    refresh.ticking(_tick, SECONDS if run.game is None else SECONDS_PAUSED)
    if run.game is not None:
        _game(run, run.game)
    glossary.words(*WORDS, key="be_the_router")
    address.write({"v": permalink.VERSION, "lang": language(), "seed": str(run.config.seed), "deal": str(run.deal)})


def _tick() -> None:
    """Until the model is trained and measured; then only so that the run is kept."""
    refresh.begin_tick()
    run = game_run()
    shown = run.poll() or run.latest
    tell(run)
    if run.game is None:
        step = 0 if shown is None else min(shown.snapshot.step, STEPS)
        st.progress(step / STEPS, text=_("A model is trained for you: step {n} of {all}").format(n=step, all=STEPS))


def _game(run: GameRun, game: AssignmentLosses) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="game_deal"):
        st.button(_("Other tokens"), key="other_tokens", icon=":material/casino:", on_click=run.choose, args=(game.seed, run.deal + 1))  # fmt: skip
        st.button(_("Another model"), key="another_model", icon=":material/model_training:", on_click=run.choose, args=((game.seed + 1) % (MOST_SEED + 1), run.deal))  # fmt: skip
        st.caption(
            _("Model with seed {seed} after {n} steps, held-out tokens {first} to {last}. Letters: the cloud that a point comes from.").format(seed=game.seed, n=game.step, first=game.deal * 12 + 1, last=game.deal * 12 + 12)
        )  # fmt: skip
    labels = {name: _(text) for name, text in view.LABELS.items()}
    data = view.pack_game(game, {name: _(text) for name, text in view.RIVALS.items()})
    view.be_router(data, key="be_router", labels=labels)
    with lazy(_("Gates and losses as a table (shows all losses)"), "game_table") as is_open:
        if is_open:
            show_table(game.to_frame(), key="game_frame")
