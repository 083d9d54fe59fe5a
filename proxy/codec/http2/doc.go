// Package http2 turns bytes into HTTP/2 frames and header lists and back, strictly and without allocating.
//
// It has no sockets, clocks, goroutines or logs. Streams, windows and the connection's life are not here but in
// what uses it; of attache it imports http1, whose Request and Response are what routing reads, whatever the
// protocol on the wire.
//
// # Flow
//
//	bytes in ──> Frame.Parse ──┬─ HEADERS, CONTINUATION ─> Frame.Block … joined by the connection
//	                           │     ─> Decoder.Decode ─> Fields ─┬─ ReadRequest  ─> http1.Request
//	                           │                                  ├─ ReadResponse ─> http1.Response
//	                           │                                  └─ ReadTrailers ─> Fields.Headers
//	                           ├─ DATA ─> Frame.Data
//	                           └─ SETTINGS, PING, GOAWAY … ─> Frame.Setting, PingData, GoAway …
//	every frame, in and out ──> Floods: is the peer abusive?
//
//	head ──> Encoder.Begin, Request or Status, AppendFields ─> AppendBlock ──> bytes out
//	                                                           AppendFrameHeader + data
//
// # Ownership
//
// A Frame borrows the bytes that it was parsed from. Fields own what they hold: names and values lie in their
// arena (or in constant memory) and are good until the next Decode into the same Fields or its Reset, whatever
// the decoder reads meanwhile. ReadRequest and ReadResponse borrow from the Fields. After warm-up nothing
// allocates, errors included.
//
// One Decoder and one Encoder serve one connection, on one goroutine at a time.
//
// # Errors
//
// An *Error is the connection's (Stream 0) or one stream's. An http1.Error is a request that Envoy answers with
// 4xx: the stream is whole and is to be answered. Both are constants: returning one never allocates.
package http2
