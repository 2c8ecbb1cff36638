package java.lang;

/** What every record extends. */
public abstract class Record {
    protected Record() {}

    @Override
    public abstract boolean equals(Object other);

    @Override
    public abstract int hashCode();

    @Override
    public abstract String toString();
}
