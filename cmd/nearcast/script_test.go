package main_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"nearcast/internal/freeport"
	"nearcast/loadtest/labtest"
)

// TestScripts runs the scripts of testdata/script with the real program against one lab. In a script, $NEARCAST_DIR is
// the lab and $ORIGIN its web origin's URL, and $NAME is what a site of it is called in its zone. $FREE_API, $FREE_FEED
// and $FREE_ADMIN are addresses where nothing listens. $RESOLVER_PORT is a resolver's, see [resolve]; it asks on
// $PARENT_PORT and $ALONE_PORT, which like $COPY_PORT are a script's to listen on.
func TestScripts(t *testing.T) {
	lab := labtest.Start(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(lab.Program)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("NEARCAST_DIR", lab.Dir)
			env.Setenv("ORIGIN", lab.Origins[0].URL)
			env.Setenv("API", lab.API.URL)
			env.Setenv("TOKEN_FILE", lab.API.TokenFile)
			env.Setenv("EDGE", lab.EdgeNodes()[0].HTTP)
			resolver, alone, parent := freeport.Addr(t), freeport.Addr(t), freeport.Addr(t)
			env.Defer(resolve(t, resolver, alone, parent))
			env.Setenv("NEARCAST_RESOLVER", resolver)
			for name, addr := range map[string]string{"RESOLVER_PORT": resolver, "ALONE_PORT": alone, "PARENT_PORT": parent, "COPY_PORT": freeport.Addr(t), "DNS_PORT": lab.DNS, "TLS_PORT": lab.Secure.DoT, "HTTP_PORT": lab.Nodes[0].HTTP} {
				_, port, err := net.SplitHostPort(addr)
				if err != nil {
					return err
				}
				env.Setenv(name, port)
			}
			for _, name := range []string{"FREE_API", "FREE_FEED", "FREE_ADMIN"} {
				env.Setenv(name, freeport.Addr(t))
			}
			env.Setenv("CA_FILE", lab.Secure.CAFile)
			env.Setenv("DOH", lab.Secure.DoH)
			env.Setenv("REDIRECT", lab.Redirect)
			env.Setenv("NAME", "www.web.example.cdn.test")
			env.Setenv("PORT_BASE", fmt.Sprint(lab.PortBase))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			return nil
		},
	})
}

// resolve answers on an address until stop is called, as a resolver without a cache does: of shop.test and what is below it says ours, of all else the parent.
func resolve(t *testing.T, addr, ours, parent string) (stop func()) {
	t.Helper()
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		server, name := parent, dns.CanonicalName(q.Question[0].Name)
		if dns.IsSubDomain("shop.test.", name) && (name != "shop.test." || q.Question[0].Qtype != dns.TypeDS) {
			server = ours
		}
		client := dns.Client{Net: "tcp", Timeout: 20 * time.Second}
		m, _, err := client.Exchange(q, server)
		if err != nil {
			m = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		w.WriteMsg(m)
	})
	server, done := &dns.Server{PacketConn: conn, Handler: handler}, make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	return func() {
		conn.Close()
		<-done
	}
}
