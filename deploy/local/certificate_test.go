package local

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/deploy/plan"
	"nearcast/internal/testcert"
)

// certLab is a lab with two schedulers of which nothing runs.
func certLab(t *testing.T) *Lab {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	scheduler := func(name cdn.NodeName, addr string) cdn.Node {
		return cdn.Node{Name: name, Roles: []cdn.Role{cdn.RoleScheduler}, Addresses: []netip.Addr{netip.MustParseAddr(addr)}}
	}
	return &Lab{
		cfg: Config{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}, layout: plan.Layout{Dir: dir, PortBase: 20000},
		plan: &plan.Plan{Fleet: cdn.Fleet{Zone: "cdn.test", Nodes: []cdn.Node{scheduler("core-1", "127.0.0.1"), scheduler("core-2", "127.0.0.2")}}},
	}
}

// read returns the certificate, checked as a client would at that time.
func (l *Lab) readCertificate(t *testing.T, name string, now time.Time) *x509.Certificate {
	t.Helper()
	have, err := tls.LoadX509KeyPair(l.layout.CertificateFile(), l.layout.CertificateKeyFile())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(l.caFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	if _, err := have.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
		t.Errorf("a client that asks %s: %v", name, err)
	}
	return have.Leaf
}

func TestCertificateIsForEveryScheduler(t *testing.T) {
	l, now := certLab(t), time.Now()
	if err := l.ensureCertificate(now); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ns1.cdn.test", "ns2.cdn.test", "127.0.0.1", "127.0.0.2"} {
		l.readCertificate(t, name, now)
	}
	for _, file := range []string{l.layout.CertificateKeyFile(), l.caKeyFile()} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", file, info.Mode(), err)
		}
	}
}

func TestCertificateIsKeptWhileItIsGood(t *testing.T) {
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		after        time.Duration
		change       func(t *testing.T, l *Lab)
		kept, keptCA bool
	}{
		"restart":             {time.Hour, nil, true, true},
		"two thirds are over": {250 * day, nil, false, true},
		"it has ended":        {400 * day, nil, false, true},
		"the authority's end": {3600 * day, nil, false, false},
		"another zone": {time.Hour, func(_ *testing.T, l *Lab) {
			l.plan.Fleet.Zone = "other.test"
		}, false, true},
		"one scheduler less": {time.Hour, func(_ *testing.T, l *Lab) {
			l.plan.Fleet.Nodes = l.plan.Fleet.Nodes[:1]
		}, false, true},
		"its key is lost": {time.Hour, func(t *testing.T, l *Lab) {
			t.Helper()
			if err := os.Remove(l.layout.CertificateKeyFile()); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		"the authority is lost": {time.Hour, func(t *testing.T, l *Lab) {
			t.Helper()
			if err := os.Remove(l.caKeyFile()); err != nil {
				t.Fatal(err)
			}
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			l, now := certLab(t), time.Now()
			if err := l.ensureCertificate(now); err != nil {
				t.Fatal(err)
			}
			before := l.readCertificate(t, "127.0.0.1", now)
			ca := readFile(t, l.caFile())
			if tt.change != nil {
				tt.change(t, l)
			}
			now = now.Add(tt.after)
			if err := l.ensureCertificate(now); err != nil {
				t.Fatal(err)
			}
			after := l.readCertificate(t, string(l.certificateNames()[0]), now)
			if kept := bytes.Equal(before.Raw, after.Raw); kept != tt.kept {
				t.Errorf("the certificate was kept: %v, want %v", kept, tt.kept)
			}
			if kept := ca == readFile(t, l.caFile()); kept != tt.keptCA {
				t.Errorf("the authority was kept: %v, want %v", kept, tt.keptCA)
			}
		})
	}
}

func TestOnesOwnCertificateIsLeftAlone(t *testing.T) {
	l := certLab(t)
	cert, key := testcert.Write(t, "dns.shop.example")
	for from, to := range map[string]string{cert: l.layout.CertificateFile(), key: l.layout.CertificateKeyFile()} {
		if err := os.WriteFile(to, []byte(readFile(t, from)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.ensureCertificate(time.Now().Add(10 * caLife)); err != nil {
		t.Fatal(err)
	}
	if readFile(t, cert) != readFile(t, l.layout.CertificateFile()) {
		t.Error("it was replaced")
	}
	if s := l.secureAccess(); s.Name != "dns.shop.example" || s.CAFile != "" {
		t.Errorf("endpoints say %+v", s)
	}
}

func TestCertificateFileThatIsNone(t *testing.T) {
	l := certLab(t)
	if err := l.ensureCertificate(time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{l.layout.CertificateFile(), l.layout.CertificateKeyFile(), l.caFile(), l.caKeyFile()} {
		good := readFile(t, file)
		for _, junk := range []string{"junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
			if err := os.WriteFile(file, []byte(junk), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := l.ensureCertificate(time.Now()); err == nil || !strings.Contains(err.Error(), file) || cdn.KindOf(err) != cdn.Invalid {
				t.Errorf("%v, want an error that names %s", err, file)
			}
		}
		if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
