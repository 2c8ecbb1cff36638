"""Names locks and causes of sleeps by the kernel function that sched_blocked_reason tells.

Kernels name either the lock's own slow path (``rwsem_down_write_slowpath``: an rwsem, but not which) or, because the
functions of the scheduler and of locks are skipped, the function that takes the lock. Only functions that take one kind of
lock name it: ``vma_prepare`` and ``move_page_tables`` take i_mmap and anon_vma, so they name none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from android_suite.analysis.jit import Array, Bools

FOLIO, WRITEBACK = "folio", "writeback"


class Cause(NamedTuple):
    """A pattern for the function, the kind of lock, whether it takes the lock for write, and the lock's name."""

    pattern: str
    kind: str
    write: bool
    name: str = ""


_END = r"(?:[.+ ]|$)"
# Before 5.x the name is that of the caller of the lock function; those for mmap_lock take mmap_sem and nothing else that
# sleeps in D.
CAUSES = (
    Cause(r"rwsem_down_read|down_read", "rwsem", False),
    Cause(r"rwsem_down_write|down_write", "rwsem", True),
    Cause(rf"(?:__anon_vma_prepare|anon_vma_clone|anon_vma_fork|unlink_anon_vmas){_END}", "rwsem", True, "anon_vma"),
    Cause(
        rf"(?:folio_lock_anon_vma_read|page_lock_anon_vma_read|rmap_walk_anon(?:_lock)?){_END}", "rwsem", False, "anon_vma"
    ),
    Cause(
        rf"(?:i_mmap_lock_write|unlink_file_vma(?:_batch_\w+)?|vma_link(?:_file)?|__remove_shared_vm_struct){_END}",
        "rwsem", True, "i_mmap",
    ),
    Cause(
        rf"(?:i_mmap_lock_read|rmap_walk_file|unmap_mapping_(?:range|pages|folio)){_END}", "rwsem", False, "i_mmap"
    ),
    Cause(r"(?:__)?(?:do_page_fault|do_user_addr_fault|get_user_pages)", "mmap_lock", False),
    Cause(
        r"(?:SyS_|__se_sys_|__arm64_sys_|sys_)(?:munmap|mprotect|mmap_pgoff|mmap|brk|madvise|mremap)", "mmap_lock", True
    ),
    Cause(r"vm_mmap_pgoff|vm_munmap|__vm_munmap", "mmap_lock", True),
    Cause(r"(?:__)?mutex_lock|__ww_mutex_lock", "mutex", True),
    Cause(r"(?:__)?rt_mutex_|rtlock_", "rtmutex", True),
    Cause(r"percpu_(?:down|rwsem)", "percpu", True),
    Cause(r"folio_wait_writeback|wait_on_page_writeback", WRITEBACK, False),
    Cause(r"(?:__)?folio_lock|(?:__)?lock_page|folio_wait_bit|folio_wait_locked|migration_entry_wait", FOLIO, True),
    Cause(r"wait_on_page_(?:bit|locked)|__wait_on_page_locked", FOLIO, True),
)  # fmt: skip
HELD = ("mmap_lock", "rwsem", "mutex", "rtmutex", "percpu")  # locks whose waiters are woken by the thread that releases


def name_causes(callers: pd.Series) -> tuple[Array, Bools, Array]:
    """Kind, mode (write) and name of the lock by each caller; kind and name are empty where it tells none."""
    which, different = pd.factorize(callers)
    texts = pd.Series(different, dtype="str")
    kind, name = (np.full(len(texts), "", object) for _ in range(2))
    write = np.zeros(len(texts), np.bool_)
    for cause in CAUSES:
        hit = texts.str.match(cause.pattern).to_numpy(dtype=bool) & (kind == "")
        kind[hit], write[hit], name[hit] = cause.kind, cause.write, cause.name
    return kind[which], write[which], name[which]
