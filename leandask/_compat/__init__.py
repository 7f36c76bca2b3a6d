"""What leandask uses of `distributed` beyond its public interface, and why.

Everything here can change with an upstream release. Each name has a test in
``tests/test_compat.py`` that fails by that name. The files named are `distributed`'s.
"""

from leandask._compat.caches import (
    HOSTS,
    KEY_CACHES,
    get_key_cache,
    set_key_cache,
)
from leandask._compat.commands import (
    is_own_process,
    scheduler_factory,
)
from leandask._compat.connections import (
    on_connection,
    replace_buffers,
    replace_memory_samples,
)
from leandask._compat.intake import (
    STEPS,
    copy_graph,
    count_graph_bytes,
    get_task_maker,
    go_around_reading,
    mark_graph,
    move_frames,
    run_after_reading,
    set_task_maker,
)
from leandask._compat.pages import (
    add_to_menu,
    get_http_prefix,
    has_pages,
    replace_collectors,
)
from leandask._compat.plugins import (
    forwarding_plugins,
)
from leandask._compat.scheduler import (
    AsyncTaskGroup,
    compact_heap,
    forget_handlers,
    get_background_tasks,
    get_connections,
    get_log_handler,
    get_message_log,
    get_owner_of_unknown_durations,
    get_profile,
    get_propagation,
    get_running_prefixes,
    get_sizer,
    get_status_stream,
    get_topics,
    set_background_tasks,
    set_broker,
    set_log_handler,
    set_message_log,
    set_propagation,
    set_topics,
    share_tasks,
)
from leandask._compat.spans import (
    fold_groups,
    get_nthreads_offset,
    get_span_code,
    get_span_metadata,
    get_span_metrics,
    get_types,
    rename_type,
    set_nthreads_offset,
    set_span_metrics,
)
from leandask._compat.specs import (
    NO_KEYS,
    SPEC_KINDS,
    watch_new_tasks,
)
from leandask._compat.tasks import (
    differences,
    set_transitions,
)

__all__ = [
    "HOSTS",
    "KEY_CACHES",
    "NO_KEYS",
    "SPEC_KINDS",
    "STEPS",
    "AsyncTaskGroup",
    "add_to_menu",
    "compact_heap",
    "copy_graph",
    "count_graph_bytes",
    "differences",
    "fold_groups",
    "forget_handlers",
    "forwarding_plugins",
    "get_background_tasks",
    "get_connections",
    "get_http_prefix",
    "get_key_cache",
    "get_log_handler",
    "get_message_log",
    "get_nthreads_offset",
    "get_owner_of_unknown_durations",
    "get_profile",
    "get_propagation",
    "get_running_prefixes",
    "get_sizer",
    "get_span_code",
    "get_span_metadata",
    "get_span_metrics",
    "get_status_stream",
    "get_task_maker",
    "get_topics",
    "get_types",
    "go_around_reading",
    "has_pages",
    "is_own_process",
    "mark_graph",
    "move_frames",
    "on_connection",
    "rename_type",
    "replace_buffers",
    "replace_collectors",
    "replace_memory_samples",
    "run_after_reading",
    "scheduler_factory",
    "set_background_tasks",
    "set_broker",
    "set_key_cache",
    "set_log_handler",
    "set_message_log",
    "set_nthreads_offset",
    "set_propagation",
    "set_span_metrics",
    "set_task_maker",
    "set_topics",
    "set_transitions",
    "share_tasks",
    "watch_new_tasks",
]
