package dnsfront_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"nearcast/scheduler/dnsfront"
	"nearcast/scheduler/respond"
)

// An idle connection is closed 10 s after its last answer, however slowly octets drip in; not while it gets a transfer.
func TestIdle(t *testing.T) {
	transfer := func(_ context.Context, query []byte, _ respond.Peer, write func([]byte) error) {
		<-time.After(15 * time.Second)
		if err := write(query); err != nil {
			t.Error(err)
		}
	}
	f := start(t, "127.0.0.1:0", transfer) // its sockets are not of the bubble
	for _, test := range []struct {
		name string
		talk func(c *dns.Conn)
		ends time.Duration
	}{
		{"mute", func(*dns.Conn) {}, dnsfront.IdleTimeout},
		{"answered", func(c *dns.Conn) {
			<-time.After(4 * time.Second)
			c.WriteMsg(query("who.", dns.TypeTXT)) //nolint:errcheck // seen in the end
			c.ReadMsg()                            //nolint:errcheck // as above
		}, 4*time.Second + dnsfront.IdleTimeout},
		{"empty", func(c *dns.Conn) {
			for range 5 {
				c.Conn.Write([]byte{0}) //nolint:errcheck // as above
				<-time.After(time.Second)
			}
		}, time.Second}, // a length of zero: no query
		{"slow", func(c *dns.Conn) {
			for _, octet := range []byte{0, 30, 1, 2, 3} {
				c.Conn.Write([]byte{octet}) //nolint:errcheck // as above
				<-time.After(time.Second)
			}
		}, dnsfront.IdleTimeout},
		{"transfer", func(c *dns.Conn) {
			c.WriteMsg(query("zone.", dns.TypeAXFR)) //nolint:errcheck // as above
			c.ReadMsg()                              //nolint:errcheck // as above
		}, 20 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				begin, ended := time.Now(), make(chan time.Duration, 1)
				go func() {
					f.ServeStream(t.Context(), server, respond.TCP)
					ended <- time.Since(begin)
				}()
				test.talk(&dns.Conn{Conn: client})
				if got := <-ended; got != test.ends {
					t.Errorf("it ends after %v, want %v", got, test.ends)
				}
				client.Close()
			})
		})
	}
}

// While there are many connections those that ask nothing are not waited for as long, so that others find a place.
func TestIdleInACrowd(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil) // its sockets are not of the bubble
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		serve := func() (ended chan time.Duration) {
			client, server := net.Pipe()
			ended = make(chan time.Duration, 1)
			go func() {
				defer client.Close()
				f.ServeStream(t.Context(), server, respond.TCP)
				ended <- time.Since(begin)
			}()
			synctest.Wait()
			return ended
		}
		var early []chan time.Duration
		for range dnsfront.ManyStreams {
			early = append(early, serve())
		}
		if took := <-serve(); took != dnsfront.ShortTimeout {
			t.Errorf("one of many is waited for for %v, want %v", took, dnsfront.ShortTimeout)
		}
		for _, ended := range early {
			if took := <-ended; took != dnsfront.IdleTimeout {
				t.Fatalf("one that was there before is waited for for %v, want %v", took, dnsfront.IdleTimeout)
			}
		}
	})
}
