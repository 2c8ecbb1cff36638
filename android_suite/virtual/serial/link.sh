# Part of init for a kernel without a driver for the network card, see serial.py: adb comes through a serial port of this
# name, which may be plugged in only now. Waits as long for it as init does for the card.
find_port() {
    for name in /sys/class/virtio-ports/*/name; do
        [ -e "$name" ] && [ "$(cat "$name")" = android-suite.adb ] && port=${name%/name} && return
    done
    return 1
}
while ! find_port && [ $tries -gt 0 ]; do
    echo 1 > /sys/bus/pci/rescan # a kernel without PCIe hotplug finds the card only so
    sleep 0.1
    tries=$((tries - 1))
done
if [ -n "$port" ]; then
    /system/bin/serial_adb "/dev/${port##*/}" > /tmp/serial_adb.log 2>&1 &
else
    echo "android-suite: no network card" > /dev/console
fi
