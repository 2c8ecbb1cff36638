package android.widget;

/** Signatures to compile against; the device has the class itself. */
public class Button extends TextView {
    public Button(android.content.Context context) { super(context); }
}
