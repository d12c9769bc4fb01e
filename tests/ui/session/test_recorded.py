"""The shipped recording on a page of today."""

from moe_viz.records import recording
from moe_viz.spec import RunConfig
from moe_viz.ui.session.recorded import FOLDER, recorded, recorded_run


def test_its_config_has_todays_words_and_its_own_values():
    then, now = recording.load(FOLDER).snapshot.config, recorded_run().snapshot.config
    assert RunConfig.from_flat(now).flat() == now
    assert {word: now[word] for word in then} == then
    assert recorded().snapshot is recorded_run().snapshot and not recorded().playing
