"""Names processes, also those that ended in the trace, and finds the processes that a user's name means."""

from __future__ import annotations

import pandas as pd

from android_suite.tables import events
from android_suite.tables.trace import Trace

_COMM_MAX = 15  # TASK_COMM_LEN - 1: longer names are cut, those of Android processes at the front
_EXEC, _RENAME = (events.TASK_KINDS.index(kind) for kind in ("exec", "rename"))
# ART's name for the main thread of every process that zygote did not start; it tells nothing of the process.
_OF_ANY_RUNTIME = "main"


class ProcessNames:
    """What the processes of a trace were called.

    A process has the name of its command line if the device was asked for it while it lived, and did not call ``exec``
    since; else the comm of its main thread. The file of its last ``exec`` stands in where that comm is unknown, or is
    the ``main`` of every Android runtime; and it is a further name of a process whose command line is unknown.

    Args:
        trace: tables threads, thread_lists and task are read, with the threads of one id told apart.
        tgid: process by tid; -1 where unknown.
        comm: last name by tid.
    """

    def __init__(self, trace: Trace, tgid: pd.Series, comm: pd.Series) -> None:
        self._tgid = tgid
        self._mains = comm[comm.index == tgid.to_numpy()]
        self._heard = _hear(trace, self._mains.index)
        executed = self._heard[self._heard["executed"]].drop_duplicates("tgid", keep="last").set_index("tgid")
        self._executed: dict[int, str] = dict(zip(executed.index.tolist(), executed["name"].tolist(), strict=True))
        listed = self._heard[self._heard["listed"]].groupby("tgid")["ts_ns"].max()
        listed = listed.reindex(executed.index)
        stale = set(executed.index[(executed["ts_ns"] > listed).to_numpy()])
        given = trace["threads"].drop_duplicates("tid").set_index("tid")["process"].reindex(tgid.index, fill_value="")
        given = given[(given != "").to_numpy() & (tgid >= 0).to_numpy()]
        told = given.groupby(tgid.reindex(given.index)).first()
        # A reader gives a process without a command line the comm of its main thread.
        self._told = {t: name for t, name in told.items() if t not in stale and name != self._mains.get(t)}

    def of_threads(self) -> pd.Series:
        """The name of each thread's process by tid; empty where it is unknown."""
        names = {t: self._name(t) for t in self._tgid.unique().tolist()}
        return pd.Series([names[t] for t in self._tgid.tolist()], index=self._tgid.index, dtype="str")

    def _name(self, tgid: int) -> str:
        comm = str(self._mains.get(tgid, ""))
        by_file = self._executed.get(tgid, "") if comm in ("", _OF_ANY_RUNTIME) else ""
        return self._told.get(tgid) or by_file or comm

    def are_called(self, process: str) -> pd.Series:
        """Which threads belong to the processes of that name.

        In this order, the first that finds any: by the whole name, or what a comm keeps of it; for a binary, by the
        name without its folder; by the comm of the main thread; by any name that the process had before.
        """
        own = process.rpartition("/")[2] or process
        whole, binary = _forms(process), _forms(own)
        names = {t: self._names(t) for t in self._tgid.unique().tolist() if t >= 0}
        found = [t for t, known in names.items() if known & whole]
        found = found or [t for t, known in names.items() if {name.rpartition("/")[2] for name in known} & binary]
        found = found or self._mains.index[self._mains.isin(binary)].tolist()
        found = found or self._heard.loc[self._heard["name"].isin(whole | binary), "tgid"].tolist()
        return self._tgid.isin(found)

    def _names(self, tgid: int) -> set[str]:
        """The names by which a process is found first."""
        names = {self._name(tgid)}
        if tgid not in self._told:
            names |= {str(self._mains.get(tgid, "")), self._executed.get(tgid, "")}
        return names - {""}


def _forms(name: str) -> set[str]:
    return {name, name[-_COMM_MAX:], name[:_COMM_MAX]}


def _hear(trace: Trace, mains: pd.Index) -> pd.DataFrame:
    """Every name that is told of a main thread at a known time: tgid, ts_ns, name, executed, listed; ascending by time.

    ``executed``: it is the file of an ``exec``. ``listed``: it is the process's name in a list of the device's threads.
    """
    task, lists = trace["task"], trace["thread_lists"]
    task = task[task["kind"].isin((_EXEC, _RENAME)) & task["target_tid"].isin(mains)]
    lists = lists[lists["tid"].isin(mains)]
    executed = (task["kind"] == _EXEC).to_numpy()
    columns = ["tgid", "ts_ns", "name"]
    parts = [task[["target_tid", "ts_ns", "comm"]].set_axis(columns, axis=1).assign(executed=executed, listed=False)]
    for name in ("comm", "process"):
        own = lists[["tid", "ts_ns", name]].set_axis(columns, axis=1)
        parts.append(own.assign(executed=False, listed=name == "process"))
    heard = pd.concat(parts).sort_values("ts_ns", kind="stable")
    return heard[(heard["name"] != "").to_numpy()]
