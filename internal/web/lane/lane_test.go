package lane_test

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"

	"nearcast/internal/web/lane"
)

func answer() *lane.Answer {
	a := new(lane.Answer)
	a.Reset()
	a.Block = lane.NewBlock(200, []lane.Field{{Name: "Content-Type", Value: "text/html"}, {Name: "Etag", Value: `"v1"`}, {Name: "X-Odd", Value: strings.Repeat("x", 300)}})
	age, status, long, longer := lane.NewName("Age"), lane.NewName("Cache-Status"), lane.NewName("X-Long"), lane.NewName("X-Longer")
	a.AddInt(&age, "", 17, "")
	a.AddInt(&status, "fra-1; hit; ttl=", 0, "")
	a.Add(&long, strings.Repeat("y", 127))
	a.Add(&longer, strings.Repeat("z", 5000))
	return a
}

// TestForms checks that both wire forms say the same, by other people's parsers.
func TestForms(t *testing.T) {
	a := answer()
	want := http.Header{
		"Content-Type": {"text/html"}, "Etag": {`"v1"`}, "X-Odd": {strings.Repeat("x", 300)}, "Age": {"17"},
		"Cache-Status": {"fra-1; hit; ttl=0"}, "X-Long": {strings.Repeat("y", 127)}, "X-Longer": {strings.Repeat("z", 5000)},
	}
	head := string(a.AppendHTTP1(nil)) + "\r\n"
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), &http.Request{Method: http.MethodHead})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if diff := cmp.Diff(want, resp.Header); diff != "" || resp.StatusCode != http.StatusOK {
		t.Errorf("HTTP/1: status %d, fields (-want +got):\n%s", resp.StatusCode, diff)
	}
	got := make(http.Header)
	status := ""
	d := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			status = f.Value
			return
		}
		if f.Name != strings.ToLower(f.Name) {
			t.Errorf("HPACK: the name %q is not in lower case", f.Name)
		}
		got.Add(f.Name, f.Value)
	})
	for range 2 { // the second is as good as the first: nothing depends on the table
		clear(got)
		if _, err := d.Write(a.AppendHPACK(nil)); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || status != "200" {
			t.Errorf("HPACK: status %q, fields (-want +got):\n%s", status, diff)
		}
	}
}

func TestResetForgets(t *testing.T) {
	a := answer()
	a.Content = append(a.Content, []byte("x"))
	a.Reset()
	a.Block = lane.NewBlock(304, nil)
	if len(a.Content) != 0 || !bytes.Equal(a.AppendHTTP1(nil), []byte("HTTP/1.1 304 Not Modified\r\n")) {
		t.Errorf("something is left: %q %q", a.Content, a.AppendHTTP1(nil))
	}
}

// TestNoAllocations pins that an answer costs no memory once it has been used.
func TestNoAllocations(t *testing.T) {
	a, age, block := answer(), lane.NewName("Age"), lane.NewBlock(200, nil)
	out := make([]byte, 0, 1<<10)
	n := testing.AllocsPerRun(100, func() {
		a.Reset()
		a.Block = block
		a.AddInt(&age, "", 3600, "")
		out = a.AppendHPACK(a.AppendHTTP1(out[:0]))
	})
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestWatched(t *testing.T) {
	if got := lane.Watched(lane.With(context.Background(), "c")); got != "c" {
		t.Errorf("%v, want what was given", got)
	}
	if got := lane.Watched(context.Background()); got != nil {
		t.Errorf("%v of a context that was given nothing", got)
	}
}
