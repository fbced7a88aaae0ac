package tlscert

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/crypto/ocsp"
)

// maxStaple is far more than an OCSP response has.
const maxStaple = 64 << 10

// staple is an OCSP response to send along (RFC 6066 section 8), and the end of its time.
type staple struct {
	der   []byte
	until time.Time
}

// readStaple reads the response beside a chain. Without one, or with one that would do
// harm, it returns nothing: a visitor without a staple asks the CA or nobody, but one with a
// bad staple turns away.
func readStaple(file string, chain []*x509.Certificate, now time.Time, r *report) staple {
	der, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return staple{}
	}
	if err != nil {
		r.warn(file, "not stapled: reading the OCSP response: %v", errors.Unwrap(err))
		return staple{}
	}
	s, err := parseStaple(der, chain, now)
	if err != nil {
		r.warn(file, "not stapled: %v", err)
	}
	return s
}

// parseStaple checks that a response is about the first certificate of the chain, signed by
// or for the second, good, and of today (RFC 6960 section 3.2).
func parseStaple(der []byte, chain []*x509.Certificate, now time.Time) (staple, error) {
	if len(der) > maxStaple {
		return staple{}, fmt.Errorf("the OCSP response has %d octets, more than %d", len(der), maxStaple)
	}
	if len(chain) < 2 {
		return staple{}, errors.New("the OCSP response cannot be checked without its issuer: append the intermediate to the chain")
	}
	resp, err := ocsp.ParseResponseForCert(der, chain[0], chain[1])
	if err != nil {
		return staple{}, fmt.Errorf("the OCSP response is not one in DER about this certificate: %w", err)
	}
	switch {
	case resp.Status == ocsp.Revoked:
		return staple{}, fmt.Errorf("the CA revoked the certificate at %s: replace it", resp.RevokedAt.UTC().Format(time.RFC3339))
	case resp.Status != ocsp.Good:
		return staple{}, errors.New("the CA does not know the certificate")
	case resp.NextUpdate.IsZero():
		return staple{}, errors.New("the OCSP response does not say until when it is valid")
	case now.Before(resp.ThisUpdate):
		return staple{}, fmt.Errorf("the OCSP response is not valid before %s", resp.ThisUpdate.UTC().Format(time.RFC3339))
	case !now.Before(resp.NextUpdate):
		return staple{}, fmt.Errorf("the OCSP response ended at %s: fetch a new one", resp.NextUpdate.UTC().Format(time.RFC3339))
	}
	return staple{der, resp.NextUpdate}, nil
}
