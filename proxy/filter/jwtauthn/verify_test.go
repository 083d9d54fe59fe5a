package jwtauthn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signer makes tokens with one algorithm, and is the JWK that they are good for.
type signer struct {
	alg, jwk string
	sign     func(signed []byte) []byte
}

func digest(h crypto.Hash, b []byte) []byte {
	x := h.New()
	x.Write(b)
	return x.Sum(nil)
}

func signers(t testing.TB) (all []signer) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk := fmt.Sprintf(`{"kty":"RSA","kid":"rsa","n":%q,"e":"AQAB"}`, b64(r.N.Bytes()))
	for name, h := range map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512} {
		all = append(all, signer{"RS" + name, jwk, func(b []byte) []byte {
			s, _ := rsa.SignPKCS1v15(rand.Reader, r, h, digest(h, b))
			return s
		}}, signer{"PS" + name, jwk, func(b []byte) []byte {
			s, _ := rsa.SignPSS(rand.Reader, r, h, digest(h, b), nil)
			return s
		}}, signer{"HS" + name, fmt.Sprintf(`{"kty":"oct","kid":"h","k":%q}`, b64([]byte("secret"))), func(b []byte) []byte {
			m := hmac.New(h.New, []byte("secret"))
			m.Write(b)
			return m.Sum(nil)
		}})
	}
	for alg, c := range map[string]struct {
		curve elliptic.Curve
		hash  crypto.Hash
		crv   string
	}{"ES256": {elliptic.P256(), crypto.SHA256, "P-256"}, "ES384": {elliptic.P384(), crypto.SHA384, "P-384"}, "ES512": {elliptic.P521(), crypto.SHA512, "P-521"}} {
		k, err := ecdsa.GenerateKey(c.curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		n := (c.curve.Params().BitSize + 7) / 8
		point, _ := k.PublicKey.Bytes()
		all = append(all, signer{alg, fmt.Sprintf(`{"kty":"EC","crv":%q,"x":%q,"y":%q}`, c.crv, b64(point[1:1+n]), b64(point[1+n:])), func(b []byte) []byte {
			x, y, _ := ecdsa.Sign(rand.Reader, k, digest(c.hash, b))
			return append(fixed(x, n), fixed(y, n)...)
		}})
	}
	pub, priv, _ := ed25519.GenerateKey(rand.Reader)
	return append(all, signer{"EdDSA", fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, b64(pub)), func(b []byte) []byte { return ed25519.Sign(priv, b) }})
}

func fixed(n *big.Int, size int) []byte { return n.FillBytes(make([]byte, size)) }

func (s signer) token(header, payload map[string]any) string {
	header["alg"] = s.alg
	h, _ := json.Marshal(header)
	p, _ := json.Marshal(payload)
	signed := b64(h) + "." + b64(p)
	return signed + "." + b64(s.sign([]byte(signed)))
}

