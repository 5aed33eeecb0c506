"""Tables, figures and the comparison: what the papers printed beside what the runs measured, from scores only."""
