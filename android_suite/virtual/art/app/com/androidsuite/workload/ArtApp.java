package com.androidsuite.workload;

import java.util.StringTokenizer;

/** What the main thread of the app asks of Java where there is no Android: on a phone the activities do it. */
final class ArtApp {
    private static final int OBJECT_BYTES = 16384;

    private static Object garbage;
    private static StressThreads threads;

    private ArtApp() {}

    /** Short-lived objects, as many as {@link Frames} makes for a frame. */
    static void allocate(long bytes) {
        for (long left = bytes; left > 0; left -= OBJECT_BYTES) {
            garbage = new byte[(int) Math.min(left, OBJECT_BYTES)];
        }
    }

    /** Checks the arguments of a stress, KEY=VALUE separated by blanks. Returns what is wrong, or null. */
    static String check(String arguments) {
        try {
            parse(arguments);
            return null;
        } catch (IllegalArgumentException error) {
            return error.getMessage();
        }
    }

    /** Starts the threads that allocate. */
    static void start(String arguments) {
        threads = new StressThreads(parse(arguments));
        threads.start();
    }

    /** Without a regular expression, as String.split would take one: they are natives of ICU, which are not here. */
    private static Options parse(String arguments) {
        StringTokenizer words = new StringTokenizer(arguments, " ");
        String[] each = new String[words.countTokens()];
        for (int i = 0; i < each.length; i++) {
            each[i] = words.nextToken();
        }
        return Options.parse(each);
    }

    /** Ends them; returns the members of the result line. */
    static String stop() {
        threads.stop();
        threads.join();
        Runtime runtime = Runtime.getRuntime();
        long used = runtime.totalMemory() - runtime.freeMemory();
        String object = threads.describe().put("heap_used_bytes", used).render();
        threads = null;
        return object.substring(1, object.length() - 1);
    }
}
