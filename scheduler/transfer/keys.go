package transfer

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/internal/keyfile"
)

// Key is one that messages are signed with (TSIG).
type Key struct {
	// Algorithm is hmac-sha256, hmac-sha384 or hmac-sha512.
	Algorithm string
	// Secret is at least 16 octets.
	Secret []byte
}

// Keys are keys by their names.
type Keys map[cdn.Domain]Key

// ParseKeys reads lines "NAME ALGORITHM BASE64". The error names the line, and says nothing of secrets.
func ParseKeys(text string) (Keys, error) {
	keys := make(Keys)
	for n, columns := range keyfile.Lines(text) {
		if len(columns) != 3 {
			return nil, fmt.Errorf("line %d: want NAME ALGORITHM BASE64, got %d columns", n, len(columns))
		}
		name, key, err := parseKey(columns)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, ok := keys[name]; ok {
			return nil, fmt.Errorf("line %d: there is a key %s already", n, name)
		}
		keys[name] = key
	}
	return keys, nil
}

func parseKey(columns []string) (cdn.Domain, Key, error) {
	name, err := cdn.ParseDomain(columns[0])
	if err != nil {
		return "", Key{}, fmt.Errorf("the name of a key: %w", err)
	}
	algorithm := strings.ToLower(strings.TrimSuffix(columns[1], "."))
	if hashOf(algorithm) == nil {
		return "", Key{}, fmt.Errorf("key %s: want hmac-sha256, hmac-sha384 or hmac-sha512; weaker ones are refused", name)
	}
	secret, err := base64.StdEncoding.DecodeString(columns[2])
	if err != nil {
		return "", Key{}, fmt.Errorf("key %s: the secret is not base64", name)
	}
	if len(secret) < keyfile.MinSecret {
		return "", Key{}, fmt.Errorf("key %s: the secret has %d octets, want %d or more, such as `openssl rand -base64 32` makes", name, len(secret), keyfile.MinSecret)
	}
	return name, Key{Algorithm: algorithm, Secret: secret}, nil
}

// hashOf returns what an algorithm hashes with, or nil.
func hashOf(algorithm string) func() hash.Hash {
	switch algorithm {
	case "hmac-sha256":
		return sha256.New
	case "hmac-sha384":
		return sha512.New384
	case "hmac-sha512":
		return sha512.New
	}
	return nil
}

// Why a signature is not believed, beside what miekg/dns says.
var (
	errTruncated = errors.New("the signature is shorter than it must be here")
	errMACSize   = errors.New("the signature has a length that it cannot have")
)

// Generate implements [dns.TsigProvider].
func (k Keys) Generate(message []byte, t *dns.TSIG) ([]byte, error) {
	key, ok := k[nameOf(t)]
	if !ok || key.Algorithm != strings.TrimSuffix(strings.ToLower(t.Algorithm), ".") {
		return nil, dns.ErrSecret
	}
	h := hmac.New(hashOf(key.Algorithm), key.Secret)
	h.Write(message)
	return h.Sum(nil), nil
}

// Verify implements [dns.TsigProvider]. A signature that is cut short (RFC 8945 section 5.2.2.1) is looked at, and not believed.
func (k Keys) Verify(message []byte, t *dns.TSIG) error {
	want, err := k.Generate(message, t)
	if err != nil {
		return err
	}
	got, err := hex.DecodeString(t.MAC)
	switch {
	case err != nil || len(got) > len(want) || len(got) < max(10, len(want)/2):
		return errMACSize
	case !hmac.Equal(got, want[:len(got)]):
		return dns.ErrSig
	case len(got) < len(want):
		return errTruncated
	}
	return nil
}

// nameOf is the name of the key that a message is signed with.
func nameOf(t *dns.TSIG) cdn.Domain {
	return cdn.Domain(strings.TrimSuffix(dns.CanonicalName(t.Hdr.Name), "."))
}
