//go:build linux

package rawtcp_test

import (
	"io"
	"net"
	"testing"
	"time"

	"nearcast/internal/rawtcp"
)

// The kernel is asked about an open connection, just before it is closed, and not after that.
func TestInfo(t *testing.T) {
	server, client := pair(t)
	calls := 0
	var last rawtcp.Info
	if !rawtcp.OnClose(server, func() {
		calls++
		var err error
		if last, err = rawtcp.InfoOf(server); err != nil {
			t.Error(err)
		}
	}) {
		t.Fatal("not a connection of Wrap's")
	}
	for range 3 {
		if _, err := server.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	server.Close()
	server.Close()
	if calls != 1 {
		t.Errorf("%d calls at two closes, want 1", calls)
	}
	if last.MinRTT <= 0 || last.MinRTT > last.RTT || last.RTT > time.Second || last.Sent != 3 || last.Resent != 0 || last.Unanswered != 0 {
		t.Errorf("%+v, want sane round trips and three segments", last)
	}
	if info, err := rawtcp.InfoOf(server); err == nil {
		t.Errorf("of a closed connection: %+v", info)
	}
}

// What is not of Wrap's can be asked about, but has no end to wait for.
func TestInfoOfOthers(t *testing.T) {
	_, client := pair(t)
	if _, err := rawtcp.InfoOf(client); err != nil {
		t.Error(err)
	}
	if rawtcp.OnClose(client, func() {}) {
		t.Error("a plain connection takes a call")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if info, err := rawtcp.InfoOf(a); err == nil {
		t.Errorf("of a pipe: %+v", info)
	}
}
