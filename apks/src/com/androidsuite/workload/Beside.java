package com.androidsuite.workload;

import android.content.Intent;
import android.os.Bundle;

/** What an intent asks for beside the stress. The virtual device's model has the same extras (docs/guest.md). */
final class Beside {
    /** Services that may run beside the activity, each in a process of its own. */
    static final int MOST_SERVICES = 8;

    final long nativeBytes; // allocated by each frame
    final boolean background; // goes on when the activity leaves the screen
    final int services;

    /** Throws IllegalArgumentException with a sentence where an extra is out of range. */
    Beside(Intent intent) {
        Bundle extras = intent.getExtras();
        nativeBytes = number(extras, "native_bytes", 32L << 20);
        background = number(extras, "background", 1) == 1;
        services = (int) number(extras, "processes", MOST_SERVICES);
    }

    private static long number(Bundle extras, String key, long most) {
        Object value = extras == null ? null : extras.get(key);
        long number = value == null ? 0 : value instanceof Number ? ((Number) value).longValue() : -1;
        if (number < 0 || number > most) {
            throw new IllegalArgumentException(key + " is " + value + "; choose 0 to " + most);
        }
        return number;
    }
}
