package stream

// What is still to be sent on one stream.

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// outbox holds messages until gRPC takes them: a server that does not read must
// not stop the one who sends.
type outbox struct {
	mu     sync.Mutex
	queue  []proto.Message
	wake   chan struct{} // holds one token while queue may have something
	cancel context.CancelCauseFunc
}

func newOutbox(cancel context.CancelCauseFunc) *outbox {
	return &outbox{wake: make(chan struct{}, 1), cancel: cancel}
}

func (o *outbox) put(messages []proto.Message) {
	if len(messages) == 0 {
		return
	}
	o.mu.Lock()
	o.queue = append(o.queue, messages...)
	full := len(o.queue) > maxQueued
	o.mu.Unlock()
	if full {
		o.cancel(fmt.Errorf("the server does not read: more than %d requests wait for it", maxQueued))
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) take() []proto.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	o.queue = nil
	return q
}

// drain sends until ctx is done. A message that cannot be sent ends the stream;
// why is what receiving then says.
func (o *outbox) drain(ctx context.Context, client grpc.ClientStream) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		for _, m := range o.take() {
			if err := client.SendMsg(m); err != nil {
				return // RecvMsg has the status
			}
		}
	}
}
