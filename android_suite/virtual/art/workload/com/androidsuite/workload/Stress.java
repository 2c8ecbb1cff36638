package com.androidsuite.workload;

/**
 * Heap stress, free of android.*: the same seed gives the same sequence of allocations on every Java machine.
 *
 * <p>One object is one stream of allocations, for one thread. Most objects die at once. One in eight survives in a slot
 * until another takes its place, so that a generational collector finds something in every generation.
 */
public final class Stress implements Runnable {
    /** What keeps a stream from running for ever. */
    public interface Until {
        boolean reached(long allocations);
    }

    private static final int SLOTS = 256;
    private static volatile Object sink; // an object that nothing refers to could be left out by the compiler

    private final Object[] live = new Object[SLOTS];
    private final Sizes sizes;
    private final long ratePerSecond;
    private final Until until;
    private long state;
    private long allocations;
    private long bytes;
    private long digest;

    /**
     * @param seed of the sequence
     * @param sizes of the objects
     * @param ratePerSecond allocations a second; 0: as fast as they can be made
     * @param until asked before each allocation
     */
    public Stress(long seed, Sizes sizes, long ratePerSecond, Until until) {
        this.state = seed;
        this.sizes = sizes;
        this.ratePerSecond = ratePerSecond;
        this.until = until;
    }

    /** Objects made so far. */
    public long allocations() {
        return allocations;
    }

    /** Bytes of their arrays, without headers. */
    public long bytes() {
        return bytes;
    }

    /** Of every size and slot in order: two runs that made the same objects have the same digest. */
    public long digest() {
        return digest;
    }

    @Override
    public void run() {
        long start = System.nanoTime();
        while (!until.reached(allocations)) {
            step();
            if (ratePerSecond > 0) {
                waitUntil(start + allocations * 1000000000L / ratePerSecond);
            }
        }
    }

    private void step() {
        long random = next();
        int size = sizes.choose(random);
        int slot = (random & 7) == 0 ? (int) (random >>> 3) & (SLOTS - 1) : -1;
        byte[] object = new byte[size];
        object[size - 1] = (byte) random; // the page is touched
        if (slot < 0) {
            sink = object;
        } else {
            live[slot] = object;
        }
        allocations++;
        bytes += size;
        digest = digest * 31 + size * 257L + slot;
    }

    /** splitmix64, as the model of the virtual device has it. */
    private long next() {
        state += 0x9E3779B97F4A7C15L;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    private static void waitUntil(long nanos) {
        long left = nanos - System.nanoTime();
        if (left <= 0) {
            return;
        }
        try {
            Thread.sleep(left / 1000000L, (int) (left % 1000000L));
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * Runs the stress without Android: {@code Stress [seed=1] [steps=20000 | duration_ms=N] [threads=1] [sizes=mixed] [rate=0]}.
     *
     * <p>Prints one line, {@code result {...}}, with what was done. With {@code steps} the digest depends on the seed, the
     * sizes and the number of threads alone. Exit status 2: an argument is wrong.
     */
    public static void main(String[] arguments) {
        Options options;
        try {
            options = Options.parse(arguments);
        } catch (IllegalArgumentException error) {
            System.err.println("Stress: " + error.getMessage());
            System.exit(2);
            return;
        }
        long start = System.nanoTime();
        StressThreads threads = new StressThreads(options);
        threads.start();
        threads.join();
        long ms = (System.nanoTime() - start) / 1000000L;
        System.out.println("result " + threads.describe().put("seed", options.seed).put("took_ms", ms).render());
    }
}
