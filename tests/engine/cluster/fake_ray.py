"""What `places` and `cluster` use of Ray, in one process: the actors are real `HostActor`s that train, only the machines are not."""

import asyncio
from types import SimpleNamespace


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class Method:
    def __init__(self, handle, name):
        self.handle, self.name = handle, name

    async def remote(self, *args):
        self.handle.check()
        answer = asyncio.ensure_future(getattr(self.handle.actor, self.name)(*args))
        await asyncio.wait({answer, self.handle.death}, return_when=asyncio.FIRST_COMPLETED)
        self.handle.check()
        return answer.result()


class Handle:
    """death: done once the actor is dead. mute: its calls never end, as behind a cut cable."""

    def __init__(self, actor, node):
        self.actor, self.node = actor, node
        self.death = asyncio.get_running_loop().create_future()
        self.calls = []

    def __getattr__(self, name):
        self.calls.append(name)
        return Method(self, name)

    def check(self):
        if self.death.done():
            raise RayError("The actor died.")


def _only_there(node, soft):
    """An actor that may go elsewhere (soft) would be counted where it is not."""
    assert soft is False
    return node


class FakeRay:
    """A cluster of nodes with some cores each."""

    def __init__(self, cores):
        self.cores = dict(cores)
        self.handles = []
        self.asked = []
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=_only_there)
        self.util = SimpleNamespace(scheduling_strategies=strategies)

    def nodes(self):
        return [
            {"NodeID": name, "Alive": True, "NodeManagerHostname": f"machine-{name}", "Resources": resources}
            for name, resources in self.cores.items()
        ]

    def remote(self, kind):
        def options(*, num_cpus, num_gpus, max_restarts, max_task_retries, max_concurrency, scheduling_strategy):
            self.asked.append({"cpus": num_cpus, "gpus": num_gpus, "restarts": (max_restarts, max_task_retries)})
            self.asked[-1]["calls_at_once"] = max_concurrency

            def make(settings):
                self.handles.append(Handle(kind(settings), scheduling_strategy))
                return self.handles[-1]

            return SimpleNamespace(remote=make)

        return SimpleNamespace(options=options)

    def kill(self, handle):
        if not handle.death.done():
            handle.death.set_result(None)
            handle.actor._requests.put(None)

    def lose(self, node):
        """The machine is gone, with all it had."""
        del self.cores[node]
        for handle in self.handles:
            if handle.node == node:
                self.kill(handle)
