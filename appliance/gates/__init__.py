"""Gates: what the policy asks of content beside its signatures, held against what is known of it
(docs/adr/0062-gates-and-promotion.md).
"""
