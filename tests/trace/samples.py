"""Small whole inputs of every kind, for the fuzzer to break."""

from __future__ import annotations

from functools import cache

from google.protobuf import descriptor_pb2
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

TRACE_TEXT = b"""\
# tracer: nop
#
# entries-in-buffer/entries-written: 19/25   #P:2
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
HeapTaskDaemon-7 (    5) [001] d..2. 1.000000: sched_switch: prev_comm=HeapTaskDaemon prev_pid=7 prev_prio=124 prev_state=D|K \
==> next_comm=u i next_pid=5 next_prio=110
u i-5 (    5) [001] d..2. 1.000001: sched_waking: comm=HeapTaskDaemon pid=7 prio=124 target_cpu=000
u i-5 (    5) [001] d..2. 1.000002: sched_wakeup_new: comm=HeapTaskDaemon pid=7 prio=124 success=1 target_cpu=000
u i-5 (    5) [001] ..... 1.000003: mmap_lock_start_locking: mm=ffff888000000001 memcg_id=1 write=true
u i-5 (    5) [001] ..... 1.000004: mmap_lock_acquire_returned: mm=ffff888000000001 memcg_path=/a b write=true success=false
u i-5 (    5) [000] ..... 1.000005: mmap_lock_released: mm=ffff888000000001 memcg_id=1 write=false
CPU:0 [LOST 3 EVENTS]
u i-5 (    5) [000] ..... 1.000006: contention_begin: ffff888000000100 (flags=SPIN|WRITE)
u i-5 (    5) [000] ..... 1.000007: contention_end: ffff888000000100 (ret=-4)
u i-5 (-----) [000] ..... 1.000008: sys_madvise(start: 7f3854356000, len_in: 7fc000, behavior: 4)
u i-5 (    5) [000] ..... 1.000009: sys_madvise -> 0xfffffffffffffff4
u i-5 (    5) [000] ..... 1.000010: tracing_mark_write: B|5|Choreographer#doFrame \xc3\xa4
u i-5 (    5) [000] ..... 1.000011: sched_blocked_reason: pid=7 iowait=1 caller=rwsem_down_read_slowpath+0x1/0x2
u i-5 (    5) [000] ..... 1.000012: sched_pi_setprio: comm=u i pid=5 oldprio=120 newprio=98
u i-5 (    5) [000] ..... 1.000013: page_fault_user: address=0x7f00 ip=0x4000 error_code=0x6
u i-5 (    5) [000] ..... 1.000014: task_rename: pid=5 oldcomm=a newcomm=u i oom_score_adj=0
u i-5 (    5) [000] ..... 1.000014: task_newtask: pid=6 comm=a clone_flags=10000 oom_score_adj=0
u i-5 (    5) [000] ..... 1.000015: sys_enter: NR 28 (7f3854356000, 40000, 4, 0, 0, ffffffffffffffff)
u i-5 (    5) [000] ..... 1.000016: sys_exit: NR 28 = -22
u i-5 (    5) [000] ..... 1.000017: binder_set_priority: proc=1 thread=77 old=120 => new=98 desired=98
"""
TRACE_CMD_TEXT = b"""\
version = 6
CPU 3 is empty
cpus=6
              ls-4734  [002] 106439.675571: bprint:               select_task_rq_fair: fig: cpu=0
 gid=4
           <...>-4735  [002] 106439.675591: sched_switch:         trace-cmd:4734 [120] S ==> migration/2:18 [0]
              ls-4734  [002] 106439.675591234: sched_switch:      prev_comm=a prev_pid=1 prev_prio=2 prev_state=1024 \
next_comm=b next_pid=3 next_prio=4
              ls-4734  [002] 106439.675592: sched_wakeup:         adbd:163 [120] success=1 CPU:003
CPU:2 [12 EVENTS DROPPED]
              ls-4734  [002] 106439.675593: print:                tracing_mark_write: E|4734
              ls-4734  [002] 106439.675594: print:                ffffffff8117a44f: C|4734|Heap size (KB)|77
              ls-4734  [002] 106439.675595: sys_enter_munmap:     addr: 0x7f3854356000, len: 0x1000
              ls-4734  [002] 106439.675596: sys_exit_munmap:      0xfffffffffffffff4
              ls-4734  [002] 106439.675597: sys_enter:            id=233 args=ARRAY[00, 10, 00, 00, 00, 00, 00, 00, \
00, 10, 00, 00, 00, 00, 00, 00, 04, 00, 00, 00, \
00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00]
              ls-4734  [002] 106439.675598: mmap_lock_released:   mm=0xffff0000 memcg_id=1 write=1
              ls-4734  [002] 106439.675599: contention_begin:     lock_addr=0xffff flags=0x2
              ls-4734  [002] 106439.675600: cpu_idle <-cpu_startup_entry
"""
SYSTRACE_HTML = b"""\
<!DOCTYPE html>
<html><script class="trace-data" type="application/text">
@</script>
<script class="trace-data" type="application/text">
USER           PID  PPID     VSZ    RSS WCHAN            ADDR S NAME                       COMM
u0_a1            5     1       1      1 0                   0 S com.example.gc             com.example.gc
USER           PID   TID CMD
u0_a1            5     7 HeapTaskDaemon
</script>
<script class="trace-data">{"traceEvents": []}</script></html>
"""
EVIDENCE_TEXT = (
    b"""\
Applications Graphics Acceleration Info:
** Graphics info for pid 7 [a.b] **
Total frames rendered: 3
Janky frames: 2 (66.67%)
50th percentile: 53ms
HISTOGRAM: 5ms=1 53ms=2
Window: a.b/a.b.Main
---PROFILEDATA---
Flags,FrameTimelineVsyncId,IntendedVsync,Vsync,FrameDeadline,FrameInterval,FrameStartTime,FrameCompleted,DisplayPresentTime,
0,53499,255187871931,255187871931,255204538597,255188826099,16656453,255192411307,0,
1,53500,9223372036854775807,255187871931,255204538597,16656453,255188826099,255192411307,5,
---PROFILEDATA---
""",
    b"""\
lock_stat version 0.4
---
                         &mm->mmap_lock-W:   46    84   0.26   939.10   16371.53   194.90   47291 \
 2922365           0.16     2220301.69 17464026916.32        5975.99
                         ---------------
                           &mm->mmap_lock             96          [<ffffffff815351c4>] __do_page_fault+0x1d4/0x510
                         ---------------
                           &mm->mmap_lock              1          [<ffffffff81046fda>] dup_mmap+0x2a/0x3f0
""",
    b"""\
07-04 17:18:45.824 22935 22992 I system_server: Background young concurrent mark compact GC freed 225MB AllocSpace bytes, \
1983(40MB) LOS objects, 33% free, 339MB/512MB, paused 30.539ms,16.602ms total 2.679s
2026-09-15 15:09:30.406 +0200 929 960 W s: Long monitor contention with owner B (1536) at void a.b(C) \
waiters=0 in void d(E) for 504ms
1763907000.25 12  34 I ActivityTaskManager: Displayed com.a/.B for user 0: +1s234ms
I/AndroidSuite( 12): result part 1/2 {"frames":
I/AndroidSuite( 12): result part 2/2 3}
""",
    b"""\
Starting: Intent { cmp=com.facebook.encapp/.MainActivity (has extras) }
Status: ok
LaunchState: COLD
Activity: com.a/.B
TotalTime: 1479
WaitTime: 1482
12c00000-2ac00000 rw-p 00000000 00:00 0                                  [anon:dalvik-main space (region space)]
VmFlags: rd wr mr mw me ac um
USER  PID   TID  PPID VSZ RSS WCHAN ADDR S CMD
u0_a1 100 101 1 2 3 0 0 S Jit thread pool
vma_lock_abort 5
""",
)


