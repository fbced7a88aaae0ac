package fill_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/edge/fill"
	"nearcast/edge/store"
)

// TestOutgrows: a body beyond the limit is no longer kept; the source goes with the fastest
// reader, and one that stalls meanwhile is told so and holds up nobody.
func TestOutgrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](fill.Limits{Keep: 1 << 20, Budget: 16 << 20, Window: 256 << 10})
		defer g.Close()
		content := bytes.Repeat([]byte("abcdefgh"), 1<<19) // 4 MiB
		var taken atomic.Int64
		src := io.TeeReader(bytes.NewReader(content), counter{&taken})
		fast, _, _ := g.Join("k", ask(true, anything), serve(src, -1))
		defer fast.Close()
		synctest.Wait()
		if got := taken.Load(); got < 1<<20 || got > 2<<20 {
			t.Errorf("%d octets were taken from the source with no reader active; 1 MiB may be kept", got)
		}
		stalled, started, _ := g.Join("k", ask(true, anything), nil)
		defer stalled.Close()
		if started {
			t.Fatal("a newcomer did not join although the beginning was still there")
		}
		if got, err := all(fast); !bytes.Equal(got, content) || err != io.EOF {
			t.Errorf("the reader got %d octets and %v", len(got), err)
		}
		if got, err := stalled.Next(t.Context()); !errors.Is(err, fill.ErrPassed) {
			t.Errorf("the stalled reader got %d octets and %v", len(got), err)
		}
		if late, started, _ := g.Join("k", ask(true, anything), serve(bytes.NewReader(nil), 0)); !started {
			t.Error("a newcomer joined a fill whose beginning is gone")
		} else {
			late.Close()
		}
	})
}

// TestHold: a window keeps what it is told to, though all its readers are far ahead.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](fill.Limits{Keep: 1 << 20, Budget: 16 << 20, Window: 128 << 10})
		defer g.Close()
		content := bytes.Repeat([]byte("abcdefgh"), 1<<17) // 1 MiB
		src, feed := io.Pipe()
		fills := make(chan *one, 1)
		first, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
			return func(ctx context.Context, f *one) {
				f.Unkeep()
				f.Hold(0)
				fills <- f
				f.Announce("head", true)
				f.ReadFrom(ctx, src, 2<<20, func() {}, func(store.Body) {})
			}
		})
		defer first.Close()
		f := <-fills
		read := func(n int) {
			t.Helper()
			for n > 0 {
				p, err := first.Next(t.Context())
				if n -= len(p); err != nil {
					t.Fatal(err)
				}
			}
		}
		joins := func() bool {
			a := ask(true, anything)
			a.Accept = func(string) (int64, bool) { return 0, true }
			late, _, _ := g.Join("k", a, func() fill.Run[string] { return nil })
			if late != nil {
				late.Close()
			}
			return late != nil
		}
		go feed.Write(content)
		read(len(content))
		synctest.Wait()
		if !joins() {
			t.Error("a newcomer does not get octets that are held")
		}
		f.Hold(int64(len(content)))
		go feed.Write(content)
		read(len(content))
		synctest.Wait()
		if joins() {
			t.Error("octets are kept that are held no more")
		}
		feed.Close()
	})
}

// TestPlaces: readers begin where they want to, if that can be had.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		src, feed := io.Pipe()
		first, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
			return func(ctx context.Context, f *one) {
				f.Near(10)
				f.Announce("head", true)
				f.ReadFrom(ctx, src, 100, func() {}, func(store.Body) {})
			}
		})
		defer first.Close()
		<-first.Ready()
		io.WriteString(feed, "0123456789")
		synctest.Wait()
		for at, joins := range map[int64]bool{0: true, 5: true, 20: true, 21: false, 99: false} {
			a := ask(true, anything)
			a.Accept = func(string) (int64, bool) { return at, true }
			r, _, _ := g.Join("k", a, func() fill.Run[string] { return nil })
			if (r != nil) != joins {
				t.Errorf("joining at %d of 10 octets that are there: %v, want %v", at, r != nil, joins)
			}
			if r != nil {
				if at < 10 {
					if p, err := r.Next(t.Context()); string(p) != "0123456789"[at:] || err != nil {
						t.Errorf("at %d: %q, %v", at, p, err)
					}
				}
				r.Close()
			}
		}
		if first.StartAt(30) {
			t.Error("StartAt reaches further than a newcomer")
		}
		feed.Close()
	})
}

// TestSpans: a fill whose head is not known is joined by those who want a part of what it asks for.
func TestSpans(t *testing.T) {
	whole, head, tail, middle := fill.Whole(), fill.Span{Start: 0, End: 100}, fill.Span{Start: -5}, fill.Span{Start: 50, End: 60}
	for _, tt := range []struct {
		asked, wanted fill.Span
		want          bool
	}{
		{whole, whole, true},
		{whole, middle, true},
		{whole, tail, true},
		{head, middle, true},
		{middle, head, false},
		{head, whole, false},
		{tail, tail, true},
		{tail, fill.Span{Start: -4}, false},
		{head, tail, false},
		{tail, head, false},
	} {
		if got := tt.asked.Covers(tt.wanted); got != tt.want {
			t.Errorf("%v covers %v: %v", tt.asked, tt.wanted, got)
		}
	}
}

// TestHints: those who wait for the head hear what comes before it, each once and in order.
func TestHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		said := make(chan string)
		r, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
			return func(_ context.Context, f *one) {
				for hint := range said {
					f.Hint(hint)
				}
				f.Announce("head", true)
				f.Finish(io.EOF)
			}
		})
		defer r.Close()
		var heard []string
		waited := make(chan bool)
		go func() { waited <- r.Wait(t.Context(), nil, func(h string) { heard = append(heard, h) }) }()
		for i := range 20 {
			said <- fmt.Sprint(i)
			synctest.Wait()
		}
		close(said)
		if !<-waited {
			t.Error("Wait gave up")
		}
		if len(heard) != 16 || heard[0] != "0" || heard[15] != "15" {
			t.Errorf("heard %q, want the first 16 of 20", heard)
		}
		patience := make(chan time.Time, 1)
		patience <- time.Now()
		silent, _, _ := g.Join("other", ask(true, anything), func() fill.Run[string] {
			return func(ctx context.Context, _ *one) { <-ctx.Done() }
		})
		if silent.Wait(t.Context(), patience, nil) {
			t.Error("Wait reported a head that never came")
		}
		silent.Close()
	})
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
