package tlscert_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearcast/internal/web/tlscert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen before it gives up.
const patience = 20 * time.Second

// authority is a CA with one intermediate, which signs.
type authority struct {
	roots        *x509.CertPool
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	rootKey, key := newECDSA(t), newECDSA(t)
	root := sign(t, caTemplate("root"), nil, rootKey.Public(), rootKey)
	a := &authority{roots: x509.NewCertPool(), intermediate: sign(t, caTemplate("intermediate"), root, key.Public(), rootKey), key: key}
	a.roots.AddCert(root)
	return a
}

func newECDSA(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaKey is made once: it takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func caTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-10 * 365 * 24 * time.Hour), NotAfter: time.Now().Add(50 * 365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
}

func sign(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// leaf is what a test wants of a certificate. Zero fields mean: ECDSA, valid for a year.
type leaf struct {
	names  []string
	ips    []net.IP
	key    crypto.Signer
	ends   time.Time
	usage  []x509.ExtKeyUsage
	serial int64
}

func (a *authority) issue(t testing.TB, l leaf) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	if l.key == nil {
		l.key = newECDSA(t)
	}
	if l.ends.IsZero() {
		l.ends = time.Now().Add(365 * 24 * time.Hour)
	}
	if l.serial == 0 {
		l.serial = time.Now().UnixNano()
	}
	if l.usage == nil {
		l.usage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	return sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(l.serial), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: l.names, IPAddresses: l.ips,
		NotBefore: l.ends.Add(-2 * 365 * 24 * time.Hour), NotAfter: l.ends, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: l.usage,
	}, a.intermediate, l.key.Public(), a.key), l.key
}

// pair issues a certificate and writes its files.
func (a *authority) pair(t testing.TB, l leaf) tlscert.Pair {
	t.Helper()
	dir := t.TempDir()
	p := tlscert.Pair{Chain: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	a.rewrite(t, p, l)
	return p
}

// rewrite issues another certificate into the same files, by renaming as one should.
func (a *authority) rewrite(t testing.TB, p tlscert.Pair, l leaf) *x509.Certificate {
	t.Helper()
	cert, key := a.issue(t, l)
	write(t, p.Key, keyPEM(t, key))
	write(t, p.Chain, chainPEM(cert, a.intermediate))
	return cert
}

func write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func chainPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func keyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex // guards t
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t testing.TB, o tlscert.Options, pairs ...tlscert.Pair) *tlscert.Keeper {
	t.Helper()
	k, err := tlscert.Open(o, pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// tcpPair returns both ends of a connection over loopback.
func tcpPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	client.SetDeadline(time.Now().Add(patience))
	server.SetDeadline(time.Now().Add(patience))
	return client, server
}

// shaken is a handshake as both sides see it.
type shaken struct {
	client, server       *tls.Conn
	clientErr, serverErr error
}

// shake has a client shake hands with a server, and exchanges an octet each way, so that the client has
// read its ticket.
func shake(t testing.TB, server, client *tls.Config) shaken {
	t.Helper()
	cn, sn := tcpPair(t)
	s := shaken{client: tls.Client(cn, client), server: tls.Server(sn, server)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.serverErr = s.server.HandshakeContext(context.Background()); s.serverErr != nil {
			sn.Close()
			return
		}
		var b [1]byte
		s.server.Read(b[:])
		s.server.Write(b[:])
	}()
	if s.clientErr = s.client.Handshake(); s.clientErr == nil {
		var b [1]byte
		s.client.Write(b[:])
		_, s.clientErr = s.client.Read(b[:])
	}
	if s.clientErr != nil {
		cn.Close()
	}
	<-done
	return s
}

// must is shake for a handshake that works.
func must(t testing.TB, server, client *tls.Config) shaken {
	t.Helper()
	s := shake(t, server, client)
	if s.clientErr != nil || s.serverErr != nil {
		t.Fatalf("client: %v, server: %v", s.clientErr, s.serverErr)
	}
	return s
}

func (s shaken) resumed() bool { return s.client.ConnectionState().DidResume }

func (s shaken) leaf() *x509.Certificate { return s.client.ConnectionState().PeerCertificates[0] }

// visitor is a client that asks for a name and keeps its sessions.
func (a *authority) visitor(name string) *tls.Config {
	return &tls.Config{RootCAs: a.roots, ServerName: name, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
}
