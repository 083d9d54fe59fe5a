package jwtauthn

// Keys, and signatures that are made with them (RFC 7517, 7518, 8037).

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	_ "crypto/sha256" // what the algorithms hash with
	_ "crypto/sha512"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

// algorithm is one that tokens may be signed with.
type algorithm struct {
	kind byte // 'R' RSA PKCS#1, 'P' RSA PSS, 'E' ECDSA, 'H' HMAC, 'D' EdDSA
	hash crypto.Hash
}

// algorithmOf is that of a name, nil for one that is not supported: "none" is not.
func algorithmOf(name string) *algorithm {
	if name == "EdDSA" {
		return &algorithm{kind: 'D'}
	}
	if len(name) != 5 {
		return nil
	}
	a := &algorithm{}
	switch name[2:] {
	case "256":
		a.hash = crypto.SHA256
	case "384":
		a.hash = crypto.SHA384
	case "512":
		a.hash = crypto.SHA512
	default:
		return nil
	}
	switch name[:2] {
	case "RS", "PS", "ES", "HS":
		a.kind = name[0]
		return a
	}
	return nil
}

// key is one key of a set. One of the four is set.
type key struct {
	kid, alg string
	rsa      *rsa.PublicKey
	ec       *ecdsa.PublicKey
	ed       ed25519.PublicKey
	secret   []byte
}

// maxKeys bounds a set.
const maxKeys = 1000

var errNoKeys = errors.New("no valid key in the JWKS")

// parseKeys reads a JWKS. Keys that are of no use are left out; a set without any
// is an error.
func parseKeys(text []byte) ([]key, error) {
	var set struct {
		Keys []struct{ Kty, Kid, Alg, Use, N, E, Crv, X, Y, K string }
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	var all []key
	for _, j := range set.Keys {
		k := key{kid: j.Kid, alg: j.Alg}
		ok := false
		switch {
		case j.Use == "enc":
		case j.Kty == "RSA":
			k.rsa, ok = rsaKey(j.N, j.E)
		case j.Kty == "EC":
			k.ec, ok = ecKey(j.Crv, j.X, j.Y)
		case j.Kty == "OKP" && j.Crv == "Ed25519":
			k.ed, _ = decode(j.X)
			ok = len(k.ed) == ed25519.PublicKeySize
		case j.Kty == "oct":
			k.secret, ok = decode(j.K)
			ok = ok && len(k.secret) > 0
		}
		if ok && len(all) < maxKeys {
			all = append(all, k)
		}
	}
	if len(all) == 0 {
		return nil, errNoKeys
	}
	return all, nil
}

// decode reads base64url, padded or not.
func decode(s string) ([]byte, bool) {
	b, err := base64url.DecodeString(strings.TrimRight(s, "="))
	return b, err == nil
}

func rsaKey(n, e string) (*rsa.PublicKey, bool) {
	nb, ok1 := decode(n)
	eb, ok2 := decode(e)
	if !ok1 || !ok2 || len(eb) == 0 || len(eb) > 4 || len(nb) < 128 || len(nb) > 2048 {
		return nil, false
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(nb), E: int(new(big.Int).SetBytes(eb).Int64())}
	return k, k.E > 1 && k.E&1 == 1
}

func ecKey(crv, x, y string) (*ecdsa.PublicKey, bool) {
	var c elliptic.Curve
	switch crv {
	case "P-256":
		c = elliptic.P256()
	case "P-384":
		c = elliptic.P384()
	case "P-521":
		c = elliptic.P521()
	default:
		return nil, false
	}
	size := (c.Params().BitSize + 7) / 8
	xb, ok1 := decode(x)
	yb, ok2 := decode(y)
	if !ok1 || !ok2 || len(xb) > size || len(yb) > size {
		return nil, false
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(xb):], xb)
	copy(point[1+2*size-len(yb):], yb)
	k, err := ecdsa.ParseUncompressedPublicKey(c, point)
	return k, err == nil
}

// verify checks a token's signature: by the keys that are for it, if they name
// that (verifyJwtWithoutTimeChecking).
func verify(t *token, keys []key) status {
	a, tried := algorithmOf(t.alg), false
	var sum []byte
	if a.hash != 0 {
		h := a.hash.New()
		h.Write(t.signed)
		sum = h.Sum(nil)
	}
	for i := range keys {
		k := &keys[i]
		if t.kid != "" && k.kid != "" && t.kid != k.kid || k.alg != "" && k.alg != t.alg || !k.fits(a) {
			continue
		}
		tried = true
		if k.verifies(a, t, sum) {
			return statusOK
		}
	}
	if tried {
		return statusVerification
	}
	return statusKidMismatch
}

// fits says whether the key is of the algorithm's kind.
func (k *key) fits(a *algorithm) bool {
	switch a.kind {
	case 'R', 'P':
		return k.rsa != nil
	case 'E':
		return k.ec != nil && (k.ec.Curve.Params().BitSize == 8*a.hash.Size() || k.ec.Curve == elliptic.P521() && a.hash == crypto.SHA512)
	case 'H':
		return k.secret != nil
	}
	return k.ed != nil
}

func (k *key) verifies(a *algorithm, t *token, sum []byte) bool {
	switch a.kind {
	case 'R':
		return rsa.VerifyPKCS1v15(k.rsa, a.hash, sum, t.signature) == nil
	case 'P':
		return rsa.VerifyPSS(k.rsa, a.hash, sum, t.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	case 'E':
		n := (k.ec.Curve.Params().BitSize + 7) / 8
		if len(t.signature) != 2*n {
			return false
		}
		r, s := new(big.Int).SetBytes(t.signature[:n]), new(big.Int).SetBytes(t.signature[n:])
		return ecdsa.Verify(k.ec, sum, r, s)
	case 'H':
		m := hmac.New(a.hash.New, k.secret)
		m.Write(t.signed)
		return hmac.Equal(m.Sum(nil), t.signature)
	}
	return ed25519.Verify(k.ed, t.signed, t.signature)
}
