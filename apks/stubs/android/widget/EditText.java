package android.widget;

/** Signatures to compile against; the device has the class itself. */
public class EditText extends TextView {
    public EditText(android.content.Context context) { super(context); }
}
