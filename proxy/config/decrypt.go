package config

// Private keys under a password: PKCS #8 with PBES2 (RFC 8018), and the old form
// of OpenSSL with DEK-Info.

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
)

// maxIterations bounds what a key may ask for before it is decrypted: about a
// second of work.
const maxIterations = 2_000_000

// maxNesting is how deep a PKCS #12 file may nest.
const maxNesting = 32

var errPassword = errors.New("the private key cannot be decrypted with this password")

// decrypt gives the type and the content of a PEM block, in plain.
func decrypt(block *pem.Block, password []byte) (kind string, der []byte, err error) {
	old := block.Headers["DEK-Info"] != ""
	switch {
	case !old && block.Type != "ENCRYPTED PRIVATE KEY":
		return block.Type, block.Bytes, nil
	case len(password) == 0:
		return "", nil, errors.New("the private key is encrypted, and no password is given")
	case old:
		//lint:ignore SA1019 it is weak, and what people have
		if der, err = x509.DecryptPEMBlock(block, password); err != nil {
			return "", nil, errPassword
		}
		return block.Type, der, nil
	}
	der, err = pbes2(block.Bytes, password)
	return "PRIVATE KEY", der, err
}

// What RFC 8018 appendix A defines, as far as it is read.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Params struct {
		KDF, Cipher pkix.AlgorithmIdentifier
	}
	pbkdf2Params struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

func pbes2(der, password []byte) ([]byte, error) {
	var key encryptedKey
	var params pbes2Params
	var kdf pbkdf2Params
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return nil, errors.New("an encrypted private key that cannot be parsed")
	}
	if key.Algorithm.Algorithm.String() != "1.2.840.113549.1.5.13" {
		return nil, fmt.Errorf("a private key encrypted by %s: PBES2 only (openssl pkcs8 -topk8 -v2 aes-256-cbc)", key.Algorithm.Algorithm)
	}
	if _, err := asn1.Unmarshal(key.Algorithm.Parameters.FullBytes, &params); err != nil || params.KDF.Algorithm.String() != "1.2.840.113549.1.5.12" {
		return nil, errors.New("an encrypted private key whose password is not derived by PBKDF2")
	}
	if _, err := asn1.Unmarshal(params.KDF.Parameters.FullBytes, &kdf); err != nil {
		return nil, errors.New("an encrypted private key whose parameters cannot be parsed")
	}
	if kdf.Iterations < 1 || kdf.Iterations > maxIterations {
		return nil, fmt.Errorf("an encrypted private key of %d iterations: 1 to %d are allowed", kdf.Iterations, maxIterations)
	}
	prf, size, iv, err := algorithms(&kdf, &params)
	if err != nil {
		return nil, err
	}
	secret, err := pbkdf2.Key(prf, string(password), kdf.Salt, kdf.Iterations, size)
	if err != nil {
		return nil, err
	}
	return unpad(secret, iv, key.Data)
}

// algorithms reads which hash and which AES the key wants.
func algorithms(kdf *pbkdf2Params, params *pbes2Params) (prf func() hash.Hash, size int, iv []byte, err error) {
	switch kdf.PRF.Algorithm.String() {
	case "", "1.2.840.113549.2.7":
		prf = sha1.New
	case "1.2.840.113549.2.9":
		prf = sha256.New
	case "1.2.840.113549.2.10":
		prf = sha512.New384
	case "1.2.840.113549.2.11":
		prf = sha512.New
	default:
		return nil, 0, nil, fmt.Errorf("an encrypted private key with PBKDF2 by %s", kdf.PRF.Algorithm)
	}
	switch params.Cipher.Algorithm.String() {
	case "2.16.840.1.101.3.4.1.2":
		size = 16
	case "2.16.840.1.101.3.4.1.22":
		size = 24
	case "2.16.840.1.101.3.4.1.42":
		size = 32
	default:
		return nil, 0, nil, fmt.Errorf("a private key encrypted by %s: AES-CBC only", params.Cipher.Algorithm)
	}
	if _, err := asn1.Unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil || len(iv) != aes.BlockSize {
		return nil, 0, nil, errors.New("an encrypted private key whose parameters cannot be parsed")
	}
	return prf, size, iv, nil
}

// unpad decrypts AES-CBC and takes off the padding, which tells whether the
// password was right.
func unpad(secret, iv, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(secret)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errPassword
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	n := int(plain[len(plain)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, errPassword
	}
	for _, b := range plain[len(plain)-n:] {
		if int(b) != n {
			return nil, errPassword
		}
	}
	return plain[:len(plain)-n], nil
}

// modest reports whether no key of a PKCS #12 file wants more than maxIterations,
// as far as it stands there in plain: an integer behind a string of octets, which
// is the salt, in a DER text that is depth deep.
func modest(der []byte, depth int) bool {
	salt := false
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return true // it is no DER, or cannot be read anyhow
		}
		der = rest
		var n int64
		if v.Tag == asn1.TagInteger && salt && v.Class == asn1.ClassUniversal {
			if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil || n > maxIterations {
				return false
			}
		}
		salt = v.Tag == asn1.TagOctetString && v.Class == asn1.ClassUniversal
		if (v.IsCompound || salt) && (depth == 0 || !modest(v.Bytes, depth-1)) {
			return false
		}
	}
	return true
}
