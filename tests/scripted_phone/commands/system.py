"""Properties, settings, identity, root and reboot."""

from __future__ import annotations

from tests.scripted_phone.call import Call, command

_GROUPS = "1004(input),1007(log),1011(adb),1015(sdcard_rw),1028(sdcard_r),3001(net_bt_admin),3003(inet),3009(readproc)"


@command("getprop")
def getprop(call: Call) -> int:
    found = call.phone.state.properties
    if len(call.words) > 1:
        call.out(found.get(call.word(1), call.word(2)))
    else:
        for name in sorted(found):
            call.out(f"[{name}]: [{found[name]}]")
    return 0


@command("setprop")
def setprop(call: Call) -> int:
    name, value = call.word(1), call.word(2)
    refused = name.startswith("ro.") or (call.uid and not name.startswith(("debug.", "log.")))
    if len(call.words) != 3 or refused or len(value) > 91:
        call.err(f"Failed to set property '{name}' to '{value}'.\nSee dmesg for error reason.")
        return 1
    call.phone.state.properties[name] = value
    return 0


@command("settings")
def settings(call: Call) -> int:
    words = list(call.words)
    if "--user" in words:
        at = words.index("--user")
        del words[at : at + 2]
    verb, space = [*words, "", ""][1:3]
    if space not in call.phone.state.settings:
        call.err(f"Invalid namespace '{space}'")
        return 255
    table = call.phone.state.settings[space]
    match words[3:]:
        case [name] if verb == "get":
            call.out(table.get(name, "null"))
        case [name, value, *_] if verb == "put":
            table[name] = value
        case [name] if verb == "delete":
            call.out(f"Deleted {int(table.pop(name, None) is not None)} rows")
        case [] if verb == "list":
            for name in sorted(table):
                call.out(f"{name}={table[name]}")
        case _:
            call.err(f"Invalid command: {verb}" if verb not in ("get", "put", "delete", "list") else "Bad arguments")
            return 255
    return 0


@command("id")
def identify(call: Call) -> int:
    if call.word(1) == "-u":
        call.out(str(call.uid))
    elif call.uid == 0:
        context = "u:r:magisk:s0" if call.phone.state.root == "magisk" else "u:r:su:s0"
        call.out(f"uid=0(root) gid=0(root) groups=0(root),{_GROUPS} context={context}")
    else:
        call.out(f"uid=2000(shell) gid=2000(shell) groups=2000(shell),{_GROUPS} context=u:r:shell:s0")
    return 0


@command("uname")
def uname(call: Call) -> int:
    version = "#1 SMP PREEMPT Mon Apr 17 22:32:27 UTC 2023"
    known = {"s": "Linux", "n": "localhost", "r": call.phone.state.kernel, "v": version, "m": "aarch64", "o": "Toybox"}
    asked = "".join(call.words[1:]).replace("-", "") or "s"
    if "a" in asked:
        asked = "snrvmo"
    call.out(" ".join(known[letter] for letter in "snrvmo" if letter in asked))
    return 0


@command("getenforce")
def getenforce(call: Call) -> int:
    call.out("Enforcing")
    return 0


@command("reboot")
def reboot(call: Call) -> int:
    call.phone.reboot(call.word(1))
    return 0


@command("su")
def su(call: Call) -> int:
    """Magisk takes a script after -c; AOSP's su takes a user and a program. Without either there is no su at all."""
    words = call.words[1:]
    match call.phone.state.root:
        case "magisk" if words[:1] == ("-c",):
            program = ["/system/bin/sh", "-c", words[1]]  # further words are the script's parameters, in Magisk too
        case "su0" | "debuggable" | "adbd" if words and words[0] in ("0", "root"):
            program = list(words[1:]) or ["/system/bin/sh"]
        case "su0" | "debuggable" | "adbd":
            call.err(f"su: invalid uid/gid '{call.word(1)}'")
            return 1
        case "magisk":
            call.err("Usage: su [options] [-] [user [argument...]]")
            return 2
        case _:
            call.err("/system/bin/sh: su: inaccessible or not found")
            return 127
    process = call.phone.jail.start(program, uid=0, stdin=call.stdin, stdout=call.stdout, stderr=call.stderr)
    with call.phone.hung_up_with_me(process, call):
        status = process.wait()
    return status & 0xFF if status >= 0 else 128 - status
