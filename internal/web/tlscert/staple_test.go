package tlscert_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"nearcast/internal/web/tlscert"
)

// respond is an OCSP response about a certificate.
func (a *authority) respond(t testing.TB, cert *x509.Certificate, status int, from, until time.Time, key crypto.Signer) []byte {
	t.Helper()
	der, err := ocsp.CreateResponse(a.intermediate, a.intermediate, ocsp.Response{
		Status: status, SerialNumber: cert.SerialNumber, ThisUpdate: from, NextUpdate: until, RevokedAt: from,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// RFC 6066 section 8, RFC 6960 section 3.2.
func TestStaple(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test"}})
	cert := ca.rewrite(t, pair, leaf{names: []string{"a.test"}})
	other, _ := ca.issue(t, leaf{names: []string{"b.test"}})
	c := newClock()
	from, until := c.now().Add(-time.Hour), c.now().Add(time.Hour)
	good := ca.respond(t, cert, ocsp.Good, from, until, ca.key)
	for _, v := range []struct {
		what, warning string
		der           []byte
	}{
		{"garbage", "not one in DER", []byte("garbage")},
		{"empty", "not one in DER", nil},
		{"cut off", "not one in DER", good[:len(good)-1]},
		{"another certificate's", "not one in DER", ca.respond(t, other, ocsp.Good, from, until, ca.key)},
		{"another signer's", "not one in DER", ca.respond(t, cert, ocsp.Good, from, until, newECDSA(t))},
		{"revoked", "revoked", ca.respond(t, cert, ocsp.Revoked, from, until, ca.key)},
		{"unknown", "does not know", ca.respond(t, cert, ocsp.Unknown, from, until, ca.key)},
		{"old", "ended at", ca.respond(t, cert, ocsp.Good, from.Add(-time.Hour), from, ca.key)},
		{"early", "not valid before", ca.respond(t, cert, ocsp.Good, until, until.Add(time.Hour), ca.key)},
		{"large", "octets", make([]byte, 70_000)},
	} {
		write(t, pair.Chain+".ocsp", v.der)
		k := open(t, tlscert.Options{Now: c.now}, pair)
		if w := strings.Join(k.Set().Warnings(), "\n"); !strings.Contains(w, v.warning) || !strings.Contains(w, "cert.pem.ocsp: not stapled") {
			t.Errorf("%s: warnings are %q", v.what, w)
		}
		if s := must(t, k.Config(tlscert.ConfigOptions{}), ca.visitor("a.test")); s.client.OCSPResponse() != nil {
			t.Errorf("%s: stapled", v.what)
		}
	}
	write(t, pair.Chain+".ocsp", good)
	k := open(t, tlscert.Options{Now: c.now}, pair)
	config := k.Config(tlscert.ConfigOptions{})
	if s := must(t, config, ca.visitor("a.test")); !bytes.Equal(s.client.OCSPResponse(), good) {
		t.Errorf("not stapled: %q", k.Set().Warnings())
	}
	c.add(time.Hour)
	if s := must(t, config, ca.visitor("a.test")); s.client.OCSPResponse() != nil {
		t.Error("stapled after its time")
	}
	// Without its issuer nobody can say whether it is genuine.
	write(t, pair.Chain, chainPEM(cert))
	if w := open(t, tlscert.Options{Now: c.now}, pair).Set().Warnings(); len(w) != 1 || !strings.Contains(w[0], "intermediate") {
		t.Errorf("got %q", w)
	}
	if err := os.Remove(pair.Chain + ".ocsp"); err != nil {
		t.Fatal(err)
	}
	if w := open(t, tlscert.Options{Now: c.now}, pair).Set().Warnings(); len(w) != 0 {
		t.Errorf("got %q", w)
	}
}
