"""ftrace and systrace text in all layouts."""
