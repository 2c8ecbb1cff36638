package java.lang;

/** What ART has resolved of one dex file. Its fields are those of ART 14's mirror of it; the longs are pointers. */
final class DexCache {
    private ClassLoader classLoader;
    private String location;
    private long dexFile;
    private long resolvedCallSites;
    private long resolvedFields;
    private long resolvedFieldsArray;
    private long resolvedMethodTypes;
    private long resolvedMethodTypesArray;
    private long resolvedMethods;
    private long resolvedMethodsArray;
    private long resolvedTypes;
    private long resolvedTypesArray;
    private long strings;
    private long stringsArray;

    private DexCache() {}
}
