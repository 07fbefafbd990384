"""The main job from end to end on the embedded engine: load, build, break, detect, decide, rebuild, verify."""
