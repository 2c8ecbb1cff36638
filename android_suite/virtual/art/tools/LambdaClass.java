import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Handle;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;
import org.objectweb.asm.tree.InvokeDynamicInsnNode;

/** The class that one lambda becomes: a field for each captured value, and the method of its interface. */
final class LambdaClass {
    /** The static method that stands for the call. */
    static final String MAKE = "make";

    private static final int SERIALIZABLE = 1;
    private static final int MARKERS = 2;
    private static final int BRIDGES = 4;

    private final String name;
    private final int version;
    private final String method;
    private final String makeDescriptor;
    private final Type[] captured;
    private final Handle target;
    private final Type instantiated;
    private final Set<String> interfaces = new LinkedHashSet<>();
    private final Map<String, Type> signatures = new LinkedHashMap<>();

    /** See LambdaMetafactory.altMetafactory for the arguments of the call. */
    LambdaClass(String name, int version, InvokeDynamicInsnNode call, Handle target) {
        this.name = name;
        this.version = version;
        this.target = target;
        method = call.name;
        makeDescriptor = call.desc;
        captured = Type.getArgumentTypes(call.desc);
        instantiated = (Type) call.bsmArgs[2];
        interfaces.add(Type.getReturnType(call.desc).getInternalName());
        addSignature((Type) call.bsmArgs[0]);
        if (call.bsm.getName().equals("altMetafactory")) {
            readAlternative(call.bsmArgs);
        }
    }

    private void readAlternative(Object[] arguments) {
        int flags = (Integer) arguments[3];
        int at = 4;
        if ((flags & SERIALIZABLE) != 0) {
            interfaces.add("java/io/Serializable");
        }
        if ((flags & MARKERS) != 0) {
            for (int left = (Integer) arguments[at++]; left > 0; left--) {
                interfaces.add(((Type) arguments[at++]).getInternalName());
            }
        }
        if ((flags & BRIDGES) != 0) {
            for (int left = (Integer) arguments[at++]; left > 0; left--) {
                addSignature((Type) arguments[at++]);
            }
        }
    }

    private void addSignature(Type signature) {
        signatures.put(signature.getDescriptor(), signature);
    }

    byte[] render() {
        ClassWriter writer = new ClassWriter(ClassWriter.COMPUTE_MAXS);
        int access = Opcodes.ACC_FINAL | Opcodes.ACC_SYNTHETIC | Opcodes.ACC_SUPER;
        writer.visit(version, access, name, null, "java/lang/Object", interfaces.toArray(new String[0]));
        for (int i = 0; i < captured.length; i++) {
            int kind = Opcodes.ACC_PRIVATE | Opcodes.ACC_FINAL;
            writer.visitField(kind, field(i), captured[i].getDescriptor(), null, null);
        }
        writeConstructor(writer);
        writeMake(writer);
        for (Type signature : signatures.values()) {
            writeMethod(writer, signature);
        }
        writer.visitEnd();
        return writer.toByteArray();
    }

    private static String field(int index) {
        return "value" + index;
    }

    private String constructorDescriptor() {
        return Type.getMethodDescriptor(Type.VOID_TYPE, captured);
    }

    private void writeConstructor(ClassWriter writer) {
        MethodVisitor code = writer.visitMethod(Opcodes.ACC_PRIVATE, "<init>", constructorDescriptor(), null, null);
        code.visitCode();
        code.visitVarInsn(Opcodes.ALOAD, 0);
        code.visitMethodInsn(Opcodes.INVOKESPECIAL, "java/lang/Object", "<init>", "()V", false);
        int slot = 1;
        for (int i = 0; i < captured.length; i++) {
            code.visitVarInsn(Opcodes.ALOAD, 0);
            code.visitVarInsn(captured[i].getOpcode(Opcodes.ILOAD), slot);
            code.visitFieldInsn(Opcodes.PUTFIELD, name, field(i), captured[i].getDescriptor());
            slot += captured[i].getSize();
        }
        end(code, Type.VOID_TYPE);
    }

    private void writeMake(ClassWriter writer) {
        MethodVisitor code = writer.visitMethod(Opcodes.ACC_STATIC, MAKE, makeDescriptor, null, null);
        code.visitCode();
        code.visitTypeInsn(Opcodes.NEW, name);
        code.visitInsn(Opcodes.DUP);
        int slot = 0;
        for (Type type : captured) {
            code.visitVarInsn(type.getOpcode(Opcodes.ILOAD), slot);
            slot += type.getSize();
        }
        code.visitMethodInsn(Opcodes.INVOKESPECIAL, name, "<init>", constructorDescriptor(), false);
        end(code, Type.getReturnType(makeDescriptor));
    }

    /** The method of the interface: what was captured and the parameters go to the target, its result comes back. */
    private void writeMethod(ClassWriter writer, Type signature) {
        MethodVisitor code = writer.visitMethod(Opcodes.ACC_PUBLIC, method, signature.getDescriptor(), null, null);
        code.visitCode();
        boolean isNew = target.getTag() == Opcodes.H_NEWINVOKESPECIAL;
        List<Type> wanted = new ArrayList<>(Arrays.asList(Type.getArgumentTypes(target.getDesc())));
        if (isNew) {
            code.visitTypeInsn(Opcodes.NEW, target.getOwner());
            code.visitInsn(Opcodes.DUP);
        } else if (target.getTag() != Opcodes.H_INVOKESTATIC) {
            wanted.add(0, Type.getObjectType(target.getOwner()));
        }
        for (int i = 0; i < captured.length; i++) {
            code.visitVarInsn(Opcodes.ALOAD, 0);
            code.visitFieldInsn(Opcodes.GETFIELD, name, field(i), captured[i].getDescriptor());
        }
        Type[] given = signature.getArgumentTypes();
        Type[] checked = instantiated.getArgumentTypes();
        int slot = 1;
        for (int i = 0; i < given.length; i++) {
            code.visitVarInsn(given[i].getOpcode(Opcodes.ILOAD), slot);
            slot += given[i].getSize();
            Conversion.write(code, given[i], checked[i]);
            Conversion.write(code, checked[i], wanted.get(captured.length + i));
        }
        code.visitMethodInsn(
                callOpcode(), target.getOwner(), target.getName(), target.getDesc(), target.isInterface());
        Type result = isNew ? Type.getObjectType(target.getOwner()) : Type.getReturnType(target.getDesc());
        Type returned = signature.getReturnType();
        if (returned.equals(Type.VOID_TYPE)) {
            if (result.getSize() > 0) {
                code.visitInsn(result.getSize() == 1 ? Opcodes.POP : Opcodes.POP2);
            }
        } else {
            Conversion.write(code, result, instantiated.getReturnType());
            Conversion.write(code, instantiated.getReturnType(), returned);
        }
        end(code, returned);
    }

    private int callOpcode() {
        switch (target.getTag()) {
            case Opcodes.H_INVOKESTATIC:
                return Opcodes.INVOKESTATIC;
            case Opcodes.H_INVOKEINTERFACE:
                return Opcodes.INVOKEINTERFACE;
            case Opcodes.H_INVOKEVIRTUAL:
                return Opcodes.INVOKEVIRTUAL;
            default:
                return Opcodes.INVOKESPECIAL;
        }
    }

    private static void end(MethodVisitor code, Type returned) {
        code.visitInsn(returned.getOpcode(Opcodes.IRETURN));
        code.visitMaxs(0, 0);
        code.visitEnd();
    }
}
