// Package memproxy is the memcached room: clients speak the text protocol to
// one port, and every key is kept by one host of a cluster.
//
//	client ─▶ commands ─▶ route (prefix) ─▶ Pick(hash of the key) ─▶ session (host and worker)
//	   │          │                                                     │
//	   │       slot (one answer owed)  ◀── part (one command sent) ──▶ its FIFO
//	   │          │                                                     │
//	   ◀── first slot's answer, straight from the read buffer ◀── replies in order
//
// Nothing here yields: clients and sessions are inline handlers of the loop. A
// command of any client on a worker joins the out queue of its host's one
// connection, and the loop writes each queue once per turn; so do the answers.
//
// # Order
//
// A client's answers leave in the order of its commands. An answer that comes
// before its turn is kept in its slot. Commands of one client to one host stay
// in order, because a client uses one connection of the host (Pool.Connections
// spreads clients, not commands). Commands to different hosts may be carried
// out in any order, as with any sharding.
//
// # Failures
//
// A command is sent at most once, but for one case: if a connection ends before
// any byte of a command was handed to the kernel, the command goes out on the
// next connection. A lost connection answers everything in its FIFO with an
// error, garbage or a reply that does not fit destroys the connection, and so
// does a command overdue by op_timeout: a late reply has no connection to
// arrive on. While a host's last attempt to connect has failed, or it was silent
// and does not answer a version command, its commands fail at once. A failed read is a miss if on_failure is MISS. In a
// multi-get over several hosts the values of the others are delivered, and the
// line that says what failed stands in place of END.
//
// A long value that the client has received in part when its host fails costs
// the client its connection: a client must never take a short value for a whole
// one.
//
// # Memory
//
// A value to be stored is collected whole (at most max_value_bytes) before a
// byte of it is forwarded: the connection to a host is shared, and a client
// that sends slowly must not hold up the others. A value that is read is passed
// on as it comes. A client is not read from while its commands in flight and
// the answers it has not taken exceed the listener's buffer limit; the sizes of
// its answers so far tell how many commands that allows. A host's connection is
// never paused for the sake of one client: answers that come for one that
// already holds 64 times its limit become "SERVER_ERROR overloaded".
//
// Of a cluster's circuit breakers max_requests and max_pending are not applied
// to commands: 64 clients with 16 commands each are at Envoy's default of 1024,
// and they share one connection; bytes are bounded instead. Envoy's redis_proxy
// does the same.
package memproxy
