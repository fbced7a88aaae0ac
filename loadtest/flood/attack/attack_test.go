package attack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// recorder is a server of HTTP/2 that says nothing but its SETTINGS, and notes the frames that come.
type recorder struct {
	addr   string
	frames chan string // of one connection
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{addr: l.Addr().String(), frames: make(chan string)}
	var done sync.WaitGroup
	done.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		defer close(r.frames)
		r.record(conn)
	})
	t.Cleanup(func() {
		l.Close()
		done.Wait()
	})
	return r
}

func (r *recorder) record(conn net.Conn) {
	io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	if http2.NewFramer(conn, nil).WriteSettings() != nil {
		return
	}
	for {
		h, err := http2.ReadFrameHeader(conn)
		if err != nil {
			return
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		if h.Type == http2.FrameSettings { // the beginning, acknowledgements: they come when they come
			if h.Flags != 0 || h.Length == 0 {
				continue
			}
		}
		r.frames <- frameText(h, payload)
	}
}

// frameText writes a frame as the tests do.
func frameText(h http2.FrameHeader, payload []byte) string {
	text := fmt.Sprintf("%s %d", h.Type, h.StreamID)
	if h.Type == 0x10 {
		text = fmt.Sprintf("PRIORITY_UPDATE %d", h.StreamID)
	}
	switch h.Type {
	case http2.FrameHeaders:
		if h.Flags.Has(http2.FlagHeadersEndStream) {
			text += " end"
		}
		if !h.Flags.Has(http2.FlagHeadersEndHeaders) {
			text += " open"
		}
	case http2.FrameContinuation:
		if !h.Flags.Has(http2.FlagContinuationEndHeaders) {
			text += " open"
		}
		text += fmt.Sprint(" ", h.Length)
	case http2.FrameData, http2.FramePing:
		text += fmt.Sprint(" ", h.Length)
	case http2.FrameSettings, http2.FrameWindowUpdate, http2.FrameRSTStream, http2.FramePriority:
		text += fmt.Sprintf(" %x", payload)
	default:
	}
	return text
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return s.TLS.Certificates[0]
}

// TestFrames checks that each attack over HTTP/2 sends what it says.
func TestFrames(t *testing.T) {
	made := func(offence string) []string {
		return []string{"HEADERS 1 end", strings.ReplaceAll(offence, "#", "1"), "HEADERS 3 end", strings.ReplaceAll(offence, "#", "3")}
	}
	want := map[string][]string{
		"h2-rapid-reset":                    {"HEADERS 1 end", "RST_STREAM 1 00000008", "HEADERS 3 end", "RST_STREAM 3 00000008"},
		"h2-rapid-reset-miss":               {"HEADERS 1 end", "RST_STREAM 1 00000008", "HEADERS 3 end", "RST_STREAM 3 00000008"},
		"h2-madeyoureset-window-zero":       made("WINDOW_UPDATE # 00000000"),
		"h2-madeyoureset-window-overflow":   made("WINDOW_UPDATE # 7fffffff"),
		"h2-madeyoureset-priority-length":   made("PRIORITY # 00000000"),
		"h2-madeyoureset-priority-self":     {"HEADERS 1 end", "PRIORITY 1 0000000101", "HEADERS 3 end", "PRIORITY 3 0000000301"},
		"h2-madeyoureset-headers-after-end": made("HEADERS # end"),
		"h2-madeyoureset-data-after-end":    made("DATA # 1"),
		"h2-settings":                       {"SETTINGS 0 000100000000", "SETTINGS 0 000100001000"},
		"h2-settings-unread":                {"SETTINGS 0 000100000000", "SETTINGS 0 000100001000"},
		"h2-ping":                           {"PING 0 8", "PING 0 8"},
		"h2-ping-unread":                    {"PING 0 8", "PING 0 8"},
		"h2-priority":                       {"PRIORITY 2147483645 0000000000", "PRIORITY 2147483643 0000000001"},
		"h2-priority-update":                {"PRIORITY_UPDATE 0", "PRIORITY_UPDATE 0"},
		"h2-window-update":                  {"WINDOW_UPDATE 0 00000001", "WINDOW_UPDATE 0 00000001"},
		"h2-empty-data":                     {"HEADERS 1", "DATA 1 0", "DATA 1 0"},
		"h2-continuation-empty":             {"HEADERS 1 end open", "CONTINUATION 1 open 0", "CONTINUATION 1 open 0"},
		"h2-continuation":                   {"HEADERS 1 end open", fmt.Sprint("CONTINUATION 1 open ", len(huffman())), fmt.Sprint("CONTINUATION 1 open ", len(huffman()))},
		"h2-hpack-bomb":                     append([]string{"HEADERS 1 end open"}, append(slices.Repeat([]string{"CONTINUATION 1 open 16384"}, 5), "CONTINUATION 1 16384", "HEADERS 3 end open")...),
		"h2-zero-window":                    {"SETTINGS 0 000400000000", "HEADERS 1 end", "HEADERS 3 end"},
		"h2-data-dribble":                   append([]string{"SETTINGS 0 000400000000"}, dribbled()...),
	}
	for _, a := range All() {
		if !strings.HasPrefix(a.Name, "h2-") || a.Name == "h2-stalled-preface" {
			continue
		}
		t.Run(a.Name, func(t *testing.T) {
			r := newRecorder(t)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var attacking sync.WaitGroup
			defer attacking.Wait()
			defer cancel()
			attacking.Go(func() { a.Run(ctx, Target{TLS: r.addr, Small: "/small", Large: "/large"}, 1, nobody) })
			var got []string
			for frame := range r.frames {
				got = append(got, frame)
				if len(got) == len(want[a.Name]) {
					cancel()
					break
				}
			}
			if diff := cmp.Diff(want[a.Name], got); diff != "" || len(got) == 0 {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
			for range r.frames { // what was under way
			}
		})
	}
}

func dribbled() []string {
	var frames []string
	for id := 1; id < 20; id += 2 {
		frames = append(frames, fmt.Sprintf("HEADERS %d end", id))
	}
	return append(frames, "WINDOW_UPDATE 1 00000001", "WINDOW_UPDATE 3 00000001")
}

// TestBlocks checks the hand-made header blocks with somebody else's decoder.
func TestBlocks(t *testing.T) {
	path := "/" + strings.Repeat("p", 300)
	fields, err := hpack.NewDecoder(4096, nil).DecodeFull(request(get, path))
	want := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: path}, {Name: ":authority", Value: "localhost"}}
	if diff := cmp.Diff(want, fields); err != nil || diff != "" {
		t.Errorf("request: %v (-want +got):\n%s", err, diff)
	}
	fields, err = hpack.NewDecoder(4096, nil).DecodeFull(huffman())
	if err != nil || len(fields) < 20 || fields[0].Name != "x-field" || len(fields[0].Value) != 1000 {
		t.Errorf("huffman: %v, %d fields", err, len(fields))
	}
}

