// Package memcache turns bytes into memcached text-protocol commands and
// replies, and back.
//
// It opens no socket, reads no clock, starts no goroutine and imports nothing
// of ours. A connection's owner holds one [Parser] (client side) or one
// [ReplyParser] (server side), offers it the bytes it has, and is told how many
// of them are used and what they were. Nothing here is safe for two goroutines
// at once and nothing here is shared: a parser belongs to the worker that owns
// its connection.
//
// # Grammar
//
// Source: memcached's doc/protocol.txt, and the answers of memcached 1.6.18.
//
//	get|gets <key>+                                            EOL
//	gat|gats <exptime> <key>+                                  EOL
//	set|add|replace|append|prepend
//	         <key> <flags> <exptime> <bytes> [noreply]         EOL <data> CR LF
//	cas      <key> <flags> <exptime> <bytes> <cas> [noreply]   EOL <data> CR LF
//	incr|decr <key> <delta> [noreply]                          EOL
//	touch    <key> <exptime> [noreply]                         EOL
//	delete   <key> [0] [noreply]                               EOL
//	verbosity <level> [noreply]                                EOL
//	version, quit                                              EOL
//
//	EOL      CR LF, or a bare LF as memcached accepts it
//	key      1..250 bytes, none of them <= 0x20 or 0x7f (8-bit bytes are keys)
//	flags    uint32     exptime  int64 with an optional '-'
//	cas      uint64     delta    uint64     bytes  0..2147483645, no sign
//
// Words are separated by runs of spaces; spaces may stand before the first word
// and after the last. As memcached does, one surplus word where noreply could
// stand is ignored. A numeric word has at most 20 characters.
//
// # Refusals
//
// Every command is answered once, or not at all if it said noreply: never
// twice, which is where memcached itself loses the framing. A refused storage
// command whose length is a number has exactly length+2 bytes swallowed; one
// whose length is missing or no number is answered and the connection closed,
// because nobody can say where the next command begins.
//
//	what came                                answer                                  then
//	unknown word, too few or too many words  ERROR                                   goes on
//	bad key, flags, exptime, cas             CLIENT_ERROR bad command line format    goes on
//	bad exptime of touch, gat                CLIENT_ERROR invalid exptime argument   goes on
//	bad delta                                CLIENT_ERROR invalid numeric delta …    goes on
//	storage command without a valid length   ERROR, or … bad command line format     close
//	length over the limit                    SERVER_ERROR object too large for cache goes on
//	data block not ended by CR LF            CLIENT_ERROR bad data chunk             see below
//	more keys than the limit                 CLIENT_ERROR line too long              goes on
//	retrieval line over 64 KiB               CLIENT_ERROR line too long              close
//	other line over 2 KiB                    (nothing, as memcached)                 close
//	last word begins with HTTP/, command bad (nothing, as memcached)                 close
//	first byte 0x80 or 0x81                  CLIENT_ERROR binary protocol …          close
//	ms <key> <length> …                      ERROR                                   goes on
//	other meta commands, flush_all, stats …  ERROR                                   goes on
//
// A data block with the wrong end: from where CR LF should have stood, bytes up
// to and including the next LF are skipped; if 2 KiB hold none the connection is
// closed. A block that was too long is so cut at the end of its line, and one
// ended by a bare LF costs nothing more. A block that was too short has eaten
// the start of the next command, as it does with memcached: the client's
// mistake, and the rest of that line goes with it. What matters here is that
// no part of such a value can reach a server: a value given whole ([Ready]) is
// given only when it is right, and for one that was already being streamed
// [Refusal].Aborted is set: the upstream connection that has received part of
// it must be destroyed.
//
// # Limits and memory
//
// A parser holds no bytes; it borrows the caller's buffer. The caller need
// never hold more than max(Limits.LineBytes, Limits.WholeBytes) for a client
// and Limits.WholeBytes for a server: whatever is larger is streamed. See
// [Limits].
//
// # Ownership
//
// Every []byte of a [Command] and a [Reply] lies in the buffer passed to Next.
// It is valid until the caller changes that buffer (its next read into it), and
// the parser keeps no reference to it. Between two calls of Next the caller
// drops exactly n bytes from the front and may add bytes at the end.
//
//	for {
//		n, ev := p.Next(buf, &cmd)
//		switch ev {
//		case memcache.More:    // keep buf[n:], read more behind it
//		case memcache.Ready:   // cmd is complete, cmd.Data too
//		case memcache.Header:  // a long value begins: Body*, then BodyEnd or Refused
//		case memcache.Body:    // cmd.Data is the next run of it
//		case memcache.BodyEnd: // it was right to its last byte
//		case memcache.Refused: // write cmd.Refusal.Reply unless Silent; close if Close
//		}
//		buf = buf[n:]
//	}
package memcache
