package java.lang.invoke;

import java.lang.reflect.Field;

/** The handle of a static field; ART 14 reads the field's class from it. */
final class StaticFieldVarHandle extends FieldVarHandle {
    private final Class<?> declaringClass;

    StaticFieldVarHandle(Field field) {
        super(field);
        declaringClass = field.getDeclaringClass();
    }
}
