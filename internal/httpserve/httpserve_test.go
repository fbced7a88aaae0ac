package httpserve_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"nearcast/internal/httpserve"
	"nearcast/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m, 0) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What is under way when the context ends is answered to its end; what goes on for more than a second is broken off.
func TestEnd(t *testing.T) {
	for name, hangs := range map[string]bool{"under way": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			asked, release := make(chan struct{}), make(chan struct{})
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(asked)
				<-release
				io.WriteString(w, "whole")
			})}
			l := listen(t)
			ctx, cancel := context.WithCancel(t.Context())
			ended, answer := make(chan error, 1), make(chan string, 1)
			go func() { ended <- httpserve.Run(ctx, s, l, "a server", slog.New(slog.DiscardHandler)) }()
			go func() {
				client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				resp, err := client.Get("http://" + l.Addr().String())
				if err != nil {
					answer <- "broken off"
					return
				}
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body)
				answer <- string(text)
			}()
			<-asked
			cancel()
			want := "broken off"
			if !hangs {
				want = "whole"
				close(release)
			}
			if got := <-answer; got != want {
				t.Errorf("the answer is %q, want %q", got, want)
			}
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
			if hangs {
				close(release)
			}
		})
	}
}

func TestListenerThatFails(t *testing.T) {
	l := listen(t)
	l.Close()
	err := httpserve.Run(t.Context(), new(http.Server), l, "a server", slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasPrefix(err.Error(), "a server: ") {
		t.Errorf("Run: %v, want an error that names the server", err)
	}
}
