package android.widget;

/** Signatures to compile against; the device has the class itself. */
public abstract class BaseAdapter implements ListAdapter {}
