package local

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"nearcast/cdn"
	"nearcast/internal/atomicfile"
)

// How long what the lab signs is good for. Either is made anew at a start when less than a third is left.
const (
	caLife          = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
)

// pair is a certificate and its private key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (l *Lab) caFile() string    { return filepath.Join(l.cfg.Dir, "secrets", "ca.pem") }
func (l *Lab) caKeyFile() string { return filepath.Join(l.cfg.Dir, "secrets", "ca.key") }

// ensureCertificate makes the schedulers' certificate, and the lab's own authority that vouches for it, unless good ones are there. A certificate that
// somebody else has signed is left alone.
func (l *Lab) ensureCertificate(now time.Time) error {
	certFile, keyFile := l.layout.CertificateFile(), l.layout.CertificateKeyFile()
	have, err := readPair(certFile, keyFile)
	if err != nil {
		return err
	}
	ca, err := readPair(l.caFile(), l.caKeyFile())
	if err != nil {
		return err
	}
	if have != nil && have.cert.Issuer.CommonName != caName {
		l.own = have.cert
		l.cfg.Log.Info("the schedulers' certificate is one of your own; it is left as it is", "file", certFile)
		return nil
	}
	if ca == nil || !lasts(ca.cert, now) {
		if ca, err = newPair(authority(now), nil); err != nil {
			return err
		}
		if err := ca.write(l.caFile(), l.caKeyFile()); err != nil {
			return err
		}
	}
	want := l.certificate(now)
	if have != nil && lasts(have.cert, now) && have.cert.CheckSignatureFrom(ca.cert) == nil && isFor(have.cert, want) {
		return nil
	}
	made, err := newPair(want, ca)
	if err != nil {
		return err
	}
	return made.write(certFile, keyFile)
}

// secureAccess is where, and as whom, a scheduler answers over TLS.
func (l *Lab) secureAccess() SecureAccess {
	s := SecureAccess{DoT: l.plan.Secure, DoH: "https://" + l.plan.Secure + "/dns-query", Name: l.certificateNames()[0], CAFile: l.caFile()}
	if l.own != nil {
		s.Name, s.CAFile = "", ""
		if len(l.own.DNSNames) > 0 {
			s.Name = cdn.Domain(l.own.DNSNames[0])
		}
	}
	return s
}

// lasts reports whether more than a third of a certificate's life is left.
func lasts(c *x509.Certificate, now time.Time) bool {
	return now.After(c.NotBefore) && c.NotAfter.Sub(now) > c.NotAfter.Sub(c.NotBefore)/3
}

// isFor reports whether a certificate has the names and addresses of another.
func isFor(c, want *x509.Certificate) bool {
	return slices.Equal(c.DNSNames, want.DNSNames) && slices.EqualFunc(c.IPAddresses, want.IPAddresses, net.IP.Equal)
}

// caName is whom the lab's certificates are from.
const caName = "Nearcast lab"

func authority(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: caName}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// certificate is the one that schedulers are to have.
func (l *Lab) certificate(now time.Time) *x509.Certificate {
	c := &x509.Certificate{
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range l.certificateNames() {
		c.DNSNames = append(c.DNSNames, string(name))
	}
	c.Subject.CommonName = c.DNSNames[0]
	for _, n := range l.plan.Fleet.Nodes {
		if n.Has(cdn.RoleScheduler) {
			c.IPAddresses = append(c.IPAddresses, n.Addresses[0].AsSlice())
		}
	}
	return c
}

// certificateNames are the zone's name servers.
func (l *Lab) certificateNames() (names []cdn.Domain) {
	for _, n := range l.plan.Fleet.Nodes {
		if n.Has(cdn.RoleScheduler) {
			names = append(names, cdn.Domain("ns"+strconv.Itoa(len(names)+1)).Under(l.plan.Fleet.Zone))
		}
	}
	return names
}

// newPair makes a key and lets a certificate for it be signed, by itself if by is nil.
func newPair(template *x509.Certificate, by *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of a certificate: %w", err)
	}
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] &= 0x7f // RFC 5280 section 4.1.2.2: positive
	template.SerialNumber = new(big.Int).SetBytes(serial)
	made := &pair{template, key}
	if by == nil {
		by = made
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err == nil {
		made.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return made, nil
}

// write writes the key first: who reads both in between finds two that do not belong together, and reads them again.
func (p *pair) write(certFile, keyFile string) error {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return fmt.Errorf("encoding the key of a certificate: %w", err)
	}
	if err := atomicfile.Write(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	return atomicfile.Write(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}), 0o644)
}

// readPair reads a certificate and its key; nil says that they are not both there, or do not belong together. The key may be of another kind than the
// lab's: then it is somebody's own, and not returned.
func readPair(certFile, keyFile string) (*pair, error) {
	cert, key, err := readBlocks(certFile, keyFile)
	if err != nil || cert == nil || key == nil {
		return nil, err
	}
	p := new(pair)
	if p.cert, err = x509.ParseCertificate(cert.Bytes); err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "%s: %w; delete it to have one made", certFile, err)
	}
	if p.cert.Issuer.CommonName != caName {
		return p, nil
	}
	private, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "%s: %w; delete it to have one made", keyFile, err)
	}
	var ours bool
	if p.key, ours = private.(*ecdsa.PrivateKey); !ours || !p.key.PublicKey.Equal(p.cert.PublicKey) {
		return nil, nil // the process died between the two files
	}
	return p, nil
}

// readBlocks reads the first PEM block of each; a file that is not there has none.
func readBlocks(certFile, keyFile string) (cert, key *pem.Block, err error) {
	for name, block := range map[string]**pem.Block{certFile: &cert, keyFile: &key} {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading a certificate: %w", err)
		}
		if *block, _ = pem.Decode(bytes.TrimSpace(text)); *block == nil {
			return nil, nil, cdn.Errorf(cdn.Invalid, "", "%s: has nothing in PEM; delete it to have one made", name)
		}
	}
	return cert, key, nil
}
