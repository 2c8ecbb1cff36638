import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Handle;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;
import org.objectweb.asm.tree.AbstractInsnNode;
import org.objectweb.asm.tree.ClassNode;
import org.objectweb.asm.tree.InnerClassNode;
import org.objectweb.asm.tree.InvokeDynamicInsnNode;
import org.objectweb.asm.tree.MethodInsnNode;
import org.objectweb.asm.tree.MethodNode;

/**
 * {@code Desugar IN OUT VERSION}: replaces every lambda and method reference by a small class, because dx makes no dex of
 * invokedynamic. Class files newer than VERSION are marked as of that version.
 */
public final class Desugar {
    private static final String FACTORY = "java/lang/invoke/LambdaMetafactory";

    private final Path out;
    private final int version;

    private Desugar(Path out, int version) {
        this.out = out;
        this.version = version;
    }

    public static void main(String[] arguments) throws IOException {
        Path in = Path.of(arguments[0]);
        Desugar desugar = new Desugar(Path.of(arguments[1]), Integer.parseInt(arguments[2]));
        List<Path> files;
        try (Stream<Path> found = Files.walk(in)) {
            files = found.filter(file -> file.toString().endsWith(".class")).sorted().toList();
        }
        files.parallelStream().forEach(file -> {
            try {
                desugar.rewrite(Files.readAllBytes(file));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        });
    }

    private void rewrite(byte[] content) throws IOException {
        ClassNode type = new ClassNode();
        new ClassReader(content).accept(type, 0);
        type.version = Math.min(type.version & 0xffff, version);
        List<MethodNode> accessors = new ArrayList<>();
        int lambdas = 0;
        for (MethodNode method : type.methods) {
            for (AbstractInsnNode instruction : method.instructions.toArray()) {
                if (!(instruction instanceof InvokeDynamicInsnNode)) {
                    continue;
                }
                InvokeDynamicInsnNode call = (InvokeDynamicInsnNode) instruction;
                if (!call.bsm.getOwner().equals(FACTORY)) {
                    throw new IllegalArgumentException(type.name + ": invokedynamic of " + call.bsm.getOwner());
                }
                String name = type.name + "$$Lambda" + lambdas++;
                Handle target = (Handle) call.bsmArgs[1];
                if (isHidden(type, target)) {
                    MethodNode accessor = makeAccessor(type, target, "lambdaAccess$" + lambdas);
                    accessors.add(accessor);
                    boolean inInterface = (type.access & Opcodes.ACC_INTERFACE) != 0;
                    target = new Handle(Opcodes.H_INVOKESTATIC, type.name, accessor.name, accessor.desc, inInterface);
                }
                write(name, new LambdaClass(name, type.version, call, target).render());
                type.innerClasses.add(new InnerClassNode(
                        name, null, null, Opcodes.ACC_FINAL | Opcodes.ACC_STATIC | Opcodes.ACC_SYNTHETIC));
                method.instructions.set(
                        call, new MethodInsnNode(Opcodes.INVOKESTATIC, name, LambdaClass.MAKE, call.desc, false));
            }
        }
        type.methods.addAll(accessors);
        ClassWriter writer = new ClassWriter(0);
        type.accept(writer);
        write(type.name, writer.toByteArray());
    }

    /** Whether another class of the package may not call what a lambda of {@code type} calls. */
    private static boolean isHidden(ClassNode type, Handle target) {
        if (target.getTag() == Opcodes.H_INVOKESPECIAL) {
            return true;
        }
        if (!target.getOwner().equals(type.name)) {
            // Of another package it could only be protected, and that method would be Object's clone of an array.
            return !packageOf(type.name).equals(packageOf(target.getOwner())) && target.getName().equals("clone");
        }
        for (MethodNode method : type.methods) {
            if (method.name.equals(target.getName()) && method.desc.equals(target.getDesc())) {
                return (method.access & Opcodes.ACC_PRIVATE) != 0;
            }
        }
        return false;
    }

    private static String packageOf(String type) {
        return type.substring(0, type.lastIndexOf('/') + 1);
    }

    /** A static method of {@code type} that calls the target, for the lambda's class. */
    private static MethodNode makeAccessor(ClassNode type, Handle target, String name) {
        boolean isNew = target.getTag() == Opcodes.H_NEWINVOKESPECIAL;
        boolean isStatic = target.getTag() == Opcodes.H_INVOKESTATIC;
        Type[] parameters = Type.getArgumentTypes(target.getDesc());
        Type result = isNew ? Type.getObjectType(target.getOwner()) : Type.getReturnType(target.getDesc());
        String descriptor = Type.getMethodDescriptor(result, parameters);
        if (!isNew && !isStatic) {
            descriptor = "(L" + type.name + ";" + descriptor.substring(1);
        }
        int visible = (type.access & Opcodes.ACC_INTERFACE) != 0 ? Opcodes.ACC_PUBLIC : 0;
        MethodNode accessor =
                new MethodNode(Opcodes.ACC_STATIC | Opcodes.ACC_SYNTHETIC | visible, name, descriptor, null, null);
        int held = 0;
        if (isNew) {
            accessor.visitTypeInsn(Opcodes.NEW, target.getOwner());
            accessor.visitInsn(Opcodes.DUP);
            held = 2;
        }
        int slot = 0;
        for (Type parameter : Type.getArgumentTypes(descriptor)) {
            accessor.visitVarInsn(parameter.getOpcode(Opcodes.ILOAD), slot);
            slot += parameter.getSize();
        }
        int call = isStatic ? Opcodes.INVOKESTATIC : Opcodes.INVOKESPECIAL;
        accessor.visitMethodInsn(call, target.getOwner(), target.getName(), target.getDesc(), target.isInterface());
        accessor.visitInsn(result.getOpcode(Opcodes.IRETURN));
        accessor.visitMaxs(slot + held + 2, slot);
        return accessor;
    }

    private void write(String name, byte[] content) throws IOException {
        Path file = out.resolve(name + ".class");
        Files.createDirectories(file.getParent());
        Files.write(file, content);
    }
}
