"""The example package has tests of its own, which test_third_party.py runs once it is installed."""

collect_ignore = ["third_party"]
