from android_suite.evidence.maps import is_userfaultfd, parse_smaps
from android_suite.evidence.vmstat import measure_vmstat_change, parse_vmstat

SMAPS = """\
12c00000-2ac00000 rw-p 00000000 00:00 0                                  [anon:dalvik-main space (region space)]
Size:             393216 kB
VmFlags: rd wr mr mw me ac um
7f3854356000-7f3854b52000 ---p 00000000 00:00 0
VmFlags: mr mw me nr
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_smaps() -> None:
    vmas = parse_smaps(SMAPS)
    assert vmas["start"].tolist() == [0x12C00000, 0x7F3854356000, 0xFFFFFFFFFF600000]
    assert vmas["name"].tolist() == ["[anon:dalvik-main space (region space)]", "", "[vsyscall]"]
    assert vmas["vm_flags"].tolist() == ["rd wr mr mw me ac um", "mr mw me nr", ""]
    assert is_userfaultfd(vmas).tolist() == [True, False, False]
    assert parse_smaps("garbage\n").empty


def test_vmstat_change() -> None:
    before = parse_vmstat("vma_lock_abort 5\nnr_free_pages 100\nonly_before 1\nbroken\n")
    after = parse_vmstat("nr_free_pages 90\nvma_lock_abort 12\nonly_after 1\n")
    change = measure_vmstat_change(before, after)
    assert dict(zip(change["name"], change["value"], strict=True)) == {"nr_free_pages": -10, "vma_lock_abort": 7}
