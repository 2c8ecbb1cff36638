package android.widget;

/** Signatures to compile against; the device has the class itself. */
public interface ListAdapter extends Adapter {}
