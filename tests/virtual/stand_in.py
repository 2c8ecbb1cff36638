"""A stand-in for the kernel: a git tree of five files, with the real git, patch and make."""

from __future__ import annotations

import subprocess
from pathlib import Path

from android_suite.config import Config
from android_suite.virtual.series import Patch

# "Compiles" each .c file once it has changed, and says so in `log`. A file with the word BROKEN does not compile.
MAKEFILE = """\
tinyconfig: ; : > .config
olddefconfig: ;
Image.gz: arch/arm64/boot/Image.gz
arch/arm64/boot/Image.gz: a.o b.o
\tmkdir -p $(@D) && cat $^ > $@
%.o: %.c
\t@echo "  CC      $@"
\t@if grep -n BROKEN $< | sed "s/:.*/:9: error: 'BROKEN' undeclared/; s/^/$<:/" | grep . >&2; then exit 1; fi
\t@cp $< $@ && echo $< >> log
"""
MERGE = '#!/bin/sh\ncp "$3" "$2"\n'
VITAL = ("CONFIG_FTRACE_SYSCALLS=y", "CONFIG_VIRTIO_NET=y", "CONFIG_RD_ZSTD=y")


def git(tree: Path, *argv: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", "-C", str(tree), *identity, *argv], check=True, capture_output=True, text=True).stdout


def make_tree(tree: Path) -> Path:
    (tree / "scripts/kconfig").mkdir(parents=True)
    (tree / "Makefile").write_text(MAKEFILE)
    (tree / "scripts/kconfig/merge_config.sh").write_text(MERGE)
    (tree / "scripts/kconfig/merge_config.sh").chmod(0o755)
    (tree / "a.c").write_text("a 0\n")
    (tree / "b.c").write_text("b 0\n")
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "start")
    return tree


def change(name: str, old: str, new: str) -> Patch:
    diff = f"--- a/{name}.c\n+++ b/{name}.c\n@@ -1 +1 @@\n-{name} {old}\n+{name} {new}\n"
    return Patch(f"{name}: {new}", diff.encode())


def log(config: Config) -> list[str]:
    (file,) = config.cache.glob("trees/*/log")
    return file.read_text().split()