@cache
def make_perfetto(variant: int) -> bytes:
    """A Perfetto trace with typed, generic, described and compact events, frames, processes, clocks, losses, symbols."""
    trace = protos.Trace()
    info = trace.packet.add().system_info.utsname
    info.release, info.machine = "6.1.57-android14-11", "aarch64"
    tree = trace.packet.add().process_tree
    tree.processes.add(pid=100, cmdline=["com.example.gc"])
    tree.threads.add(tid=101, tgid=100, name="RenderThread")
    for phase in (1, 2):
        stats = trace.packet.add().ftrace_stats
        stats.phase = phase
        stats.cpu_stats.add(cpu=0, overrun=phase)
    clocks = trace.packet.add().clock_snapshot.clocks
    clocks.add(clock_id=3, timestamp=1000)
    clocks.add(clock_id=6, timestamp=5000)
    _add_bundles(trace, variant)
    data: bytes = trace.SerializeToString()
    frame = bytes.fromhex("0a1f 08c801 10e807 18f207 20e907 2a064c6179657231 3003 3801 4000 4840 5001".replace(" ", ""))
    start = b"\x22" + sized(frame[2:])
    end = b"\x2a" + sized(b"\x08\xc8\x01")
    for ts, message in ((100, start), (900, end)):
        body = b"\x40" + varint(ts) + b"\xd0\x03\x03" + b"\x50\x04" + b"\xe2\x04" + sized(message)
        data += b"\x0a" + sized(body)
    return data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def sized(body: bytes) -> bytes:
    return varint(len(body)) + body


