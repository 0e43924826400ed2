"""The main path on the real product: processes, browsers, lost and repeated events, and processes killed on the way."""
