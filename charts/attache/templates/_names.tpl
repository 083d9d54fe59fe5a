{{- define "attache.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "attache.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "attache.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "attache.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What never changes in a release's life: selectors are immutable. */ -}}
{{- define "attache.selector" -}}
app.kubernetes.io/name: {{ include "attache.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control
{{- end -}}

{{- define "attache.labels" -}}
{{ include "attache.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: attache
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "attache.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "attache.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "attache.image" -}}
{{- include "attache.imageOf" (list . .Values.image) -}}
{{- end -}}

{{- define "attache.imageOf" -}}
{{- $root := index . 0 -}}
{{- with index . 1 -}}
{{- if .digest -}}
{{- printf "%s/%s@%s" .registry .repository .digest -}}
{{- else -}}
{{- printf "%s/%s:%s" .registry .repository (default $root.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Several replicas: a Lease says who writes the status of Ambassadors and routes, and a headless service where the others are. */ -}}
{{- define "attache.several" -}}
{{- if and (or .Values.ambassadors.enabled .Values.gatewayRoutes.enabled) (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) -}}true{{- end -}}
{{- end -}}

{{- define "attache.peers" -}}
{{- printf "%s-peers" (include "attache.fullname" . | trunc 57 | trimSuffix "-") -}}
{{- end -}}

{{- /* The injector's names: a service, a configuration and a secret of its own. */ -}}
{{- define "attache.injector" -}}
{{- printf "%s-injector" (include "attache.fullname" . | trunc 54 | trimSuffix "-") -}}
{{- end -}}

{{- define "attache.injectorSecret" -}}
{{- if eq .Values.injector.certificates.from "secret" -}}
{{- required "injector.certificates.secret: is required with from: secret" .Values.injector.certificates.secret -}}
{{- else -}}
{{- printf "%s-tls" (include "attache.injector" .) -}}
{{- end -}}
{{- end -}}

{{- define "attache.never" -}}
{{- append .Values.injector.neverIn .Release.Namespace | uniq | toYaml -}}
{{- end -}}

{{- define "attache.native" -}}
{{- if eq .Values.injector.native "auto" -}}
{{- semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version -}}
{{- else -}}
{{- .Values.injector.native -}}
{{- end -}}
{{- end -}}

{{- /* 85 % of a memory limit such as 256Mi, in bytes: the collector works harder before the kernel kills. */ -}}
{{- define "attache.memoryLimit" -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $text := toString . -}}
{{- $unit := regexFind "(Ki|Mi|Gi)$" $text -}}
{{- if $unit -}}
{{- div (mul (trimSuffix $unit $text | int64) (get $units $unit) 85) 100 -}}
{{- else -}}
{{- div (mul ($text | int64) 85) 100 -}}
{{- end -}}
{{- end -}}
