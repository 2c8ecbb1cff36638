import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;

/** From one type to another, as Java does it between a method of an interface and what stands for it. */
final class Conversion {
    private static final Type[] PRIMITIVES = {
        Type.BOOLEAN_TYPE, Type.CHAR_TYPE, Type.BYTE_TYPE, Type.SHORT_TYPE,
        Type.INT_TYPE, Type.FLOAT_TYPE, Type.LONG_TYPE, Type.DOUBLE_TYPE,
    };
    private static final String[] BOXES = {
        "java/lang/Boolean", "java/lang/Character", "java/lang/Byte", "java/lang/Short",
        "java/lang/Integer", "java/lang/Float", "java/lang/Long", "java/lang/Double",
    };

    private Conversion() {}

    static void write(MethodVisitor code, Type from, Type to) {
        if (from.equals(to)) {
            return;
        }
        if (isPrimitive(from) && isPrimitive(to)) {
            widen(code, from, to);
        } else if (isPrimitive(from)) {
            box(code, from);
        } else if (isPrimitive(to)) {
            unbox(code, from, to);
        } else if (!to.getInternalName().equals("java/lang/Object")) {
            code.visitTypeInsn(Opcodes.CHECKCAST, to.getInternalName());
        }
    }

    private static boolean isPrimitive(Type type) {
        return type.getSort() < Type.ARRAY;
    }

    private static int indexOf(Type primitive) {
        for (int i = 0; i < PRIMITIVES.length; i++) {
            if (PRIMITIVES[i].equals(primitive)) {
                return i;
            }
        }
        throw new IllegalArgumentException("no conversion of " + primitive);
    }

    private static void box(MethodVisitor code, Type primitive) {
        String box = BOXES[indexOf(primitive)];
        String descriptor = "(" + primitive.getDescriptor() + ")L" + box + ";";
        code.visitMethodInsn(Opcodes.INVOKESTATIC, box, "valueOf", descriptor, false);
    }

    /** Of a known box its own value, widened; of anything else (Object, Number) the value that is asked for. */
    private static void unbox(MethodVisitor code, Type from, Type to) {
        Type value = to;
        String owner = BOXES[indexOf(to)];
        for (int i = 0; i < BOXES.length; i++) {
            if (BOXES[i].equals(from.getInternalName())) {
                value = PRIMITIVES[i];
                owner = BOXES[i];
            }
        }
        if (!owner.equals(from.getInternalName())) {
            code.visitTypeInsn(Opcodes.CHECKCAST, owner);
        }
        code.visitMethodInsn(
                Opcodes.INVOKEVIRTUAL, owner, value.getClassName() + "Value", "()" + value.getDescriptor(), false);
        widen(code, value, to);
    }

    private static void widen(MethodVisitor code, Type from, Type to) {
        if (from.equals(to) || isInt(from) && isInt(to)) {
            return;
        }
        boolean toLong = to.equals(Type.LONG_TYPE);
        boolean toFloat = to.equals(Type.FLOAT_TYPE);
        if (isInt(from)) {
            code.visitInsn(toLong ? Opcodes.I2L : toFloat ? Opcodes.I2F : Opcodes.I2D);
        } else if (from.equals(Type.LONG_TYPE)) {
            code.visitInsn(toFloat ? Opcodes.L2F : Opcodes.L2D);
        } else {
            code.visitInsn(Opcodes.F2D);
        }
    }

    /** Whether the virtual machine keeps it as an int. */
    private static boolean isInt(Type type) {
        return type.getSort() >= Type.BOOLEAN && type.getSort() <= Type.INT;
    }
}
