"""The object by which every node of a cluster pulls the canary, again and again."""

from __future__ import annotations

from typing import Final

from bundles.oci.reference import Reference

_NODES: Final = """\
# Every node of a cluster pulls the canary from {host}, again every {minutes} minutes: kubectl apply -f FILE
# Made by: lockgate probe --daemonset
#
# A node that cannot pull it has a pod that is not ready:
#   kubectl -n lockgate-canary get pods -o wide
#   kubectl -n lockgate-canary describe pod POD
# All of them at once, as after an exchange of tokens; it ends once each node has pulled:
#   kubectl -n lockgate-canary rollout restart daemonset/canary
#   kubectl -n lockgate-canary rollout status daemonset/canary --timeout=10m
# kube-state-metrics counts them: kube_daemonset_status_number_unavailable{{namespace="lockgate-canary"}}
apiVersion: v1
kind: Namespace
metadata:
  name: lockgate-canary
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: canary
  namespace: lockgate-canary
spec:
  selector:
    matchLabels: {{app: lockgate-canary}}
  updateStrategy:
    rollingUpdate: {{maxUnavailable: 100%}}
  template:
    metadata:
      labels: {{app: lockgate-canary}}
    spec:
      automountServiceAccountToken: false
      tolerations:
        - operator: Exists
      # The log-in, unless anybody may pull the image: kubectl -n lockgate-canary create secret generic lockgate \\
      #   --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson=robot-nodes.json
      imagePullSecrets:
        - name: lockgate
      containers:
        - name: canary
          # It must run by itself and without end, as the cluster's own pause image does.
          image: {host}/{image}
          imagePullPolicy: Always
          # Nothing listens there: the kubelet ends the container after a while, and asks the station before it starts
          # the next one.
          livenessProbe:
            tcpSocket: {{port: 1}}
            initialDelaySeconds: {seconds}
            periodSeconds: 10
            failureThreshold: 1
          terminationMessagePolicy: File
          resources:
            requests: {{cpu: 1m, memory: 8Mi}}
            limits: {{memory: 32Mi}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            runAsUser: 65534
            capabilities: {{drop: [ALL]}}
            seccompProfile: {{type: RuntimeDefault}}
"""

_MINUTES: Final = 15
"""Minutes between two pulls of a node: above ten, behind which the kubelet forgets how often a container ended."""


def daemonset(host: str, image: Reference) -> str:
    """The object for a cluster whose nodes reach the registry at `HOST:PORT`, as YAML."""
    return _NODES.format(host=host, image=image, minutes=_MINUTES, seconds=_MINUTES * 60)