// nobody does not care when an attack begins.
func nobody() {}

// web is Go's own server, for the attacks that need one that answers. It tells how many connections were made.
func web(t *testing.T, connected ...func(connections int)) Target {
	t.Helper()
	var connections atomic.Int64
	large := make([]byte, 1<<20)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/large") {
			w.Write(large)
			return
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello")
	})
	secure, plain := httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	for _, s := range []*httptest.Server{secure, plain} {
		s.Config.ReadHeaderTimeout = 200 * time.Millisecond
		s.Config.ErrorLog = nil
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state != http.StateNew {
				return
			}
			n := int(connections.Add(1))
			for _, tell := range connected {
				tell(n)
			}
		}
	}
	secure.StartTLS()
	plain.Start()
	t.Cleanup(func() {
		for _, s := range []*httptest.Server{secure, plain} {
			s.CloseClientConnections()
			s.Close()
		}
	})
	return Target{Plain: plain.Listener.Addr().String(), TLS: secure.Listener.Addr().String(), Small: "/small", Large: "/large", Drip: 10 * time.Millisecond}
}

// TestRun runs every attack against a real server for a moment: it connects, it does something, and it ends when it is
// told to.
func TestRun(t *testing.T) {
	target := web(t)
	for _, a := range All() {
		t.Run(a.Name, func(t *testing.T) {
			quiet := a.Name == "tls-stalled" || a.Name == "h2-stalled-preface"
			// A busy machine may take longer than a moment for a handshake.
			for moment := 300 * time.Millisecond; ; moment *= 4 {
				ctx, cancel := context.WithTimeout(t.Context(), moment)
				begun := 0
				got, err := a.Run(ctx, target, 4, func() { begun++ })
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%+v", got)
				if begun != int(min(1, got.Connections)) {
					t.Fatalf("told %d times that it has begun: %+v", begun, got)
				}
				if got.Connections > 0 && got.Refused <= got.Connections && (got.Units > 0 || quiet) {
					return
				}
				if moment > 10*time.Second {
					t.Fatalf("did nothing: %+v", got)
				}
			}
		})
	}
}

// TestCut checks that who is cut off comes again, and tells why it was.
func TestCut(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	target := web(t, func(connections int) {
		if connections == 6 {
			cancel()
		}
	})
	a, err := ByName("h1-slowloris")
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Run(ctx, target, 2, nobody)
	if err != nil {
		t.Fatal(err)
	}
	if got.Cut < 2 || got.Connections < 4 || len(got.Words()) == 0 {
		t.Errorf("%+v, want connections cut and made again", got)
	}
}

func TestElsewhere(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:443", "example.com:443", ""} {
		if _, err := All()[0].Run(t.Context(), Target{TLS: addr}, 1, nobody); err == nil {
			t.Errorf("no error for the target %q", addr)
		}
	}
}

func TestByName(t *testing.T) {
	names := map[string]bool{}
	for _, a := range All() {
		if names[a.Name] || a.What == "" {
			t.Errorf("%q is there twice or says nothing", a.Name)
		}
		names[a.Name] = true
	}
	if _, err := ByName("nonsense"); err == nil {
		t.Error("no error for a name that nobody has")
	}
}

func TestEnding(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{io.EOF, "closed"},
		{nil, "closed"},
		{net.ErrClosed, "reset"},
		{errors.New("odd"), "odd"},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(80)}, "TLS alert: internal error"},
	} {
		if got := ending(tt.err); got != tt.want {
			t.Errorf("ending(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

// TestGoAway checks that the reason that a server gives is heard, though it then closes with the flood in its face.
func TestGoAway(t *testing.T) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var serving sync.WaitGroup
	serving.Go(func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if n == 10 { // a reset may overtake what was said, but not each time
				cancel()
			}
			fr := http2.NewFramer(conn, conn)
			io.ReadFull(conn, make([]byte, 50_000))
			fr.WriteSettings()
			fr.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil)
			conn.Close()
		}
	})
	defer serving.Wait()
	defer l.Close()
	a, err := ByName("h2-ping")
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Run(ctx, Target{TLS: l.Addr().String()}, 1, nobody)
	if err != nil || got.Said["GOAWAY ENHANCE_YOUR_CALM"] == 0 {
		t.Errorf("%+v, %v: want to hear GOAWAY ENHANCE_YOUR_CALM", got, err)
	}
	t.Logf("%+v", got)
}
