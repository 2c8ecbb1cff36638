package android.os;

/** Signatures to compile against; the device has the class itself. */
public class MemoryFile {
    public MemoryFile(String name, int length) throws java.io.IOException {}

    public void writeBytes(byte[] buffer, int from, int to, int count) throws java.io.IOException { throw new UnsupportedOperationException(); }

    public void close() { throw new UnsupportedOperationException(); }
}
