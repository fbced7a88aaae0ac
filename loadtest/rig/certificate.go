package rig

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"nearcast/internal/testcert"
)

// Certificate is a certificate for localhost and 127.0.0.1 with an ECDSA P-256 key, as files in PEM.
type Certificate struct {
	Cert, Key string
	// Both is a file with one after the other, which HAProxy wants.
	Both string
}

// NewCertificate writes a self-signed certificate into dir.
func NewCertificate(dir string) (Certificate, error) {
	c := Certificate{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), Both: filepath.Join(dir, "both.pem")}
	cert, key, err := testcert.New("localhost", "127.0.0.1")
	if err != nil {
		return c, err
	}
	return c, errors.Join(os.WriteFile(c.Cert, cert, 0o644), os.WriteFile(c.Key, key, 0o600), os.WriteFile(c.Both, slices.Concat(cert, key), 0o600))
}
