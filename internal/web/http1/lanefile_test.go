package http1_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"

	"nearcast/internal/rawtcp"
	"nearcast/internal/web/http1"
	"nearcast/internal/web/lane"
)

// filed is a lane whose answers are octets of a file.
type filed struct {
	*stored
	file *unsendable
}

func (f filed) Take(p *lane.Peer, r *lane.Request, a *lane.Answer) bool {
	if !f.stored.Take(p, r, a) {
		return false
	}
	a.File, a.Offset = f.file, 100
	f.file.held.Add(1)
	return true
}

// unsendable is a file that cannot be sent from, and can be read if it has readers.
type unsendable struct {
	octets  []byte
	dir     *os.File // sendfile takes none
	held    atomic.Int64
	readers bool
}

func (f *unsendable) Use(use func(int, int64)) bool {
	if f.dir == nil {
		return false
	}
	use(int(f.dir.Fd()), 0)
	return true
}

func (f *unsendable) ReadAt(p []byte, off int64) (int, error) {
	if !f.readers {
		return 0, io.ErrUnexpectedEOF
	}
	return bytes.NewReader(f.octets).ReadAt(p, off)
}

func (f *unsendable) Release() { f.held.Add(-1) }

// TestFileThatCannotBeSent: a file that sendfile refuses, or that has been given up when it is to be sent, is read instead; if that cannot be done either, the
// connection ends before the client could take the rest for something else.
func TestFileThatCannotBeSent(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	body := bytes.Repeat([]byte("0123456789"), 50_000)
	for _, tt := range []struct {
		name  string
		file  *unsendable
		whole bool
	}{
		{"refused", &unsendable{dir: dir, readers: true}, true},
		{"gone", &unsendable{readers: true}, true},
		{"unreadable", &unsendable{dir: dir}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.file.octets = append(make([]byte, 100), body...)
			st := newStored(body)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			served := make(chan struct{})
			go func() {
				defer close(served)
				nc, err := l.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				(&http1.Server{Handler: byPath{}, Lane: filed{st, tt.file}}).ServeConn(context.Background(), rawtcp.Wrap(nc), nil)
			}()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: !tt.whole}}
			rounds := 1
			if tt.whole {
				rounds = 3 // on one connection
			}
			for range rounds {
				resp, err := client.Get("http://" + l.Addr().String() + "/hit")
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if whole := err == nil && bytes.Equal(got, body); whole != tt.whole {
					t.Errorf("%d of %d octets, %v", len(got), len(body), err)
				}
			}
			client.CloseIdleConnections()
			<-served
			if n := tt.file.held.Load(); n != 0 {
				t.Errorf("the file is held %d times", n)
			}
		})
	}
}
