package origin_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"

	"nearcast/cdn"
	"nearcast/origin"
)

// TestUpgrade: a change of protocol that is asked for is the origin's to grant, and its answer is then both
// directions of the connection (RFC 9110 section 7.8).
func TestUpgrade(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, err := buffered.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		io.WriteString(conn, "echo of "+line)
	})
	client := newClient(t, origin.Config{})
	site := &cdn.Origin{URLs: []string{url}}
	req := request(t, http.MethodGet, "http://www.shop.example/", nil)
	req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}}
	resp, err := client.Fetch(t.Context(), site, req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	tunnel, ok := resp.Body.(io.ReadWriter)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		t.Fatalf("%s with a body of type %T", resp.Status, resp.Body)
	}
	io.WriteString(tunnel, "hello\n")
	if line, err := bufio.NewReader(tunnel).ReadString('\n'); line != "echo of hello\n" || err != nil {
		t.Errorf("got %q, %v", line, err)
	}
	// A visitor's own Connection field is not whoever asks us.
	req.Header = http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"echo"}}
	status, _, err := send(t.Context(), client, site, req)
	if err != nil || status != http.StatusUpgradeRequired {
		t.Errorf("got %d, %v; want 426", status, err)
	}
}
