"""`lockgate console --demo`: two stations of their own, in a private temporary folder, seeded by real acts.

What lives here: making the two stations and their people, what is done at them before anybody comes (collect, build,
import, approve, release, a refusal), and taking everything away again. What may not: an answer that no station gave.
"""
