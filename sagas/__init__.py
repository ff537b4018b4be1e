"""What can be done: one operation a file; `steps/` holds the steps that they share."""

from sagas.apply_sled_config import OPERATION as APPLY_SLED_CONFIG
from sagas.ensure_datasets import OPERATION as ENSURE_DATASETS
from sagas.format_u2 import OPERATION as FORMAT_U2
from sagas.provision_clickhouse import OPERATION as PROVISION_CLICKHOUSE
from sagas.provision_crdb import OPERATION as PROVISION_CRDB
from sagas.rotate_keys import OPERATION as ROTATE_KEYS
from sledsaga.core.define import Operation

CATALOG: tuple[Operation, ...] = (
    APPLY_SLED_CONFIG,
    ENSURE_DATASETS,
    FORMAT_U2,
    PROVISION_CLICKHOUSE,
    PROVISION_CRDB,
    ROTATE_KEYS,
)
"""Every operation that this program ships."""

__all__ = ["CATALOG"]
