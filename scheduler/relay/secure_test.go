package relay_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"nearcast/internal/testcert"
	"nearcast/scheduler/relay"
)

// What came over TLS goes to the node over TLS, which has to have a certificate for the site's domain; over one connection for each node and domain.
func TestSecure(t *testing.T) {
	cert, key, err := testcert.New("www.shop.example")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	for _, test := range []struct {
		name  string
		roots *x509.CertPool
		want  int
	}{
		{"its certificate", roots, http.StatusOK},
		{"another's", x509.NewCertPool(), http.StatusBadGateway},
	} {
		t.Run(test.name, func(t *testing.T) {
			connections := make(map[string]bool)
			node := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				connections[r.RemoteAddr] = true // one after the other
				if r.TLS == nil || r.TLS.ServerName != "www.shop.example" || r.Host != "www.shop.example" || r.URL.Path != "/a/b" {
					w.WriteHeader(http.StatusTeapot)
				}
			}))
			node.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
			node.Config.ErrorLog = nil
			node.StartTLS()
			defer node.Close()
			r := start(t, func(http.ResponseWriter, *http.Request) { t.Error("asked in cleartext") }, func(c *relay.Config) { c.Roots = test.roots })
			r.outcome.Relay.Secure = true
			r.outcome.Relay.Nodes = []netip.AddrPort{netip.MustParseAddrPort(node.Listener.Addr().String())}
			for range 3 {
				if resp, body := r.send(t, http.MethodGet, nil); resp.StatusCode != test.want {
					t.Errorf("%d %q, want %d", resp.StatusCode, body, test.want)
				}
			}
			if test.want == http.StatusOK && len(connections) != 1 {
				t.Errorf("%d connections for three requests", len(connections))
			}
			r.relayer.Close()
		})
	}
}
