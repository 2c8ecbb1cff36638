package java.lang;

import java.util.Map;
import java.util.WeakHashMap;

/** A value for each class, computed when it is first asked for. */
public abstract class ClassValue<T> {
    private final Map<Class<?>, T> values = new WeakHashMap<>();

    protected ClassValue() {}

    protected abstract T computeValue(Class<?> type);

    public synchronized T get(Class<?> type) {
        if (!values.containsKey(type)) {
            values.put(type, computeValue(type));
        }
        return values.get(type);
    }

    public synchronized void remove(Class<?> type) {
        values.remove(type);
    }
}
