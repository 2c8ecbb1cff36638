package com.androidsuite.workload;

/** The allocating threads of one stress: as many streams as were asked for, each with a seed of its own. */
final class StressThreads {
    private final Stress[] streams;
    private final Thread[] threads;
    private volatile boolean stopped;

    StressThreads(final Options options) {
        final long end = System.nanoTime() + options.durationMs * 1000000L;
        streams = new Stress[(int) options.threads];
        threads = new Thread[streams.length];
        Stress.Until until = new Stress.Until() {
            @Override
            public boolean reached(long allocations) {
                return stopped || (options.steps > 0 ? allocations >= options.steps : System.nanoTime() >= end);
            }
        };
        for (int i = 0; i < streams.length; i++) {
            streams[i] = new Stress(options.seed + i, options.sizes, options.rate, until);
            threads[i] = new Thread(streams[i], "stress-" + i);
        }
    }

    void start() {
        for (Thread thread : threads) {
            thread.start();
        }
    }

    /** Asks every stream to end; {@link #join} waits for it. */
    void stop() {
        stopped = true;
    }

    void join() {
        for (Thread thread : threads) {
            try {
                thread.join();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    /** What was done; to be read after {@link #join}. */
    Result describe() {
        long allocations = 0;
        long bytes = 0;
        long digest = 0;
        for (Stress stream : streams) {
            allocations += stream.allocations();
            bytes += stream.bytes();
            digest = digest * 1000003L + stream.digest();
        }
        return new Result()
                .put("threads", streams.length)
                .put("allocations", allocations)
                .put("allocated_bytes", bytes)
                .put("digest", Long.toHexString(digest));
    }
}
