package lua

// Signatures.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // the hashes that scripts may name
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// errResponded ends a script that has answered.
var errResponded = errors.New("script has responded")

// publicKey is what importPublicKey gives.
type publicKey struct {
	*run
	der string // "": it is none
}

func keyMethods() methods {
	return methods{"get": method(func(l *glua.LState, k *publicKey) int {
		if k.der == "" {
			l.Push(glua.LNil)
		} else {
			l.Push(glua.LString(k.der))
		}
		return 1
	})}
}

// maxKeys bounds the keys that one run imports.
const maxKeys = 16

// luaImportKey is handle:importPublicKey(der, length).
func luaImportKey(l *glua.LState, s *run) int {
	der := first(l, 2)
	use(l, s, keyWork)
	key, err := x509.ParsePKIXPublicKey([]byte(der))
	if err != nil || len(s.keys) >= maxKeys {
		return push(l, s, kindKey, &publicKey{run: s})
	}
	if s.keys == nil {
		s.keys = map[string]crypto.PublicKey{}
	}
	s.keys[der] = key
	return push(l, s, kindKey, &publicKey{s, der})
}

// first is a text, of which the argument behind it says how much is meant.
func first(l *glua.LState, i int) string {
	v, n := l.CheckString(i), l.CheckInt(i+1)
	if n < 0 || n > len(v) {
		l.ArgError(i+1, "length is beyond the text")
	}
	return v[:n]
}

// keyWork is what an operation with a key counts as, in instructions.
const keyWork = 10_000

func use(l *glua.LState, s *run, n int) {
	if err := s.thread.Use(n); err != nil {
		l.RaiseError("%s", err.Error())
	}
}

// luaVerify is handle:verifySignature(hash, key, signature, length, data, length).
func luaVerify(l *glua.LState, s *run) int {
	der := ""
	if ud, ok := l.Get(3).(*glua.LUserData); ok {
		if k, ok := ud.Value.(*publicKey); ok {
			der = k.der
		}
	} else {
		der = l.CheckString(3)
	}
	key := s.keys[der]
	if key == nil {
		l.RaiseError("invalid public key")
	}
	hash, signature, data := l.CheckString(2), first(l, 4), first(l, 6)
	use(l, s, keyWork+len(data)/8)
	why := verify(hash, key, []byte(signature), []byte(data))
	l.Push(glua.LBool(why == ""))
	if why == "" {
		l.Push(glua.LNil)
	} else {
		l.Push(glua.LString(why))
	}
	return 2
}

// verify says why a signature is not good, "" if it is (UtilityImpl::verifySignature).
func verify(hash string, key crypto.PublicKey, signature, data []byte) string {
	id, ok := map[string]crypto.Hash{
		"sha1": crypto.SHA1, "sha224": crypto.SHA224, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512,
	}[strings.ToLower(hash)]
	if !ok {
		return hash + " is not supported."
	}
	h := id.New()
	h.Write(data)
	good := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(k, id, h.Sum(nil), signature) == nil
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(k, h.Sum(nil), signature)
	}
	if !good {
		return "Failed to verify digital signature. Error code: 0"
	}
	return ""
}
