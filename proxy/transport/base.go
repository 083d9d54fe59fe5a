package transport

// What both sides' contexts have in common, as crypto/tls wants it.

import (
	"crypto/tls"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// baseConfig is the part of a context that its secrets do not change. Records
// are of 16 KiB from the first: small ones would only gain where a browser
// renders what has come, and cost a header and a tag for each segment.
func baseConfig(c *config.TLS, wall func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:                  c.MinVersion,
		MaxVersion:                  c.MaxVersion,
		CipherSuites:                c.CipherSuites,
		CurvePreferences:            c.Curves,
		NextProtos:                  c.ALPN,
		DynamicRecordSizingDisabled: true,
		Time:                        wall,
	}
}
