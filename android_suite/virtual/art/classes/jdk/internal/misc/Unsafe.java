package jdk.internal.misc;

/** Memory without checks: the natives that ART 14 registers, and what its list of intrinsics names beside them. */
public final class Unsafe {
    private static final Unsafe theUnsafe = new Unsafe();

    private Unsafe() {}

    public static Unsafe getUnsafe() {
        return theUnsafe;
    }

    public native boolean compareAndSwapInt(Object object, long offset, int expected, int value);
    public native boolean compareAndSwapLong(Object object, long offset, long expected, long value);
    public native boolean compareAndSwapObject(Object object, long offset, Object expected, Object value);
    public native boolean compareAndSetInt(Object object, long offset, int expected, int value);
    public native boolean compareAndSetLong(Object object, long offset, long expected, long value);
    public native boolean compareAndSetReference(Object object, long offset, Object expected, Object value);
    public native int getIntVolatile(Object object, long offset);
    public native void putIntVolatile(Object object, long offset, int value);
    public native long getLongVolatile(Object object, long offset);
    public native void putLongVolatile(Object object, long offset, long value);
    public native Object getReferenceVolatile(Object object, long offset);
    public native void putReferenceVolatile(Object object, long offset, Object value);
    public native int getInt(Object object, long offset);
    public native void putInt(Object object, long offset, int value);
    public native void putOrderedInt(Object object, long offset, int value);
    public native long getLong(Object object, long offset);
    public native void putLong(Object object, long offset, long value);
    public native void putOrderedLong(Object object, long offset, long value);
    public native Object getReference(Object object, long offset);
    public native void putReference(Object object, long offset, Object value);
    public native void putOrderedObject(Object object, long offset, Object value);
    public native int getArrayBaseOffsetForComponentType(Class<?> type);
    public native int getArrayIndexScaleForComponentType(Class<?> type);
    public native int addressSize();
    public native int pageSize();
    public native long allocateMemory(long bytes);
    public native void freeMemory(long address);
    public native void setMemory(long address, long bytes, byte value);
    public native void copyMemory0(Object from, long fromOffset, Object to, long toOffset, long bytes);
    public native boolean getBoolean(Object object, long offset);
    public native byte getByte(Object object, long offset);
    public native char getChar(Object object, long offset);
    public native short getShort(Object object, long offset);
    public native float getFloat(Object object, long offset);
    public native double getDouble(Object object, long offset);
    public native void putBoolean(Object object, long offset, boolean value);
    public native void putByte(Object object, long offset, byte value);
    public native void putChar(Object object, long offset, char value);
    public native void putShort(Object object, long offset, short value);
    public native void putFloat(Object object, long offset, float value);
    public native void putDouble(Object object, long offset, double value);
    public native void unpark(Object thread);
    public native void park(boolean absolute, long time);
    public native void loadFence();
    public native void storeFence();
    public native void fullFence();
    public native byte getByte(long address);
    public native char getChar(long address);
    public native short getShort(long address);
    public native int getInt(long address);
    public native long getLong(long address);
    public native float getFloat(long address);
    public native double getDouble(long address);
    public native void putByte(long address, byte value);
    public native void putChar(long address, char value);
    public native void putShort(long address, short value);
    public native void putInt(long address, int value);
    public native void putLong(long address, long value);
    public native void putFloat(long address, float value);
    public native void putDouble(long address, double value);

    public int getIntAcquire(Object object, long offset) {
        return getIntVolatile(object, offset);
    }

    public void putIntRelease(Object object, long offset, int value) {
        putIntVolatile(object, offset, value);
    }

    public int getAndAddInt(Object object, long offset, int delta) {
        int old;
        do {
            old = getIntVolatile(object, offset);
        } while (!compareAndSetInt(object, offset, old, old + delta));
        return old;
    }

    public int getAndSetInt(Object object, long offset, int value) {
        int old;
        do {
            old = getIntVolatile(object, offset);
        } while (!compareAndSetInt(object, offset, old, value));
        return old;
    }

    public long getLongAcquire(Object object, long offset) {
        return getLongVolatile(object, offset);
    }

    public void putLongRelease(Object object, long offset, long value) {
        putLongVolatile(object, offset, value);
    }

    public long getAndAddLong(Object object, long offset, long delta) {
        long old;
        do {
            old = getLongVolatile(object, offset);
        } while (!compareAndSetLong(object, offset, old, old + delta));
        return old;
    }

    public long getAndSetLong(Object object, long offset, long value) {
        long old;
        do {
            old = getLongVolatile(object, offset);
        } while (!compareAndSetLong(object, offset, old, value));
        return old;
    }

    public boolean compareAndSetObject(Object object, long offset, Object expected, Object value) {
        return compareAndSetReference(object, offset, expected, value);
    }

    public Object getObject(Object object, long offset) {
        return getReference(object, offset);
    }

    public Object getObjectVolatile(Object object, long offset) {
        return getReferenceVolatile(object, offset);
    }

    public void putObject(Object object, long offset, Object value) {
        putReference(object, offset, value);
    }

    public void putObjectVolatile(Object object, long offset, Object value) {
        putReferenceVolatile(object, offset, value);
    }

    public Object getObjectAcquire(Object object, long offset) {
        return getReferenceVolatile(object, offset);
    }

    public void putObjectRelease(Object object, long offset, Object value) {
        putReferenceVolatile(object, offset, value);
    }

    public Object getAndSetObject(Object object, long offset, Object value) {
        Object old;
        do {
            old = getReferenceVolatile(object, offset);
        } while (!compareAndSetReference(object, offset, old, value));
        return old;
    }
}
