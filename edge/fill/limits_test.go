package fill_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/cdn"
	"nearcast/edge/fill"
)

// TestBusy: no more fills run than may, of all or for one client; who joins one that runs needs none, and one that has ended makes room.
func TestBusy(t *testing.T) {
	limits := roomy()
	limits.Fills, limits.PerClient = 3, 2
	g := fill.NewGroup[string](limits)
	defer g.Close()
	src, feed := io.Pipe()
	join := func(key cdn.CacheKey, client string) (*reader, error) {
		a := ask(true, anything)
		a.Client = client
		r, _, err := g.Join(key, a, serve(src, -1))
		return r, err
	}
	for i, row := range []struct {
		key    cdn.CacheKey
		client string
		want   error
	}{
		{"a", "x", nil},
		{"b", "x", nil},
		{"c", "x", fill.ErrBusyClient},
		{"a", "x", nil}, // it runs
		{"c", "y", nil},
		{"d", "z", fill.ErrBusy},
		{"d", "", fill.ErrBusy},
	} {
		if r, err := join(row.key, row.client); !errors.Is(err, row.want) || (r == nil) != (row.want != nil) {
			t.Errorf("number %d: got %v, %v; want %v", i, r, err, row.want)
		}
	}
	if r, started, err := g.Join("d", ask(true, anything), func() fill.Run[string] { return nil }); r != nil || started || err != nil {
		t.Errorf("a fill that is not needed: %v, %v, %v", r, started, err)
	}
	feed.Close()
	for g.Running() > 0 {
		runtime.Gosched()
	}
	if _, err := join("c", "x"); err != nil {
		t.Errorf("all have ended, and yet: %v", err)
	}
}

// TestNobodyWaits: a fill without a head ends a while after its last reader has left, unless another comes, the head comes, or it is wanted
// for its own sake.
func TestNobodyWaits(t *testing.T) {
	for name, row := range map[string]struct {
		background, head, another bool
		want                      int
	}{
		"nobody":     {},
		"background": {background: true, want: 1},
		"head":       {head: true, want: 1},
		"another":    {another: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := roomy()
				limits.Patience = time.Second
				g := fill.NewGroup[string](limits)
				defer g.Close()
				speak := make(chan struct{})
				a := ask(true, anything)
				a.Background = row.background
				first, _, _ := g.Join("k", a, func() fill.Run[string] {
					return func(ctx context.Context, f *one) {
						select {
						case <-speak:
							f.Announce("head", true)
							<-ctx.Done()
						case <-ctx.Done():
						}
						f.Fail("failed")
					}
				})
				first.Close()
				<-time.After(limits.Patience / 2)
				if g.Running() != 1 {
					t.Error("it has ended at once")
				}
				if row.head {
					close(speak)
				}
				if row.another {
					r, started, _ := g.Join("k", a, nil)
					if started {
						t.Error("it was not joined")
					}
					defer r.Close()
				}
				<-time.After(limits.Patience)
				synctest.Wait()
				if got := g.Running(); got != row.want {
					t.Errorf("%d fills run, want %d", got, row.want)
				}
			})
		})
	}
}
