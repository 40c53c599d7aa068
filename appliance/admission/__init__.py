"""What a cluster's API server asks before it admits a workload, and how it is answered: documents in, documents out.

What lives here: AdmissionReview (admission.k8s.io/v1) and ImageReview (imagepolicy.k8s.io/v1alpha1), which images they
name, and the answers. What may not: what the station knows of an image, which is the registry's to say.
"""
