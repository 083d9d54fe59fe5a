package envoyv3

// Access logs: only those to /dev/null, which ask for nothing.

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
)

// accessLogs reports every log that would have to be written.
func (d *decoder) accessLogs(p path, logs []*accesslogv3.AccessLog) {
	for i, l := range logs {
		typeName, value, bad := unwrap(l.GetTypedConfig())
		if value == nil && bad == "" && implements(accessLogger, typeName) {
			f, ok := d.extension(p.at(i).dot("typed_config"), accessLogger, l.GetName(), l.GetTypedConfig()).(*filelogv3.FileAccessLog)
			if ok && f.GetPath() == "/dev/null" {
				continue
			}
		}
		d.unsupported(p.at(i), hintLogs)
	}
}
