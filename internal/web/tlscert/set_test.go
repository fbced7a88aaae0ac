package tlscert_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nearcast/internal/web/tlscert"
)

func TestWhichCertificate(t *testing.T) {
	ca := newAuthority(t)
	pairs := []tlscert.Pair{
		ca.pair(t, leaf{names: []string{"first.test"}, serial: 1}),
		ca.pair(t, leaf{names: []string{"a.test", "*.a.test"}, serial: 2}),
		ca.pair(t, leaf{names: []string{"www.a.test", "XN--BCHER-KVA.test"}, serial: 3}),
		ca.pair(t, leaf{names: []string{"old.test"}, serial: 4, ends: time.Now().Add(-time.Hour)}),
		ca.pair(t, leaf{names: []string{"old.test"}, serial: 5}),
		ca.pair(t, leaf{ips: []net.IP{net.IPv4(127, 0, 0, 1)}, serial: 6}),
	}
	k := open(t, tlscert.Options{}, pairs...)
	for _, v := range []struct {
		name   string
		serial int64
		strict bool // there is an answer even if strict
	}{
		{"first.test", 1, true},
		{"a.test", 2, true},
		{"A.tEST", 2, true},
		{"x.a.test", 2, true},
		{"www.a.test", 3, true}, // the exact one, not the wildcard
		{"x.y.a.test", 1, false},
		{"xn--bcher-kva.test", 3, true},
		{"old.test", 5, true}, // the valid one
		{"nobody.test", 1, false},
		{"", 6, true}, // asks 127.0.0.1
	} {
		t.Run("name "+v.name, func(t *testing.T) {
			client := &tls.Config{ServerName: v.name, InsecureSkipVerify: true}
			if got := must(t, k.Config(tlscert.ConfigOptions{}), client).leaf().SerialNumber.Int64(); got != v.serial {
				t.Errorf("got certificate %d, want %d", got, v.serial)
			}
			s := shake(t, k.Config(tlscert.ConfigOptions{Strict: true}), client)
			if v.strict != (s.clientErr == nil) {
				t.Errorf("strict: client got %v", s.clientErr)
			}
			if !v.strict && s.clientErr != nil && !strings.Contains(s.clientErr.Error(), "unrecognized name") {
				t.Errorf("strict: got %v, want unrecognized_name", s.clientErr)
			}
		})
	}
	if !slices.ContainsFunc(k.Set().Warnings(), func(w string) bool { return strings.Contains(w, "expired") }) {
		t.Errorf("no warning of the expired certificate: %q", k.Set().Warnings())
	}
}

// A client gets ECDSA if it can, and RSA if it must, also without a name.
func TestKindOfKey(t *testing.T) {
	ca := newAuthority(t)
	name := []string{"a.test"}
	k := open(t, tlscert.Options{}, ca.pair(t, leaf{names: name, key: rsaKey()}), ca.pair(t, leaf{names: name, key: newEd25519(t)}),
		ca.pair(t, leaf{names: name}))
	rsaOnly := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, v := range []struct {
		what   string
		client *tls.Config
		want   x509.PublicKeyAlgorithm
	}{
		{"TLS 1.3", &tls.Config{}, x509.ECDSA},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, x509.ECDSA},
		{"TLS 1.2, RSA only", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: rsaOnly}, x509.RSA},
	} {
		for _, name := range []string{"a.test", "b.test", ""} {
			v.client.ServerName, v.client.InsecureSkipVerify = name, true
			if got := must(t, k.Config(tlscert.ConfigOptions{}), v.client.Clone()).leaf().PublicKeyAlgorithm; got != v.want {
				t.Errorf("%s, name %q: got %v, want %v", v.what, name, got, v.want)
			}
		}
	}
}

func TestConfigIsModern(t *testing.T) {
	ca := newAuthority(t)
	k := open(t, tlscert.Options{}, ca.pair(t, leaf{names: []string{"a.test"}}))
	config := k.Config(tlscert.ConfigOptions{Protocols: []string{"h2", "http/1.1"}})
	if s := must(t, config, ca.visitor("a.test")); s.client.ConnectionState().CurveID != tls.X25519MLKEM768 ||
		s.client.ConnectionState().Version != tls.VersionTLS13 {
		t.Errorf("got %v, %v", s.client.ConnectionState().CurveID, s.client.ConnectionState().Version)
	}
	old := ca.visitor("a.test")
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if s := shake(t, config, old); s.clientErr == nil {
		t.Error("TLS 1.1 works")
	}
	cbc := ca.visitor("a.test")
	cbc.MaxVersion, cbc.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	if s := shake(t, config, cbc); s.clientErr == nil {
		t.Error("CBC works")
	}
}

