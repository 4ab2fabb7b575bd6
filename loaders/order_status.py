"""Order statuses, and the statuses beside each.

The lists of neighbours are paged, so a batch of theirs belongs to one search: `next_statuses(limit=12, skip=0, …)`.
Equal searches make equal batches, and so share their statements.
"""

from functools import partial

import sql
from loaders.batch import many, one

order_status = sql.load("order_status")

order_status_by_id = one(order_status.by_ids, parameter="ids", column="id", tables=("order_statuses",))
order_status_by_code = one(order_status.by_codes, parameter="codes", column="code", tables=("order_statuses",))
order_status_set_by_id = one(order_status.sets_by_ids, parameter="ids", column="id")

next_statuses = partial(many, order_status.next_by_status_ids, parameter="status_ids", column="status_id")
next_count = partial(one, order_status.next_count_by_status_ids, parameter="status_ids", column="status_id")
previous_statuses = partial(many, order_status.previous_by_status_ids, parameter="status_ids", column="next_status_id")
previous_count = partial(
    one, order_status.previous_count_by_status_ids, parameter="status_ids", column="next_status_id"
)
