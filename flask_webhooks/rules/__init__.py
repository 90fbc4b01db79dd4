"""The pure rules: functions of values alone, with clock, resolver and randomness passed in."""
