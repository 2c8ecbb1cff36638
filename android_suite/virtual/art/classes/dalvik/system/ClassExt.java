package dalvik.system;

/** What ART keeps of a class beside the class. Its fields are those of ART 14's mirror of it, which lays them out. */
public final class ClassExt {
    public Object classValueMap;
    private Object erroneousStateError;
    private Object instanceJfieldIDs;
    private Object jmethodIDs;
    private Class<?> obsoleteClass;
    private Object[] obsoleteDexCaches;
    private Object obsoleteMethods;
    private Object originalDexFile;
    private Object staticJfieldIDs;
    private int preRedefineClassDefIndex;
    private long preRedefineDexFilePtr;

    private ClassExt() {}
}
