"""A host of the engine in this process, in place of the training process that pages ask."""

from moe_viz.engine.worker.host import Host


class ReadyHost(Host):
    """Always ready, as far as pages can see."""

    def revive(self):
        pass

    def ready(self):
        return True
