package httpproxy

// Tunnels: upgrades and CONNECT, after the upstream agreed.

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// switched says that the upstream took up the protocol that was asked for. Over
// HTTP/2 a 2xx says so whatever the method was (RFC 8441, 5).
func (x *exchange) switched() bool {
	if !x.upgrades {
		return false
	}
	if x.method == http1.MethodConnect || x.up.s != nil {
		return x.resp.Status >= 200 && x.resp.Status < 300
	}
	return x.resp.Status == 101 && x.resp.Upgrade != nil
}

// join makes a tunnel of both sides: bytes go both ways, and an end of one side is
// passed on as such. What the client has sent ahead waited until here.
func (x *exchange) join() outcome.Outcome {
	for x.pumping { // the rest of the request itself
		x.joined.Wait(x.w)
	}
	if x.pumpEnd != outcome.OK {
		return x.pumpEnd
	}
	x.tunnel, x.closes, x.deadline = true, true, 0
	x.joinHead()
	if x.up.c != nil {
		x.up.c.Discard(x.backHead)
	}
	x.started = true
	if x.here.room.cfg.LogOptions.OnTunnel && x.here.room.env.Logs != nil {
		x.write(streaminfo.DownstreamTunnelSuccessfullyEstablished)
	}
	if x.down.broken() {
		return outcome.DownstreamGone
	}
	x.here.count.CxUpgrades++
	x.pumping = true
	x.w.Go(x.carry)
	o := x.carryBack()
	for o == outcome.OK && x.pumping {
		x.joined.Wait(x.w)
	}
	if o == outcome.OK {
		o = x.pumpEnd
	}
	return o
}

// joinHead tells the client that the tunnel stands, in its own protocol's way.
func (x *exchange) joinHead() {
	res, websocket := &x.resp, x.method != http1.MethodConnect
	if x.up.s != nil && websocket && x.down.c != nil {
		x.acceptWebSocket()
	}
	if s := x.down.s; s != nil {
		res.Status, x.status = 200, 200
		fields{&res.Headers}.Remove("sec-websocket-accept")
		if !s.Head() {
			return
		}
		s.Status(200)
		h := head{s: s}
		x.answerFields(&h, res.Headers, false)
		s.SendHead(false)
		return
	}
	upgrade := res.Upgrade
	if websocket && x.up.s != nil {
		res.Status, upgrade = 101, x.req.Upgrade
	}
	text := x.answerHead(x.here.scratch[:0], false)
	if websocket {
		text = append(text[:len(text)-2], "connection: Upgrade\r\n"...)
		text = http1.AppendHeader(text, nameUpgrade, upgrade)
		if x.here.room.cfg.ProperCase {
			http1.ProperCase(text)
		}
		text = http1.AppendHeadEnd(text)
	}
	x.here.scratch = text[:0]
	_ = x.down.c.Send(text)
}

// acceptWebSocket answers the key of an HTTP/1.1 client, which a server that
// speaks HTTP/2 does not see (RFC 6455, 4.2.2; RFC 8441, 5).
func (x *exchange) acceptWebSocket() {
	lines := fields{&x.resp.Headers}
	if x.keyn == 0 || lines.Has("sec-websocket-accept") {
		return
	}
	sum := sha1.Sum(append(append([]byte(nil), x.key[:x.keyn]...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	lines.put("sec-websocket-accept", base64.StdEncoding.AppendEncode(nil, sum[:]))
}

// askWebSocket gives an HTTP/1.1 host the key that it must have, and that a client
// which speaks HTTP/2 does not send (RFC 8441, 5). The answer to it ends here.
func (x *exchange) askWebSocket() {
	lines := fields{&x.req.Headers}
	if !isWebSocket(x.req.Upgrade) || lines.Has("sec-websocket-key") {
		return
	}
	var nonce [16]byte
	binary.NativeEndian.PutUint64(nonce[:], x.rng.Uint64())
	binary.NativeEndian.PutUint64(nonce[8:], x.rng.Uint64())
	base64.StdEncoding.Encode(x.key[:24], nonce[:])
	lines.put("sec-websocket-key", x.key[:24])
}

// carryBack passes the upstream's half on, up to its end.
func (x *exchange) carryBack() outcome.Outcome {
	for {
		if n := x.up.pending(); n > 0 {
			x.down.put(x.up.buffered(), false, false)
			x.up.discard(n)
		}
		if x.down.broken() {
			return outcome.DownstreamGone
		}
		if x.up.s != nil && x.up.s.Last() {
			x.down.closeWrite()
			return outcome.OK
		}
		if o := x.ease(&x.down, x.conn.limit); o != outcome.OK {
			return o
		}
		if o := x.more(); o == outcome.LostMidway && x.up.c != nil && x.ended() {
			x.down.closeWrite()
			return outcome.OK
		} else if o != outcome.OK {
			return o
		}
	}
}

// carryRaw passes the client's half on, up to its end.
func (x *exchange) carryRaw() outcome.Outcome {
	for !x.stop {
		if n := x.down.pending(); n > 0 {
			x.up.put(x.down.buffered(), false, false)
			x.down.discard(n)
		}
		if x.up.broken() {
			return outcome.LostMidway
		}
		if x.down.s != nil && x.down.s.Last() {
			x.up.closeWrite()
			return outcome.OK
		}
		if o := x.ease(&x.up, x.conn.limit); o != outcome.OK {
			return o
		}
		if o := x.moreRequest(); o == outcome.DownstreamGone && x.down.c != nil && x.down.c.Ended() {
			x.up.closeWrite()
			return outcome.OK
		} else if o != outcome.OK {
			return o
		}
	}
	return outcome.OK
}
