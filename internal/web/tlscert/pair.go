package tlscert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// minRSA is the shortest RSA key in bits that browsers accept.
const minRSA = 2048

// Pair names the files of one certificate.
type Pair struct {
	// Chain is a file of PEM blocks: the certificate first, then its intermediates,
	// each followed by the one that signed it. If there is a file of that name with
	// ".ocsp" appended, it is an OCSP response in DER, to be stapled.
	Chain string
	// Key is a file with the private key in PEM, not encrypted: PKCS #8, PKCS #1 or
	// SEC 1. It may be the same file as Chain.
	Key string
}

func (p Pair) staple() string { return p.Chain + ".ocsp" }

// certificate is what a pair of files holds, checked.
type certificate struct {
	file  string
	chain []*x509.Certificate
	key   crypto.Signer
}

func (c *certificate) leaf() *x509.Certificate { return c.chain[0] }

// report collects what is wrong with the files. A warning does not keep a certificate from being
// used.
type report struct {
	errs     []error
	warnings []string
}

func (r *report) fail(file, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s: %w", file, fmt.Errorf(format, args...)))
}

func (r *report) warn(file, format string, args ...any) {
	r.warnings = append(r.warnings, file+": "+fmt.Sprintf(format, args...))
}

// readPair reads and checks a pair. It returns nil if the report got an error.
func readPair(p Pair, now time.Time, r *report) *certificate {
	before := len(r.errs)
	chainPEM := readFile(p.Chain, "the certificate and its intermediates", r)
	keyPEM := readFile(p.Key, "the private key", r)
	if info, err := os.Stat(p.Key); err == nil && info.Mode().Perm()&0o007 != 0 {
		r.warn(p.Key, "every user of this machine can read the private key: chmod o= it")
	}
	if len(r.errs) > before {
		return nil
	}
	c := parsePair(p, chainPEM, keyPEM, r)
	if len(r.errs) > before {
		return nil
	}
	checkValidity(c, now, r)
	return c
}

func readFile(name, holds string, r *report) []byte {
	if name == "" {
		r.fail("(no file)", "the name of the file with %s is missing", holds)
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		r.fail(name, "reading %s: %w", holds, errors.Unwrap(err))
		return nil
	}
	return data
}

// parsePair parses the content of both files and checks that they belong together. What it returns
// is whole only if the report got no error.
func parsePair(p Pair, chainPEM, keyPEM []byte, r *report) *certificate {
	c := &certificate{file: p.Chain, chain: parseChain(p.Chain, chainPEM, r), key: parseKey(p.Key, keyPEM, r)}
	if len(c.chain) == 0 || c.key == nil {
		return c
	}
	public, ok := c.key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(c.leaf().PublicKey) {
		r.fail(p.Key, "the key does not belong to the first certificate of %s: give the key that its request was "+
			"made with, or put that certificate first", p.Chain)
	}
	if rsaKey, ok := c.leaf().PublicKey.(*rsa.PublicKey); ok && rsaKey.N.BitLen() < minRSA {
		r.fail(p.Chain, "the RSA key has %d bits, which browsers refuse: use ECDSA P-256, or RSA with %d bits", rsaKey.N.BitLen(), minRSA)
	}
	return c
}

// parseChain parses the certificates among the PEM blocks, and lets others be: a key may be in the
// same file.
func parseChain(file string, data []byte, r *report) []*x509.Certificate {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			r.fail(file, "certificate %d cannot be parsed, get it from the CA again: %w", len(chain)+1, err)
			return nil
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		r.fail(file, "no PEM block of type CERTIFICATE: it must hold the certificate, then its intermediates "+
			"(DER is turned into PEM by openssl x509 -inform der)")
	}
	for i := 1; i < len(chain); i++ {
		if chain[i-1].CheckSignatureFrom(chain[i]) != nil {
			r.warn(file, "certificate %d is not signed by certificate %d: order them from the site's to the root's", i, i+1)
		}
	}
	return chain
}

func parseKey(file string, data []byte, r *report) crypto.Signer {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			r.fail(file, "the private key is encrypted, and there is nobody to ask for the passphrase: openssl pkey -in old -out new")
			return nil
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		key, err := parseKeyBlock(block.Bytes)
		if err != nil {
			r.fail(file, "the private key cannot be used, it must be ECDSA, RSA or Ed25519: %w", err)
		}
		return key
	}
	r.fail(file, "no PEM block with a PRIVATE KEY")
	return nil
}

func parseKeyBlock(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parsing PKCS #8: %w", err)
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		return key, nil
	case *rsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("keys of type %T do not sign handshakes", key)
}

// checkValidity warns of a certificate that visitors will not trust today. It is used all the
// same: one that is served shows in the browser what is wrong, and a clock may be.
func checkValidity(c *certificate, now time.Time, r *report) {
	leaf := c.leaf()
	switch {
	case now.After(leaf.NotAfter):
		r.warn(c.file, "the certificate expired at %s: renew it", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		r.warn(c.file, "the certificate is not valid before %s: check the clock", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	if len(leaf.ExtKeyUsage) == 0 {
		return
	}
	for _, usage := range leaf.ExtKeyUsage {
		if usage == x509.ExtKeyUsageServerAuth || usage == x509.ExtKeyUsageAny {
			return
		}
	}
	r.warn(c.file, "the certificate is not for servers (extended key usage serverAuth is missing)")
}
