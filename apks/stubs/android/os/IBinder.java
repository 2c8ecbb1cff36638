package android.os;

/** Signatures to compile against; the device has the class itself. */
public interface IBinder {}