def _add_bundles(trace: protos.Trace, variant: int) -> None:
    for cpu in range(2):
        packet = trace.packet.add(trusted_packet_sequence_id=1, previous_packet_dropped=cpu)
        packet.interned_data.kernel_symbols.add(iid=1, str=b"rwsem_down_read_slowpath")
        bundle = packet.ftrace_events
        bundle.cpu, bundle.lost_events = cpu, bool(cpu)
        if variant & 1:
            bundle.ftrace_clock, bundle.ftrace_timestamp, bundle.boot_timestamp = 2, 10, 1000
        add = bundle.event.add
        add(timestamp=5, pid=101).sys_enter.MergeFrom(protos.SysEnterFtraceEvent(id=233, args=[1 << 40, 4096, 4]))
        add(timestamp=6, pid=101).sys_exit.MergeFrom(protos.SysExitFtraceEvent(id=233, ret=-22))
        add(timestamp=7, pid=101).print.buf = "B|100|Choreographer#doFrame\n"
        switch = protos.SchedSwitchFtraceEvent(prev_comm="a", prev_pid=101, prev_state=2, next_comm="b", next_pid=7)
        add(timestamp=8, pid=101).sched_switch.MergeFrom(switch)
        add(timestamp=9, pid=7).sched_blocked_reason.MergeFrom(
            protos.SchedBlockedReasonFtraceEvent(pid=101, caller=1, io_wait=1)
        )
        new = protos.TaskNewtaskFtraceEvent(pid=102, comm="x", clone_flags=0x10000)
        add(timestamp=10, pid=7).task_newtask.MergeFrom(new)
        generic = add(timestamp=11, pid=7).generic
        generic.event_name = "mmap_lock_start_locking"
        generic.field.add(name="mm", uint_value=(1 << 64) - 16)
        generic.field.add(name="write", str_value="true")
        message = descriptor_pb2.DescriptorProto(name="contention_begin")
        for number, name in ((1, "lock_addr"), (2, "flags")):
            message.field.add(name=name, number=number)
        bundle.generic_event_descriptors.add(field_id=70000, event_descriptor=message.SerializeToString())
        raw = (
            protos.FtraceEvent(timestamp=12, pid=7).SerializeToString()
            + varint(70000 << 3 | 2)
            + sized(b"\x08\x05\x10\x04")
        )
        add().MergeFromString(raw)
        compact = bundle.compact_sched
        compact.intern_table.extend(["HeapTaskDaemon", "ui"])
        compact.switch_timestamp.extend([20, 10, 20])
        compact.switch_prev_state.extend([1, 256, 2])
        compact.switch_next_pid.extend([7, 8, 0])
        compact.switch_next_prio.extend([124, 110, 120])
        compact.switch_next_comm_index.extend([0, 1, 9])
        compact.waking_timestamp.extend([25, 6])
        compact.waking_pid.extend([8, 7])
        compact.waking_target_cpu.extend([1, 0])
        compact.waking_prio.extend([110, 124])
        compact.waking_comm_index.extend([1, 0])


# A latency tracer's snapshot, with what it writes besides events; and the same in a kernel log.
LATENCY_TEXT = b"""# tracer: wakeup_rt
#
# wakeup_rt latency trace v1.1.5 on 6.6.1
# latency: 97 us, #19/19, CPU#3 | (M:preempt VP:0, KP:0, SP:0 HP:0 #P:8)
#  cmd     pid     |||||| time  |   caller
  <idle>-0       3d.h4.    0us :      0:120:R   + [003]    77: 94:R rt
  <idle>-0       3d.h4.    1us+: ttwu_do_activate <-try_to_wake_up
  <idle>-0       3d..3.    5us!:      0:120:R ==> [003]    77: 94:R rt
      rt-77      3.....   10us : sys_madvise(start: 7f3854356000, len_in: 7fc000, behavior: 4)
      rt-77      3.....   11us : mmap_lock_start_locking: mm=00000000454f4691 memcg_path=/ write=true
      rt-77      3d..1.   12us : contention_begin: 00000000144d9cf3 (flags=WRITE)
      gc-88     11d..2.   14us : sched_waking: comm=rt pid=77 prio=94 target_cpu=003
CPU:3 [LOST 4 EVENTS]
      rt-77      3d..1.   20us#: contention_end: 00000000144d9cf3 (ret=0)
      rt-77      3.....   21us : mmap_lock_acquire_returned: mm=00000000454f4691 memcg_path=/ write=true success=true
      rt-77      3.....   22us : print: tracing_mark_write: B|77|doFrame
      rt-77      3.....   23us : print: tracing_mark_write: E|77
      rt-77      3.....   24us : mmap_lock_released: mm=00000000454f4691 memcg_path=/ write=true
      rt-77      3.....   25us : sys_madvise -> 0x0
      rt-77      3d..3.   30us : <stack trace>
 => __schedule
[   12.345678] ---------------------------------
<6>[   12.345681][ T1234]     bash-1234    1d..2. 11111us : sched_pi_setprio: comm=bash pid=1234 oldprio=120 newprio=98
[   12.345682]   <idle>-0       1dNh2. 11112us+: sched_wakeup: comm=bash pid=1234 prio=98 target_cpu=001
"""
