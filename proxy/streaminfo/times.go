package streaminfo

// Times are when things happened, in the worker's time (loop.Worker.Now,
// nanoseconds); 0 is not yet, or never. An event that several attempts repeat
// has the time of the last.
type Times struct {
	// Began is when the first byte of the request came, for a connection when it
	// was accepted. RequestEnd is when its last byte had come.
	Began, RequestEnd int64
	// The host's side: its connection was asked for, was made, had its TLS.
	ConnectBegan, ConnectEnd, HandshakeEnd int64
	// The request's first and last byte were sent to it.
	UpstreamSendBegan, UpstreamSendEnd int64
	// The answer's first and last byte came from it.
	UpstreamRecvBegan, UpstreamRecvEnd int64
	// The answer's first and last byte were handed to the client's connection.
	SendBegan, SendEnd int64
	// Ended is when all was over.
	Ended int64
}
