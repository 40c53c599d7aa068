"""`make demo`: the main job, end to end, on real content, through the command line alone.

What lives here: packing the machine's own Python into OCI images, the steps of the tour, and the closing account.
What may not: shortcuts; the tour does what an operator would type, and every check it claims is made by stock
tools or by the command line's exit status.
"""
