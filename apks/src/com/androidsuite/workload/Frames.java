package com.androidsuite.workload;

import android.graphics.Bitmap;
import android.os.MemoryFile;
import android.os.Trace;
import java.io.IOException;

/** The work of a frame beside drawing: buffers mapped and unmapped (writers of mmap_lock), Java objects, native memory. */
final class Frames {
    private final Options options;
    private final byte[] page = new byte[4096];
    private final Beside beside;
    private Object garbage;

    Frames(Options options, Beside beside) {
        this.options = options;
        this.beside = beside;
    }

    void build() {
        for (long i = 0; i < options.frameMaps; i++) {
            mapAndUnmap((int) options.frameMapBytes);
        }
        for (long left = options.frameBytes; left > 0; left -= 16384) {
            garbage = new byte[(int) Math.min(left, 16384)];
        }
        for (long left = beside.nativeBytes; left > 0; left -= 16384) {
            allocateNative();
        }
    }

    /** The pixels of a bitmap come from malloc, and recycling frees them: 16 KiB, which scudo keeps for the next. */
    private static void allocateNative() {
        Bitmap pixels = Bitmap.createBitmap(64, 64, Bitmap.Config.ARGB_8888);
        pixels.eraseColor(1);
        pixels.recycle();
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
