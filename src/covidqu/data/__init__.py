"""From the archive to arrays: nothing here knows models or torch."""
