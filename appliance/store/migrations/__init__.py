"""The schema, one numbered module a domain, applied in order by the control process before anything opens the database.

What lives here: steps that only ever add to what an earlier release left. What may not: a change to a step that
has been released, or data that a step cannot recreate. A step is identified by its name; its number is
never changed. From m0065 on a step is plain statements, each given to `db.execute`, which both engines run
(docs/adr/0060-two-engines.md).
"""
