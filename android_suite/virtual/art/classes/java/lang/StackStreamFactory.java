package java.lang;

/** Natives of ART that a stack walk uses. */
class StackStreamFactory {
    static native Object nativeGetStackAnchor();

    static native int nativeFetchStackFrameInfo(
            long mode, Object anchor, int frameCount, int batchSize, int startIndex, Object[] frames);
}
