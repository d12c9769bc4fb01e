"""Several runs in lock-step, watched as one: what the Gates page and the twins share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from moe_viz.engine.protocol import Engine, Update
from moe_viz.spec import RunConfig
from moe_viz.ui.session.permalink import Problem, runs_of
from moe_viz.ui.session.run_cookie import remembered
from moe_viz.ui.session.watched import Notice, Watched, lease


@dataclass
class RunGroup(Watched[list[Update]]):
    """Runs that advance together: one play, pause, step or reset moves all. run_ids: empty until the engine has opened them, or those of
    the address."""

    run_ids: list[str] = field(default_factory=list, kw_only=True)
    problems: list[Problem] = field(default_factory=list, kw_only=True)
    """What of the address could not be used."""
    shared: bool = field(default=False, kw_only=True)
    """They were opened by a link that somebody else may have, too."""

    @property
    @abstractmethod
    def configs(self) -> list[RunConfig]:
        """What the runs are opened with, in order. Raises ValueError where they cannot be."""

    @property
    def first_run_id(self) -> str | None:
        return self.run_ids[0] if self.run_ids else None

    @property
    def beginning(self) -> tuple[str | None, int]:
        """Which runs these are, and which (re)start of them."""
        return self.first_run_id, self.latest[0].epoch if self.latest else -1

    def apply(self, look: list[Update]) -> None:
        """Others may have stopped them, or started them again."""
        if look[0].playing != self.playing:
            self.playing, self.changed = look[0].playing, True

    def begin(self, engine: Engine, owner: str) -> None:
        self.run_ids = engine.open_group(self.configs, playing=self.playing, owner=owner)

    def _begin(self) -> bool:
        if begun := super()._begin():
            remembered().know_group(self.open_id)
        return begun

    def read(self, engine: Engine) -> list[Update]:
        return engine.read_group(self.run_ids)

    def notices_of(self, look: list[Update]) -> list[Notice]:
        return [notice for update in look for notice in update.notices]

    def forget(self) -> None:
        self.run_ids, self.shared = [], False

    def become_own_copy(self) -> None:
        """Begin the same runs anew, which nobody else has; those of the link stay to the others."""
        with self.lock:
            self.forget()
            self.latest = None

    def accept_sharing(self) -> None:
        """The reader knows that others have these runs."""
        self.shared = False

    def go_on_with(self, params: Mapping[str, str]) -> None:
        """Watch the runs that an address names, if there are as many as there are settings for."""
        run_ids = runs_of(params)
        if run_ids and len(run_ids) == len(self.configs):
            self.run_ids = run_ids
            self.shared = run_ids[0] not in remembered().groups
            remembered().know_group(run_ids[0])
            lease(run_ids[0])
