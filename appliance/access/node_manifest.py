"""The objects by which a cluster's nodes with containerd trust the station, and an example of a pod."""

from __future__ import annotations

from typing import Final

NODES: Final = """\
# Nodes with containerd trust {host} and pull from it: kubectl apply -f FILE
# Made by: lockgate trust snippet kubernetes
#
# The log-in of pods that name {host} themselves (`imagePullSecrets` below), with robot-nodes.json holding
# {{"auths": {{"{host}": {{"username": "robot-nodes", "password": "SECRET"}}}}}}:
#   kubectl create secret generic lockgate --type=kubernetes.io/dockerconfigjson \\
#     --from-file=.dockerconfigjson=robot-nodes.json
# For every pod of a namespace:
#   kubectl patch serviceaccount default -p '{{"imagePullSecrets": [{{"name": "lockgate"}}]}}'
# Pulls through a mirror have no such log-in: take the header in hosts.toml below, or anonymous_pull in config.toml.
apiVersion: v1
kind: Namespace
metadata:
  name: lockgate-nodes
---
apiVersion: v1
kind: Secret
metadata:
  name: hosts
  namespace: lockgate-nodes
stringData:
  hosts.toml: |
    server = "https://{host}"
    ca = "{authority}"

    [host."https://{host}"]
      capabilities = ["pull", "resolve"]
      ca = "{authority}"
      # [host."https://{host}".header]
      #   authorization = ["Basic BASE64-OF-NAME:SECRET"]
  ca.crt: |
{ca}
---
# Writes the files on each node, and again within a minute after the Secret has changed. containerd reads them at each
# pull; its config.toml must have config_path = "/etc/containerd/certs.d".
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: hosts
  namespace: lockgate-nodes
spec:
  selector:
    matchLabels: {{app: lockgate-hosts}}
  template:
    metadata:
      labels: {{app: lockgate-hosts}}
    spec:
      automountServiceAccountToken: false
      tolerations:
        - operator: Exists
      containers:
        - name: hosts
          # An image with sh, cp and sleep that the nodes have already: they cannot pull it from here yet.
          image: IMAGE-ON-THE-NODES
          imagePullPolicy: IfNotPresent
          command: ["sh", "-ec"]
          args:
            - |
              while true; do
                for name in {names}; do
                  mkdir -p "/certs.d/$name"
                  cp /hosts/hosts.toml "/certs.d/$name/hosts.toml.new"
                  mv "/certs.d/$name/hosts.toml.new" "/certs.d/$name/hosts.toml"
                done
                cp /hosts/ca.crt "/certs.d/{host}/ca.crt"
                sleep 60
              done
          resources:
            requests: {{cpu: 1m, memory: 8Mi}}
            limits: {{memory: 32Mi}}
          volumeMounts:
            - {{name: certs, mountPath: /certs.d}}
            - {{name: hosts, mountPath: /hosts, readOnly: true}}
      volumes:
        - name: certs
          hostPath: {{path: /etc/containerd/certs.d, type: DirectoryOrCreate}}
        - name: hosts
          secret: {{secretName: hosts, defaultMode: 0600}}
---
# A pod by its digest. With IfNotPresent a node that has the image asks nobody, and starts it while the station is away;
# a digest never means something else. With Always every start asks the station first, and does not start without it; a
# tag with IfNotPresent may be another image on each node.
apiVersion: v1
kind: Pod
metadata:
  name: example
spec:
  imagePullSecrets:
    - name: lockgate
  containers:
    - name: app
      image: {host}/REPO@sha256:DIGEST
      imagePullPolicy: IfNotPresent
"""
"""For `str.format`: `host` (HOST:PORT), `authority` (the CA's file on a node), `ca` (its PEM, indented by four) and
`names` (the folders below certs.d, each in quotes)."""
