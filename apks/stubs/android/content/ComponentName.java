package android.content;

/** Signatures to compile against; the device has the class itself. */
public final class ComponentName {}
