package android.content.pm;

/** Signatures to compile against; the device has the class itself. */
public abstract class PackageManager {
    public static final int PERMISSION_GRANTED = 0;
}