func keysOf(t testing.TB, jwks ...string) []key {
	t.Helper()
	keys, err := parseKeys([]byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Every algorithm: a good signature is one, one that was changed is none, and the
// keys of the others do not fit.
func TestVerify(t *testing.T) {
	all := signers(t)
	for _, s := range all {
		tok, st := parseToken([]byte(s.token(map[string]any{}, map[string]any{"iss": "me"})))
		if st != statusOK {
			t.Fatalf("%s: %v", s.alg, st)
		}
		if got := verify(tok, keysOf(t, s.jwk)); got != statusOK {
			t.Errorf("%s: %v", s.alg, got)
		}
		tok.signature[len(tok.signature)-1] ^= 1
		if got := verify(tok, keysOf(t, s.jwk)); got != statusVerification {
			t.Errorf("%s, changed: %v", s.alg, got)
		}
		for _, o := range all {
			if s.alg[:1] != o.alg[:1] && !strings.HasPrefix(s.alg+o.alg, "RS") && !strings.HasPrefix(s.alg+o.alg, "PS") {
				if got := verify(tok, keysOf(t, o.jwk)); got != statusKidMismatch {
					t.Errorf("%s with the key of %s: %v", s.alg, o.alg, got)
				}
			}
		}
	}
}

// What names a key, or an algorithm, is held to it. A public key is never a secret:
// a token that says HS256 does not verify with the bytes of an RSA key.
func TestKeyNames(t *testing.T) {
	var rs signer
	for _, s := range signers(t) {
		if s.alg == "RS256" {
			rs = s
		}
	}
	tok, _ := parseToken([]byte(rs.token(map[string]any{"kid": "other"}, map[string]any{})))
	if got := verify(tok, keysOf(t, rs.jwk)); got != statusKidMismatch {
		t.Errorf("another kid: %v", got)
	}
	named := strings.Replace(rs.jwk, `"kid":"rsa"`, `"alg":"RS512"`, 1)
	if got := verify(tok, keysOf(t, named)); got != statusKidMismatch {
		t.Errorf("another alg: %v", got)
	}
	forged := signer{"HS256", "", func(b []byte) []byte {
		m := hmac.New(crypto.SHA256.New, []byte(rs.jwk))
		m.Write(b)
		return m.Sum(nil)
	}}
	tok, _ = parseToken([]byte(forged.token(map[string]any{}, map[string]any{})))
	if got := verify(tok, keysOf(t, rs.jwk)); got != statusKidMismatch {
		t.Errorf("a public key as a secret: %v", got)
	}
}

func TestParse(t *testing.T) {
	part := func(s string) string { return b64([]byte(s)) }
	h, p := part(`{"alg":"HS256"}`), part(`{}`)
	for text, want := range map[string]status{
		"":                                     statusFormat,
		"a.b":                                  statusFormat,
		"a.b.c.d":                              statusFormat,
		"a+a." + p + ".":                       statusHeaderBase64,
		part("no") + "." + p + ".":             statusHeaderJSON,
		part("null") + "." + p + ".":           statusHeaderJSON,
		part("{}") + "." + p + ".":             statusNoAlg,
		part(`{"alg":"none"}`) + "." + p + ".": statusAlg,
		part(`{"alg":"HS256","kid":1}`) + "." + p + ".": statusKid,
		h + ".?.":                            statusPayloadBase64,
		h + "." + part("[]") + ".":           statusPayloadJSON,
		h + "." + part(`{"iss":1}`) + ".":    statusIss,
		h + "." + part(`{"sub":1}`) + ".":    statusSub,
		h + "." + part(`{"exp":"1"}`) + ".":  statusExp,
		h + "." + part(`{"nbf":-1}`) + ".":   statusNbf,
		h + "." + part(`{"iat":true}`) + ".": statusIat,
		h + "." + part(`{"aud":[1]}`) + ".":  statusAud,
		h + "." + p + ".?":                   statusSignatureBase64,
		h + "." + p + ".":                    statusOK,
	} {
		if _, got := parseToken([]byte(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte(b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(`{"exp":1e400,"aud":["a"]}`)) + ".AA"))
	f.Fuzz(func(t *testing.T, in []byte) {
		tok, s := parseToken(in)
		if (tok == nil) != (s != statusOK) {
			t.Fatalf("a token and %v", s)
		}
		if tok != nil {
			_ = verify(tok, []key{{secret: []byte("k")}})
			_ = valueOf(tok.claims)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"RSA","n":"AQ","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		keys, err := parseKeys(in)
		if (len(keys) == 0) != (err != nil) {
			t.Fatalf("%d keys and %v", len(keys), err)
		}
	})
}

// BenchmarkVerify is what a signature costs where the request runs.
func BenchmarkVerify(b *testing.B) {
	for _, s := range signers(b) {
		switch s.alg {
		case "RS256", "ES256", "HS256", "EdDSA":
			b.Run(s.alg, func(b *testing.B) {
				text, keys := []byte(s.token(map[string]any{}, map[string]any{"iss": "me", "exp": 4e9})), keysOf(b, s.jwk)
				for b.Loop() {
					tok, _ := parseToken(text)
					if verify(tok, keys) != statusOK {
						b.Fatal("not verified")
					}
				}
			})
		}
	}
}
