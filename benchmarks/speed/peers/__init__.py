"""The models that we are held against, as somebody would write them who wants them fast."""
