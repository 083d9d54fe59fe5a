package jwtauthn

// Tokens: three parts of base64, and what they say (RFC 7515, 7519).

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// status is how a token was found; the texts are those of Envoy's jwt_verify_lib
// (status.cc), which clients see.
type status uint8

const (
	statusOK status = iota
	statusMissed
	statusNotYet
	statusExpired
	statusFormat
	statusHeaderBase64
	statusHeaderJSON
	statusNoAlg
	statusAlg
	statusKid
	statusPayloadBase64
	statusPayloadJSON
	statusIss
	statusSub
	statusIat
	statusNbf
	statusExp
	statusAud
	statusSignatureBase64
	statusUnknownIssuer
	statusAudience
	statusVerification
	statusNoKeys
	statusKidMismatch
	statusFetch
)

func (s status) String() string {
	return [...]string{
		"OK", "Jwt is missing", "Jwt not yet valid", "Jwt is expired",
		"Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
		"Jwt header is an invalid Base64url encoded", "Jwt header is an invalid JSON",
		"Jwt header [alg] field is required and must be a string", "Jwt header [alg] is not supported",
		"Jwt header [kid] field is not a string", "Jwt payload is an invalid Base64url encoded",
		"Jwt payload is an invalid JSON", "Jwt payload [iss] field is not a string",
		"Jwt payload [sub] field is not a string", "Jwt payload [iat] field is not an integer",
		"Jwt payload [nbf] field is not an integer", "Jwt payload [exp] field is not an integer",
		"Jwt payload [aud] field is not a string or string list", "Jwt signature is an invalid Base64url encoded",
		"Jwt issuer is not configured", "Audiences in Jwt are not allowed", "Jwt verification fails",
		"Jwks doesn't have any valid public key", "Jwks doesn't have key to match kid or alg from Jwt",
		"Jwks remote fetch is failed",
	}[s]
}

// code is the number of the status in jwt_verify_lib, for failed_status_in_metadata.
func (s status) code() int {
	return [...]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 24, 25, 26, 27, 28, 29}[s]
}

// token is a token that has been read, not verified.
type token struct {
	alg, kid       string
	iss, sub       string
	aud            []string
	nbf, exp       int64 // 0: not given
	header, claims map[string]any
	payload        []byte // as it came, in base64
	signed         []byte // header and payload as they came
	signature      []byte
}

// maxToken bounds a token, in bytes: it is more than a head may have.
const maxToken = 64 << 10

var base64url = base64.RawURLEncoding.Strict()

// parseToken reads a token. It keeps parts of text.
func parseToken(text []byte) (*token, status) {
	first := bytes.IndexByte(text, '.')
	last := bytes.LastIndexByte(text, '.')
	if len(text) > maxToken || first < 0 || last == first || bytes.IndexByte(text[first+1:], '.') != last-first-1 {
		return nil, statusFormat
	}
	t := &token{payload: text[first+1 : last], signed: text[:last]}
	for _, read := range []func() status{
		func() status { return t.readHeader(text[:first]) },
		t.readPayload,
		func() status {
			var err error
			if t.signature, err = base64url.DecodeString(string(text[last+1:])); err != nil {
				return statusSignatureBase64
			}
			return statusOK
		},
	} {
		if s := read(); s != statusOK {
			return nil, s
		}
	}
	return t, statusOK
}

func object(part []byte, bad64, badJSON status) (map[string]any, status) {
	raw, err := base64url.DecodeString(string(part))
	if err != nil {
		return nil, bad64
	}
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return nil, badJSON
	}
	return m, statusOK
}

func (t *token) readHeader(part []byte) (s status) {
	if t.header, s = object(part, statusHeaderBase64, statusHeaderJSON); s != statusOK {
		return s
	}
	var ok bool
	if t.alg, ok = t.header["alg"].(string); !ok {
		return statusNoAlg
	}
	if algorithmOf(t.alg) == nil {
		return statusAlg
	}
	if kid, there := t.header["kid"]; there {
		if t.kid, ok = kid.(string); !ok {
			return statusKid
		}
	}
	return statusOK
}

func (t *token) readPayload() (s status) {
	if t.claims, s = object(t.payload, statusPayloadBase64, statusPayloadJSON); s != statusOK {
		return s
	}
	var ok bool
	if t.iss, ok = text(t.claims, "iss"); !ok {
		return statusIss
	}
	if t.sub, ok = text(t.claims, "sub"); !ok {
		return statusSub
	}
	if _, ok = number(t.claims, "iat"); !ok {
		return statusIat
	}
	if t.nbf, ok = number(t.claims, "nbf"); !ok {
		return statusNbf
	}
	if t.exp, ok = number(t.claims, "exp"); !ok {
		return statusExp
	}
	switch aud := t.claims["aud"].(type) {
	case nil:
	case string:
		t.aud = []string{aud}
	case []any:
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return statusAud
			}
			t.aud = append(t.aud, s)
		}
	default:
		return statusAud
	}
	return statusOK
}

func text(m map[string]any, key string) (string, bool) {
	v, there := m[key]
	s, ok := v.(string)
	return s, ok || !there
}

// number is a time in seconds; a negative one, or one with a fraction, is none.
func number(m map[string]any, key string) (int64, bool) {
	v, there := m[key]
	f, ok := v.(float64)
	if !there {
		return 0, true
	}
	return int64(f), ok && f >= 0 && f < 1<<53
}
