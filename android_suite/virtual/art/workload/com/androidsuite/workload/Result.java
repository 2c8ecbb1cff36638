package com.androidsuite.workload;

/** The app's own account of what it did: one JSON object in one line of the log. */
final class Result {
    private final StringBuilder text = new StringBuilder();

    Result put(String key, long value) {
        return add(key, Long.toString(value));
    }

    Result put(String key, boolean value) {
        return add(key, Boolean.toString(value));
    }

    Result put(String key, String value) {
        StringBuilder quoted = new StringBuilder("\"");
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ') {
                String hex = Integer.toHexString(c);
                quoted.append("\\u0000".substring(0, 6 - hex.length())).append(hex);
            } else {
                quoted.append(c);
            }
        }
        return add(key, quoted.append('"').toString());
    }

    Result putAll(Result other) {
        if (other.text.length() > 0) {
            text.append(text.length() > 0 ? "," : "").append(other.text);
        }
        return this;
    }

    private Result add(String key, String value) {
        text.append(text.length() > 0 ? "," : "").append('"').append(key).append("\":").append(value);
        return this;
    }

    String render() {
        return "{" + text + "}";
    }
}
