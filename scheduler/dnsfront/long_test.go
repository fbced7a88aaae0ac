package dnsfront_test

import (
	"net"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/scheduler/dnsfront"
	"nearcast/scheduler/respond"
)

// Thousands who send long queries, but for their ends, do not take all memory: beyond a bound such connections are closed, and those with usual queries are not.
func TestManyLong(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil) // its sockets are not of the bubble
	const each = 60_000
	synctest.Test(t, func(t *testing.T) {
		var clients []net.Conn
		closed := 0
		for range dnsfront.MaxLonger/each + 50 {
			client, server := net.Pipe()
			clients = append(clients, client)
			go f.ServeStream(t.Context(), server, respond.TCP)
			if _, err := client.Write(append([]byte{0xff, 0xff}, make([]byte, each)...)); err != nil {
				closed++
			}
			synctest.Wait()
			if n := f.Longer(); n < 0 || n > dnsfront.MaxLonger {
				t.Fatalf("long queries take %d octets", n)
			}
		}
		if closed < 50 {
			t.Errorf("%d connections were closed", closed)
		}
		client, server := net.Pipe()
		clients = append(clients, client)
		go f.ServeStream(t.Context(), server, respond.TCP)
		q, err := query("who.", 16).Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write(append([]byte{0, byte(len(q))}, q...)); err != nil {
			t.Error(err)
		}
		if n, err := client.Read(make([]byte, 512)); n < 20 || err != nil {
			t.Errorf("a usual query: %d octets, %v", n, err)
		}
		for _, c := range clients {
			c.Close()
		}
		synctest.Wait()
		if n := f.Longer(); n != 0 {
			t.Errorf("%d octets are not given back", n)
		}
		if n := testutil.ToFloat64(f.counter(t, "nearcast_scheduler_dns_panics_total")); n != 0 {
			t.Errorf("%v panics", n)
		}
	})
}
