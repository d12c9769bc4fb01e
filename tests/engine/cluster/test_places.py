"""Places: which runs count where, and how many actors a machine gets."""

import asyncio

from moe_viz.engine.cluster import places
from tests.engine.cluster.fake_ray import FakeRay


class Reported:
    """A place whose signs of life say what the test says."""

    def __init__(self):
        self.place = places.Place(FakeRay({}), self, "node", "machine")

    def report(self, **runs):
        about = {
            name: {"active": active, "steps_per_second": 0.0, "ms_per_step": None} for name, active in runs.items()
        }
        status = {"runs": about, "active": sum(runs.values()), "max_runs": 4}

        async def heartbeat(*_):
            return places.Heartbeat(status if runs else {}, [])

        self.place._ask = heartbeat
        asyncio.run(self.place.heartbeat())
        return self.place.load[0]


def test_a_place_counts_each_run_once_whoever_tells_of_it_first():
    """The status may come before the answer that a run was opened, or long after it."""
    reported = Reported()
    place = reported.place
    place.coming += 1
    assert reported.report(abcdef=True) == 1, "on its way, and already in the status"
    place.arrived(["abcdefghijklmnop"])
    place.coming -= 1
    assert place.load[0] == 1 and reported.report(abcdef=True) == 1
    place.arrived(["ghijklmnopqrstuv"])
    assert place.load[0] == 2 and reported.report() == 2, "a long step: no status"
    assert reported.report(abcdef=True) == 2, "asked before it was opened"
    assert reported.report(abcdef=True, ghijkl=True) == 2 and reported.report(abcdef=True, ghijkl=False) == 1


def test_a_run_that_has_left_a_place_does_not_count_there():
    reported = Reported()
    reported.place.arrived(["abcdefghijklmnop", "ghijklmnopqrstuv"])
    reported.place.left("abcdefghijklmnop")
    assert reported.place.load[0] == 1 and reported.report(abcdef=True, ghijkl=True) == 1


def test_one_actor_owns_a_gpu(tmp_path):
    async def started():
        ray = FakeRay({"a": {"CPU": 16.0, "GPU": 2.0}, "b": {"CPU": 3.0}, "c": {}})
        served = []
        them = places.Places(ray, None, None, None)

        async def serve(node, machine, on_gpu):
            served.append((node, on_gpu))

        them._serve = serve
        await them.look()
        await asyncio.sleep(0)
        return sorted(served)

    assert asyncio.run(started()) == [("a", True)] * 2 + [("b", False)] * 3
