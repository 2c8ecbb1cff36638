package java.lang;

/** One frame of a stack walk, filled by ART. */
class StackFrameInfo {
    Class<?> declaringClass;
    String fileName;
    String methodName;
    Class<?> methodType;
    StackTraceElement ste;
    int bci;
    int lineNumber;
    boolean retainClassRef;
}
