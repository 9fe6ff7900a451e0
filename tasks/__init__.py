"""The tasks: one folder each, found by its task.yaml. Copy _template to add one."""
