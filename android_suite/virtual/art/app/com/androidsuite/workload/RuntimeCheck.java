package com.androidsuite.workload;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;

/** {@code dalvikvm com.androidsuite.workload.RuntimeCheck FILE}: whether memory numbers, gc() and files work as they should. */
final class RuntimeCheck {
    private static final int KEPT = 400;
    private static final int BYTES = 40000;

    private RuntimeCheck() {}

    private static long used() {
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    private static long usedWithGarbage() {
        byte[][] kept = new byte[KEPT][];
        for (int i = 0; i < KEPT; i++) {
            kept[i] = new byte[BYTES];
        }
        return used() + kept[0][0];
    }

    /** Writes a file, reads it again and removes it; true if it was the same. */
    private static boolean writesFiles(File file) throws IOException {
        byte[] written = new byte[10000];
        for (int i = 0; i < written.length; i++) {
            written[i] = (byte) (i * 31);
        }
        try (FileOutputStream out = new FileOutputStream(file)) {
            out.write(written);
        }
        byte[] read = new byte[written.length + 1];
        int total = 0;
        try (FileInputStream in = new FileInputStream(file)) {
            for (int got; (got = in.read(read, total, read.length - total)) > 0; ) {
                total += got;
            }
        }
        boolean same = total == written.length;
        for (int i = 0; same && i < total; i++) {
            same = read[i] == written[i];
        }
        return same && file.delete();
    }

    public static void main(String[] arguments) throws IOException {
        Runtime.getRuntime().gc();
        long empty = used();
        long full = usedWithGarbage();
        Runtime.getRuntime().gc();
        long after = used();
        Result result = new Result()
                .put("max_bytes", Runtime.getRuntime().maxMemory())
                .put("empty_bytes", empty)
                .put("garbage_bytes", full - empty)
                .put("freed_bytes", full - after)
                .put("file", writesFiles(new File(arguments[0])));
        System.out.println("result " + result.render());
    }
}
