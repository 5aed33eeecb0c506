"""From an archive to packed arrays, an audit, splits and lung masks: all that reads the data set as it comes."""
