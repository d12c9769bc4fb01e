"""The worker counts the tensors of a run's model; asking changes nothing of the run."""

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer

CONFIG = RunConfig(task="clusters", router={"name": "topk", "k": 2}, n_layers=2)


def test_the_host_counts_the_models_tensors(tmp_path):
    host = Host(Trainer, RunStore(tmp_path))
    run_id = host.open(CONFIG, playing=False)
    size = host.model_size(run_id)
    assert size == Trainer(CONFIG).model_size()
    assert size.total == sum(p.numel() for p in Trainer(CONFIG).model.parameters())
    assert host.read(run_id).snapshot.step == 0
