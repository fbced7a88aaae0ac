package http1_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"nearcast/internal/web/http1"
)

func TestKeepAlive(t *testing.T) {
	c := dial(t, start(t, &http1.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	})}))
	for range 3 {
		c.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
		c.want(200, "/a")
	}
	c.send("GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	c.want(200, "/b")
	c.wantEnd()
}

// The standard library's client is content with us, TLS or not, whatever the size.
func TestStandardClient(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 4<<16) // 4 MiB
	h := byPath{
		"/stream": func(w http.ResponseWriter, r *http.Request) {
			set(w, "X-TLS", map[bool]string{true: "yes", false: "no"}[r.TLS != nil], "Trailer", "X-Sum")
			for p := content; len(p) > 0; p = p[min(len(p), 70_001):] {
				w.Write(p[:min(len(p), 70_001)])
			}
			set(w, "X-Sum", "42")
		},
		"/length": func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Content-Length", "4194304", "X-Tls", "any")
			w.Write(content)
		},
	}
	certified := httptest.NewUnstartedServer(nil) // for its certificate
	certified.StartTLS()
	certificates, client := certified.TLS.Certificates, certified.Client()
	certified.Close()
	defer client.CloseIdleConnections()
	plain := start(t, &http1.Server{Handler: h})
	secure := startOn(t, &http1.Server{Handler: h}, func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: certificates})
	})
	for _, url := range []string{"http://" + plain + "/stream", "https://" + secure + "/stream", "http://" + plain + "/length", "https://" + secure + "/length"} {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: got %d octets (%v), or others", url, len(got), err)
		}
		if want := map[string]string{"http:/stream": "no42", "https:/stream": "yes42"}[resp.Request.URL.Scheme+":"+resp.Request.URL.Path]; want != "" {
			if got := resp.Header.Get("X-Tls") + resp.Trailer.Get("X-Sum"); got != want {
				t.Errorf("%s: got TLS and trailer %q, want %q", url, got, want)
			}
		}
	}
}

func TestBodyIsClosedByTheHandler(t *testing.T) {
	c := dial(t, start(t, &http1.Server{Handler: byPath{"/c": func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		r.Body.Close()
		if _, err := r.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Errorf("got %v, want %v", err, http.ErrBodyReadAfterClose)
		}
	}}}))
	c.send(post("Content-Length: 31\r\n") + evil + marker)
	c.want(200, "")
	c.want(200, "")
}