// RFC 7301 section 3.2.
func TestProtocols(t *testing.T) {
	ca := newAuthority(t)
	k := open(t, tlscert.Options{}, ca.pair(t, leaf{names: []string{"a.test"}}))
	config := k.Config(tlscert.ConfigOptions{Protocols: []string{"h2", "http/1.1"}})
	for _, v := range []struct {
		offered []string
		want    string
		refused bool
	}{
		{[]string{"http/1.1", "h2"}, "h2", false},
		{[]string{"http/1.1"}, "http/1.1", false},
		{nil, "", false},
		{[]string{"spdy/3", "h3"}, "", true},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := ca.visitor("a.test")
			client.NextProtos, client.MaxVersion = v.offered, version
			s := shake(t, config, client)
			if v.refused != (s.clientErr != nil) || s.clientErr == nil && s.client.ConnectionState().NegotiatedProtocol != v.want {
				t.Errorf("%q: got %q (%v)", v.offered, s.client.ConnectionState().NegotiatedProtocol, s.clientErr)
			}
			if v.refused && !strings.Contains(s.clientErr.Error(), "no application protocol") {
				t.Errorf("%q: got %v", v.offered, s.clientErr)
			}
		}
	}
}

// Every mistake in every file is in one error, with the name of the file.
func TestMistakes(t *testing.T) {
	ca := newAuthority(t)
	good := ca.pair(t, leaf{names: []string{"a.test"}})
	other := ca.pair(t, leaf{names: []string{"b.test"}})
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		write(t, name, data)
		return name
	}
	for _, v := range []struct {
		pair tlscert.Pair
		want []string
	}{
		{tlscert.Pair{}, []string{"certificate and its intermediates is missing", "private key is missing"}},
		{tlscert.Pair{Chain: "/no/such", Key: good.Key}, []string{"/no/such", "no such file"}},
		{tlscert.Pair{Chain: good.Chain, Key: other.Key}, []string{other.Key, "does not belong"}},
		{tlscert.Pair{Chain: good.Key, Key: good.Key}, []string{good.Key, "no PEM block of type CERTIFICATE"}},
		{tlscert.Pair{Chain: good.Chain, Key: good.Chain}, []string{good.Chain, "no PEM block with a PRIVATE KEY"}},
		{
			tlscert.Pair{Chain: file("bad.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), Key: file("bad.key", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))},
			[]string{"bad.pem", "cannot be parsed", "bad.key", "cannot be used"},
		},
		{tlscert.Pair{Chain: good.Chain, Key: file("secret.key", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))}, []string{"secret.key", "encrypted"}},
		{ca.pair(t, leaf{}), []string{"cert.pem", "subject alternative names"}},
		{ca.pair(t, leaf{names: []string{"*.*.test", "f*.test"}}), []string{"subject alternative names"}},
	} {
		// With a good one before and a bad one after: none hides another.
		_, err := tlscert.Load(time.Now(), good, v.pair, tlscert.Pair{Chain: "/also/missing", Key: good.Key})
		if err == nil {
			t.Errorf("%+v is taken", v.pair)
			continue
		}
		for _, want := range append(v.want, "/also/missing") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %q is not in the error:\n%v", v.pair, want, err)
			}
		}
	}
	if _, err := tlscert.Load(time.Now()); err == nil {
		t.Error("no pairs at all are taken")
	}
}

func TestWarnings(t *testing.T) {
	ca := newAuthority(t)
	open := ca.pair(t, leaf{names: []string{"a.test", "b*.test"}, usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err := os.Chmod(open.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	future := ca.pair(t, leaf{names: []string{"a.test"}, ends: time.Now().Add(10 * 365 * 24 * time.Hour)})
	cert, key := ca.issue(t, leaf{names: []string{"a.test"}})
	write(t, future.Chain+"x", chainPEM(cert, cert))
	write(t, future.Key+"x", keyPEM(t, key))
	s, err := tlscert.Load(time.Now(), open, future, tlscert.Pair{Chain: future.Chain + "x", Key: future.Key + "x"})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(s.Warnings(), "\n")
	for _, want := range []string{"chmod", "b*.test", "serverAuth", "not valid before", "is not signed by certificate 2"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning with %q in:\n%s", want, all)
		}
	}
}
