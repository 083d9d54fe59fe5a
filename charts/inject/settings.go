package inject

// What the platform team says about all sidecars.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Settings are of a file, the chart's `inject` values. They do not change once
// they are read; any goroutine may use them.
type Settings struct {
	// Image is the sidecar's, with its tag or digest.
	Image string `yaml:"image"`
	// PullPolicy is empty for Kubernetes' own choice.
	PullPolicy string `yaml:"pullPolicy"`
	// ControlPlane is the xDS server, HOST:PORT as pods reach it.
	ControlPlane string `yaml:"controlPlane"`
	// TLS secures the way there; nil: plaintext.
	TLS *TLS `yaml:"tls"`
	// Native says that the API server and every node have native sidecars
	// (Kubernetes 1.29 and later).
	Native bool `yaml:"native"`
	// NeverIn are namespaces whose pods are left alone whoever asks.
	NeverIn []string `yaml:"neverIn"`
	// Defaults are what an annotation of the same name says for one pod.
	Defaults map[string]string `yaml:"defaults"`
}

// TLS is how the sidecar knows the control plane.
type TLS struct {
	// CA is PEM, written into the sidecar's bootstrap.
	CA string `yaml:"ca"`
	// ServerName must be in the control plane's certificate.
	ServerName string `yaml:"serverName"`
}

// ReadSettings reads and checks a file; every key must be known. Each of over, such
// as flags, has its word before the check. Errors name the key.
func ReadSettings(text []byte, over ...func(*Settings)) (*Settings, error) {
	s := &Settings{}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, f := range over {
		f(s)
	}
	return s, s.check()
}

func (s *Settings) check() error {
	host, port, cut := strings.Cut(s.ControlPlane, ":")
	switch {
	case s.Image == "":
		return errors.New("image: is required")
	case !cut || host == "" || port == "" || strings.Contains(port, ":"):
		return fmt.Errorf("controlPlane: %q: want HOST:PORT", s.ControlPlane)
	case s.TLS != nil && s.TLS.CA == "":
		return errors.New("tls.ca: is required: without it the control plane's certificate would not be verified")
	}
	for key, value := range s.Defaults {
		k := knobOf(key)
		if k == nil {
			return fmt.Errorf("defaults.%s: there is no such key: want one of %s", key, strings.Join(knobNames(), ", "))
		}
		if err := k.set(&wishes{}, value); err != nil {
			return fmt.Errorf("defaults.%s: %w", key, err)
		}
	}
	return nil
}
