package android.os;

/** Signatures to compile against; the device has the class itself. */
public class Build {
    public static class VERSION {
        public static final int SDK_INT = Integer.parseInt("0"); // no constant: the device's own value counts
    }
}
