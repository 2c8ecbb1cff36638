package com.androidsuite.workload;

/** Sizes of objects, in bytes, drawn from a random number. */
public enum Sizes {
    /** What an app makes: mostly small, some buffers, now and then a large object. */
    MIXED {
        @Override
        int choose(long random) {
            int kind = (int) (random >>> 33) & 15;
            int fine = (int) (random >>> 40);
            if (kind < 12) {
                return 16 + (fine & 0xfff);
            }
            return kind < 15 ? 16384 + (fine & 0x7fff) : 262144;
        }
    },
    /** 16 bytes to 4 KiB. */
    SMALL {
        @Override
        int choose(long random) {
            return 16 + ((int) (random >>> 40) & 0xfff);
        }
    },
    /** 256 KiB to 1 MiB: ART keeps each in a mapping of its own and frees it with munmap. */
    LARGE {
        @Override
        int choose(long random) {
            return 262144 + ((int) (random >>> 40) & 0xbffff);
        }
    };

    abstract int choose(long random);

    /** By the name that intents and arguments use: mixed, small, large. */
    static Sizes of(String name) {
        for (Sizes each : values()) {
            if (each.name().equalsIgnoreCase(name)) {
                return each;
            }
        }
        throw new IllegalArgumentException("sizes is '" + name + "'; choose mixed, small or large");
    }
}
