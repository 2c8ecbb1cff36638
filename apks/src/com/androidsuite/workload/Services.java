package com.androidsuite.workload;

/** Processes beside the activity: the manifest gives each of these classes one of its own. */
public final class Services {
    static final Class<?>[] ALL = {
        P1.class, P2.class, P3.class, P4.class, P5.class, P6.class, P7.class, P8.class
    };

    private Services() {}

    /** The process :p1. */
    public static final class P1 extends HelperService {}

    /** The process :p2. */
    public static final class P2 extends HelperService {}

    /** The process :p3. */
    public static final class P3 extends HelperService {}

    /** The process :p4. */
    public static final class P4 extends HelperService {}

    /** The process :p5. */
    public static final class P5 extends HelperService {}

    /** The process :p6. */
    public static final class P6 extends HelperService {}

    /** The process :p7. */
    public static final class P7 extends HelperService {}

    /** The process :p8. */
    public static final class P8 extends HelperService {}
}
