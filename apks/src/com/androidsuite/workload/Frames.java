package com.androidsuite.workload;

import android.os.MemoryFile;
import android.os.Trace;
import java.io.IOException;

/** The work of a frame beside drawing: buffers mapped and unmapped (writers of mmap_lock), and Java objects. */
final class Frames {
    private final Options options;
    private final byte[] page = new byte[4096];
    private Object garbage;

    Frames(Options options) {
        this.options = options;
    }

    void build() {
        for (long i = 0; i < options.frameMaps; i++) {
            mapAndUnmap((int) options.frameMapBytes);
        }
        for (long left = options.frameBytes; left > 0; left -= 16384) {
            garbage = new byte[(int) Math.min(left, 16384)];
        }
    }

    /** A MemoryFile is a mapping of its own: making it is mmap, closing it munmap, on the calling thread. */
    private void mapAndUnmap(int bytes) {
        Trace.beginSection("buffer");
        try {
            MemoryFile buffer = new MemoryFile("frame", bytes);
            try {
                for (int at = 0; at + page.length <= bytes; at += page.length) {
                    buffer.writeBytes(page, 0, at, page.length);
                }
            } finally {
                buffer.close();
            }
        } catch (IOException error) {
            throw new IllegalStateException("a buffer of " + bytes + " bytes cannot be mapped", error);
        } finally {
            Trace.endSection();
        }
    }
}
