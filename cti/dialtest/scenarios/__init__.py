"""Named scenarios of `cti dialtest`: each plays real calls on a stage and says what it saw."""
