package libcore.util;

/** Numbers of 16 bits (IEEE 754 binary16), by way of float: ART's list of intrinsics names these methods. */
public final class FP16 {
    private FP16() {}

    public static float toFloat(short half) {
        int exponent = half >> 10 & 31;
        int fraction = half & 0x3ff;
        float size;
        if (exponent == 31) {
            size = fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
        } else {
            size = exponent == 0 ? fraction * 0x1p-24f : (fraction + 1024) * (float) Math.pow(2, exponent - 25);
        }
        return half < 0 ? -size : size;
    }

    /** To the nearest; of two that are as near the even one. */
    public static short toHalf(float value) {
        int sign = Float.floatToRawIntBits(value) >>> 16 & 0x8000;
        float size = Math.abs(value);
        if (value != value) {
            return (short) (sign | 0x7e00);
        }
        if (size >= 65520f) {
            return (short) (sign | 0x7c00);
        }
        int exponent = Math.max(Math.getExponent(size), -14);
        int steps = (int) Math.rint(size * Math.pow(2, 10 - exponent));
        return (short) (sign | (exponent + 14 << 10) + steps);
    }

    public static short ceil(short half) {
        return toHalf((float) Math.ceil(toFloat(half)));
    }

    public static short floor(short half) {
        return toHalf((float) Math.floor(toFloat(half)));
    }

    public static short rint(short half) {
        return toHalf((float) Math.rint(toFloat(half)));
    }

    public static int compare(short a, short b) {
        return Float.compare(toFloat(a), toFloat(b));
    }

    public static boolean greater(short a, short b) {
        return toFloat(a) > toFloat(b);
    }

    public static boolean greaterEquals(short a, short b) {
        return toFloat(a) >= toFloat(b);
    }

    public static boolean less(short a, short b) {
        return toFloat(a) < toFloat(b);
    }

    public static boolean lessEquals(short a, short b) {
        return toFloat(a) <= toFloat(b);
    }

    public static short min(short a, short b) {
        return toHalf(Math.min(toFloat(a), toFloat(b)));
    }

    public static short max(short a, short b) {
        return toHalf(Math.max(toFloat(a), toFloat(b)));
    }
}
