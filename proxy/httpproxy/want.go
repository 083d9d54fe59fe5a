package httpproxy

// What a request asks of its connection beside the host: the name that TLS sends
// and checks (auto_sni, auto_san_validation), and the client for a PROXY header.

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// wantName settles the name while the request's own head is there. A text that
// stays the same from one request to the next is not made again.
func (x *exchange) wantName(up *config.UpstreamHTTP) {
	x.wantByHost(up)
	x.want.ALPN = ""
	if x.info.Left() {
		x.wantByState()
	}
}

// wantByState is what filters have left for the connection.
func (x *exchange) wantByState() {
	if o := x.info.Object(streaminfo.UpstreamServerName); o != nil {
		x.want.ServerName = o.Text
	}
	if o := x.info.Object(streaminfo.UpstreamProtocols); o != nil {
		x.want.ALPN = o.Text
	}
}

func (x *exchange) wantByHost(up *config.UpstreamHTTP) {
	w := &x.want
	if !up.AutoSNI && !up.AutoSANValidation {
		w.ServerName, w.SAN = "", ""
		return
	}
	name := x.serverName(up.SNIHeader)
	if !up.AutoSNI {
		w.ServerName = ""
	} else if w.ServerName != string(name) {
		w.ServerName = string(name)
	}
	if !up.AutoSANValidation {
		w.SAN = ""
	} else if w.SAN != string(name) {
		w.SAN = string(name)
	}
}

// wants is what the request asks of a connection to its host. It is the
// exchange's own and good until the next call.
func (x *exchange) wants() *pool.Want {
	w := &x.want
	w.Origin, w.Client = nil, 0
	if x.owner.Config().PerClient {
		w.Client = x.conn.info.ID
	}
	if path := x.host.Target().Path; path != nil && path.Own() && x.tellsClient() {
		w.Origin = &transport.Origin{Source: x.conn.info.Peer, Destination: x.conn.info.Local, TLVs: x.conn.c.OriginTLVs()}
	}
	return w
}

// tellsClient reports whether a PROXY header to a host may say who the client is.
func (x *exchange) tellsClient() bool {
	return !x.here.room.cfg.HideClient || x.conn.c.Proxied()
}

// serverName is the host that the client asked for, or what a header says
// instead, without its port (Envoy router.cc, auto_sni).
func (x *exchange) serverName(header string) []byte {
	name := x.view.Host
	if header != "" && header != ":authority" {
		f := fields{&x.req.Headers}
		if i := f.find(header); i >= 0 {
			name = (*f.lines)[i].Value
		}
	}
	if end := bytes.IndexByte(name, ']'); len(name) > 0 && name[0] == '[' && end > 0 {
		return name[1:end]
	}
	if at := bytes.IndexByte(name, ':'); at >= 0 {
		return name[:at]
	}
	return name
}
