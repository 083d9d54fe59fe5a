package transport

// A signature that takes long is not made on the worker: one of RSA-2048 costs
// 20 times as much as one on P-256, P-521 15 times, P-384 10 times
// (BenchmarkSign). An ordinary goroutine makes it, one at a time for a worker, and
// the handshake's coroutine waits; where there is one processor only, the kernel
// lets both have their share.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"io"
)

// signsSlowly reports whether a worker is not to sign with a certificate's key
// itself.
func signsSlowly(c *tls.Certificate) bool {
	switch key := c.PrivateKey.(type) {
	case *rsa.PrivateKey:
		return true
	case *ecdsa.PrivateKey:
		return key.Curve != elliptic.P224() && key.Curve != elliptic.P256()
	}
	return false
}

// aside is a certificate whose key is used beside the worker of q, for one
// handshake there.
func (q *Queue) aside(c *tls.Certificate) *tls.Certificate {
	moved := *c
	switch key := c.PrivateKey.(type) {
	case *rsa.PrivateKey:
		moved.PrivateKey = &asideDecrypter{asideSigner{key, q}, key}
	case crypto.Signer:
		moved.PrivateKey = &asideSigner{key, q}
	}
	return &moved
}

// asideSigner signs beside the worker. For coroutines only.
type asideSigner struct {
	crypto.Signer
	q *Queue
}

func (s *asideSigner) Sign(rand io.Reader, digest []byte, o crypto.SignerOpts) (signature []byte, err error) {
	s.q.beside(func() { signature, err = s.Signer.Sign(rand, digest, o) })
	return signature, err
}

// asideDecrypter is one of RSA, which may also have to decrypt: the key exchange
// of old clients. crypto/tls takes every key that can for RSA's.
type asideDecrypter struct {
	asideSigner
	key *rsa.PrivateKey
}

func (s *asideDecrypter) Decrypt(rand io.Reader, text []byte, o crypto.DecrypterOpts) (plain []byte, err error) {
	s.q.beside(func() { plain, err = s.key.Decrypt(rand, text, o) })
	return plain, err
}

// beside runs f on another goroutine when those before it are done. For
// coroutines only.
func (q *Queue) beside(f func()) {
	if q.aided {
		p := &piece{}
		q.signers.push(p)
		p.waiter.Wait(q.w)
	}
	q.aided = true
	defer q.nextBeside() // also if the worker ends meanwhile
	q.w.Offload(f)
}

// nextBeside lets the next one go.
func (q *Queue) nextBeside() {
	q.aided = q.signers.len() > 0
	if q.aided {
		q.signers.pop().waiter.Wake(q.w)
	}
}
