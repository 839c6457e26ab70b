{{/* What all pods have in common. All of it passes the Pod Security level "restricted". */}}

{{/* dict "user" UID */}}
{{- define "apitoken-operator.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user | int }}
runAsGroup: {{ .user | int }}
fsGroup: {{ .user | int }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "apitoken-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* How a pod is scheduled and its images pulled: dict "root" $ "pod" VALUES. */}}
{{- define "apitoken-operator.scheduling" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
