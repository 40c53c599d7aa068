"""Which vulnerabilities stand in what the station serves: by its own SBOMs and the advisories that people loaded.

What lives here: loading advisories, making SBOMs where none of the station's own is there, and verdicts. What may not:
how versions and ranges are read (appliance.advisories), and statements (appliance.store).
"""
