package com.androidsuite.workload;

/** What a stress is asked to do. Every amount has a bound: nothing runs for ever or takes the whole device. */
final class Options {
    long seed = 1;
    long steps; // 0: until durationMs is over
    long durationMs = 10000;
    long threads = 1;
    long rate; // allocations a second and thread; 0: as fast as they can be made
    long frameBytes = 512 * 1024; // allocated by each frame
    long frameMaps = 1; // buffers mapped, drawn into and unmapped by each frame
    long frameMapBytes = 64 * 1024;
    Sizes sizes = Sizes.MIXED;
    String token = "";

    /** Where a value comes from: an intent's extras, or the arguments of a command. Null: not given. */
    interface Source {
        Object get(String key);
    }

    static Options parse(final String[] arguments) {
        for (String argument : arguments) {
            String key = argument.substring(0, Math.max(argument.indexOf('='), 0));
            if (!KEYS.contains(" " + key + " ")) {
                throw new IllegalArgumentException("'" + argument + "' is not KEY=VALUE with a key of" + KEYS);
            }
        }
        Options options = read(new Source() {
            @Override
            public Object get(String key) {
                for (String argument : arguments) {
                    if (argument.startsWith(key + "=")) {
                        return argument.substring(key.length() + 1);
                    }
                }
                return null;
            }
        });
        boolean timed = false;
        for (String argument : arguments) {
            timed |= argument.startsWith("duration_ms=");
        }
        if (!timed && options.steps == 0) {
            options.steps = 20000;
        }
        return options;
    }

    private static final String KEYS = " seed steps duration_ms threads rate sizes ";

    /** Reads what is given and leaves the rest as it is by default. Throws IllegalArgumentException with a sentence. */
    static Options read(Source source) {
        Options options = new Options();
        Object token = source.get("token");
        if (token != null) {
            options.token = token.toString();
        }
        options.seed = number(source, "seed", options.seed, Long.MIN_VALUE, Long.MAX_VALUE);
        options.steps = number(source, "steps", options.steps, 0, 1000000000L);
        options.durationMs = number(source, "duration_ms", options.durationMs, 1, 86400000L);
        options.threads = number(source, "threads", options.threads, 1, 64);
        options.rate = number(source, "rate", options.rate, 0, 10000000L);
        options.frameBytes = number(source, "ui_alloc_bytes", options.frameBytes, 0, 64L << 20);
        options.frameMaps = number(source, "ui_maps", options.frameMaps, 0, 1000);
        options.frameMapBytes = number(source, "ui_map_bytes", options.frameMapBytes, 4096, 16L << 20);
        Object sizes = source.get("sizes");
        if (sizes != null) {
            options.sizes = Sizes.of(sizes.toString());
        }
        return options;
    }

    private static long number(Source source, String key, long otherwise, long least, long most) {
        Object value = source.get(key);
        if (value == null) {
            return otherwise;
        }
        long number;
        try {
            number = Long.parseLong(value.toString());
        } catch (NumberFormatException error) {
            throw new IllegalArgumentException(key + " is '" + value + "', not a whole number");
        }
        if (number < least || number > most) {
            throw new IllegalArgumentException(key + " is " + number + "; choose " + least + " to " + most);
        }
        return number;
    }
}
