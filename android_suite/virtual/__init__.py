"""The QEMU device: kernels, image, machine; guest/ holds the sources that run inside."""
