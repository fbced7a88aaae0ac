package fill_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/edge/fill"
	"nearcast/edge/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roomy limits never bind in these tests.
func roomy() fill.Limits { return fill.Limits{Keep: 64 << 20, Budget: 256 << 20, Window: 1 << 20} }

type (
	one    = fill.Fill[string]
	reader = fill.Reader[string]
)

func anything(string) bool { return true }

// ask wants the whole of what accept likes.
func ask(shared bool, accept func(string) bool) fill.Ask[string] {
	a := fill.Ask[string]{Span: fill.Whole(), Shared: shared}
	if accept != nil {
		a.Accept = func(head string) (int64, bool) { return 0, accept(head) }
	}
	return a
}

// serve is a run that announces "head" as shared and moves src.
func serve(src io.Reader, length int64) func() fill.Run[string] {
	return func() fill.Run[string] {
		return func(ctx context.Context, f *one) {
			f.Announce("head", true)
			f.ReadFrom(ctx, src, length, func() {}, func(store.Body) {})
		}
	}
}

// all reads a fill to its end.
func all(r *reader) ([]byte, error) {
	var body []byte
	for {
		p, err := r.Next(context.Background())
		body = append(body, p...)
		if err != nil {
			return body, err
		}
	}
}

func TestOneFetchForAll(t *testing.T) {
	g := fill.NewGroup[string](roomy())
	defer g.Close()
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	src, feed := io.Pipe()
	var starts atomic.Int32
	var wg sync.WaitGroup
	joined := make(chan struct{}, 100)
	for range 100 {
		wg.Go(func() {
			r, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
				starts.Add(1)
				return serve(src, int64(len(content)))()
			})
			defer r.Close()
			joined <- struct{}{}
			<-r.Ready()
			if got, err := all(r); err != io.EOF || !bytes.Equal(got, content) || r.Head() != "head" {
				t.Errorf("a reader got %d octets, head %q and %v", len(got), r.Head(), err)
			}
		})
	}
	for range 100 {
		<-joined
	}
	feed.Write(content)
	feed.Close()
	wg.Wait()
	if starts.Load() != 1 {
		t.Errorf("%d fetches, want 1", starts.Load())
	}
}

// TestStreams: octets reach readers while the source is still going on.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		src, feed := io.Pipe()
		r, started, _ := g.Join("k", ask(true, anything), serve(src, -1))
		if !started {
			t.Fatal("the first did not start a fill")
		}
		defer r.Close()
		for i := range 5 {
			text := fmt.Sprint("part ", i)
			io.WriteString(feed, text)
			got, err := r.Next(t.Context())
			if string(got) != text || err != nil {
				t.Fatalf("Next() = %q, %v while the source is open, want %q", got, err, text)
			}
			if r.Pending() {
				t.Error("Pending() although everything is read")
			}
		}
		late, started, _ := g.Join("k", ask(true, anything), nil)
		if started {
			t.Fatal("a second fill was started")
		}
		defer late.Close()
		feed.Close()
		if got, err := all(late); string(got) != "part 0part 1part 2part 3part 4" || err != io.EOF {
			t.Errorf("a late reader got %q, %v", got, err)
		}
	})
}

// TestSlowReaderHarmsNobody: while the body is kept, a reader that does not read
// holds up neither the source nor the others.
func TestSlowReaderHarmsNobody(t *testing.T) {
	g := fill.NewGroup[string](roomy())
	defer g.Close()
	content := make([]byte, 3<<20) // more than the window
	slow, _, _ := g.Join("k", ask(true, anything), serve(bytes.NewReader(content), int64(len(content))))
	defer slow.Close()
	if fast, _, _ := g.Join("k", ask(true, anything), serve(bytes.NewReader(content), int64(len(content)))); fast != nil {
		defer fast.Close()
		if got, err := all(fast); len(got) != len(content) || err != io.EOF {
			t.Errorf("the fast reader got %d octets and %v", len(got), err)
		}
	}
	if got, err := all(slow); len(got) != len(content) || err != io.EOF {
		t.Errorf("the slow reader got %d octets and %v", len(got), err)
	}
}

// TestBudget: fills that would exceed the common budget are not kept, and give back
// what they had.
func TestBudget(t *testing.T) {
	g := fill.NewGroup[string](fill.Limits{Keep: 1 << 20, Budget: 1 << 20, Window: 1 << 20})
	defer g.Close()
	for i := range 20 {
		var kept bool
		r, _, _ := g.Join("k", ask(false, nil), func() fill.Run[string] {
			return func(ctx context.Context, f *one) {
				f.Announce("", true)
				f.ReadFrom(ctx, bytes.NewReader(make([]byte, 900<<10)), -1, func() {}, func(store.Body) { kept = true })
			}
		})
		if _, err := all(r); err != io.EOF {
			t.Fatal(err)
		}
		r.Close()
		g.Detach("k", func() {})
		if !kept {
			t.Fatalf("fill %d found no room; those before it are over", i)
		}
	}
}

func TestUnkeptEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		src, feed := io.Pipe()
		ended := make(chan error, 1)
		r, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
			return func(ctx context.Context, f *one) {
				stop := context.AfterFunc(ctx, func() { src.CloseWithError(ctx.Err()) })
				defer stop()
				f.Unkeep()
				f.Announce("head", false)
				f.ReadFrom(ctx, src, -1, func() {}, func(store.Body) { t.Error("an unkept body was kept") })
				ended <- ctx.Err()
			}
		})
		io.WriteString(feed, "x")
		r.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the fetch ended with %v, want it cancelled", err)
		}
	})
}

// TestKeptGoesOn: a fill that will be stored is finished although its reader left.
func TestKeptGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		src, feed := io.Pipe()
		done := make(chan store.Body, 1)
		r, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
			return func(ctx context.Context, f *one) {
				f.Announce("head", true)
				f.ReadFrom(ctx, src, -1, func() {}, func(body store.Body) { done <- body })
			}
		})
		r.Close()
		io.WriteString(feed, "hello")
		feed.Close()
		if body := <-done; body.Len() != 5 {
			t.Errorf("%d octets were kept, want 5", body.Len())
		}
	})
}

func TestTruncated(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name   string
		src    io.Reader
		length int64
		want   error
	}{
		{"short", bytes.NewReader([]byte("abc")), 5, io.ErrUnexpectedEOF},
		{"broken", io.MultiReader(bytes.NewReader([]byte("abc")), failing{broken}), -1, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := fill.NewGroup[string](roomy())
			defer g.Close()
			r, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
				return func(ctx context.Context, f *one) {
					f.Announce("head", true)
					f.ReadFrom(ctx, tt.src, tt.length, func() {}, func(store.Body) { t.Error("a truncated body was kept") })
				}
			})
			defer r.Close()
			if got, err := all(r); string(got) != "abc" || !errors.Is(err, tt.want) {
				t.Errorf("the reader got %q and %v, want abc and %v", got, err, tt.want)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestDetach: after it, the old fill is joined by nobody and cannot commit, and its
// reader goes on.
func TestDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		src, feed := io.Pipe()
		var stored atomic.Bool
		old, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
			return func(ctx context.Context, f *one) {
				f.Announce("old", true)
				f.ReadFrom(ctx, src, -1, func() {}, func(store.Body) {
					f.Commit(func() { stored.Store(true) })
				})
			}
		})
		defer old.Close()
		forgot := false
		g.Detach("k", func() { forgot = true })
		if !forgot {
			t.Error("Detach did not call forget")
		}
		fresh, started, _ := g.Join("k", ask(true, anything), serve(bytes.NewReader(nil), 0))
		defer fresh.Close()
		if !started {
			t.Error("a newcomer joined a detached fill")
		}
		io.WriteString(feed, "body")
		feed.Close()
		if got, err := all(old); string(got) != "body" || err != io.EOF {
			t.Errorf("the old reader got %q, %v", got, err)
		}
		synctest.Wait()
		if stored.Load() {
			t.Error("a detached fill committed")
		}
	})
}

func TestDetachAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		release := make(chan struct{})
		var stored atomic.Int32
		for i := range 5 {
			r, _, _ := g.Join(cdn.CacheKey(fmt.Sprint(i)), ask(true, anything), func() fill.Run[string] {
				return func(_ context.Context, f *one) {
					<-release
					f.Fail("x")
					f.Commit(func() { stored.Add(1) })
				}
			})
			defer r.Close()
		}
		if got := g.Running(); got != 5 {
			t.Errorf("%d fills are running, want 5", got)
		}
		g.DetachAll(func() {})
		close(release)
		synctest.Wait()
		if stored.Load() != 0 || g.Running() != 0 {
			t.Errorf("%d commits and %d running after DetachAll", stored.Load(), g.Running())
		}
	})
}

// TestDetachIf: the fills that are covered, by key or by head, end unseen; the others are joined and commit as ever.
func TestDetachIf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		release := make(chan struct{})
		var commits atomic.Int32
		start := func(key cdn.CacheKey, known bool) (started bool) {
			r, started, _ := g.Join(key, ask(true, anything), func() fill.Run[string] {
				return func(_ context.Context, f *one) {
					if known {
						f.Announce("head of "+string(key), true)
					}
					<-release
					if !known {
						f.Announce("late", true)
					}
					f.Finish(io.EOF)
					f.Commit(func() { commits.Add(1) })
				}
			})
			synctest.Wait()
			t.Cleanup(r.Close)
			return started
		}
		for key, known := range map[cdn.CacheKey]bool{"by head": true, "by key": false, "neither": true, "unknown": false} {
			start(key, known)
		}
		g.DetachIf(func(key cdn.CacheKey, head string) bool {
			return key == "by key" && head == "" || head == "head of by head"
		})
		for key, want := range map[cdn.CacheKey]bool{"neither": false, "unknown": false, "by head": true, "by key": true} {
			if got := start(key, true); got != want {
				t.Errorf("%s: a newcomer's fill is its own: %v, want %v", key, got, want)
			}
		}
		if n := g.Running(); n != 6 {
			t.Errorf("%d fills are running, want 6", n)
		}
		close(release)
		synctest.Wait()
		if n, m := g.Running(), commits.Load(); n != 0 || m != 4 {
			t.Errorf("%d fills are running at the end, %d have committed; want 0 and 4", n, m)
		}
	})
}

// TestUnshared: who waited for a head that is not for sharing is told at once; a
// newcomer does not even find the fill.
func TestUnshared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		announce, src := make(chan struct{}), make(chan struct{})
		run := func() fill.Run[string] {
			return func(_ context.Context, f *one) {
				<-announce
				f.Announce("private", false)
				<-src
				f.Finish(io.EOF)
			}
		}
		owner, _, _ := g.Join("k", ask(true, anything), run)
		defer owner.Close()
		waiter, started, _ := g.Join("k", ask(true, anything), run)
		if started {
			t.Fatal("the second did not wait for the first")
		}
		close(announce)
		<-waiter.Ready()
		waiter.Close()
		if other, started, _ := g.Join("k", ask(true, anything), serve(bytes.NewReader(nil), 0)); !started {
			t.Error("a newcomer found an unshared fill")
		} else {
			other.Close()
		}
		close(src)
	})
}

func TestJoinDeclines(t *testing.T) {
	g := fill.NewGroup[string](roomy())
	if r, started, _ := g.Join("k", ask(true, anything), func() fill.Run[string] { return nil }); r != nil || started {
		t.Error("Join made a fill although start declined")
	}
	g.Close()
	if r, _, _ := g.Join("k", ask(true, anything), serve(nil, 0)); r != nil {
		t.Error("Join made a fill in a closed group")
	}
}

func TestNextHonoursContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fill.NewGroup[string](roomy())
		defer g.Close()
		src, feed := io.Pipe()
		r, _, _ := g.Join("k", ask(true, anything), serve(src, -1))
		defer r.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next() = %v, want the context's error", err)
		}
		feed.Close()
	})
}

// TestFailedIsNotJoined: whoever comes after a failure makes a new attempt, even if the
// failed one is not gone yet.
func TestFailedIsNotJoined(t *testing.T) {
	for name, fails := range map[string]func(f *one){
		"head": func(f *one) { f.Fail("no") },
		"body": func(f *one) { f.Announce("yes", true); f.Finish(io.ErrUnexpectedEOF) },
	} {
		t.Run(name, func(t *testing.T) {
			g := fill.NewGroup[string](roomy())
			defer g.Close()
			failed, leave := make(chan struct{}), make(chan struct{})
			old, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
				return func(_ context.Context, f *one) { fails(f); close(failed); <-leave }
			})
			defer old.Close()
			<-failed
			r, started, _ := g.Join("k", ask(true, anything), serve(bytes.NewReader([]byte("new")), 3))
			if body, err := all(r); !started || string(body) != "new" || err != io.EOF {
				t.Errorf("%q, %v, started %v", body, err, started)
			}
			r.Close()
			close(leave)
		})
	}
}

// TestReaders: a reader is counted from Join until its Close, and that once.
func TestReaders(t *testing.T) {
	g := fill.NewGroup[string](roomy())
	src, feed := io.Pipe()
	first, _, _ := g.Join("k", ask(true, anything), serve(src, -1))
	second, _, _ := g.Join("k", ask(true, anything), nil)
	for i, want := range []int{2, 1, 1, 0} {
		if got := g.Readers(); got != want {
			t.Errorf("step %d: %d readers, want %d", i, got, want)
		}
		if i < 2 {
			first.Close()
		} else {
			second.Close()
		}
	}
	feed.Close()
	g.Close()
}

func TestStartAt(t *testing.T) {
	g := fill.NewGroup[string](roomy())
	defer g.Close()
	content := bytes.Repeat([]byte("0123456789"), 50_000)
	r, _, _ := g.Join("k", ask(true, anything), serve(bytes.NewReader(content), int64(len(content))))
	defer r.Close()
	r.StartAt(400_003)
	if got, err := all(r); !bytes.Equal(got, content[400_003:]) || err != io.EOF {
		t.Errorf("after StartAt: %d octets and %v", len(got), err)
	}
}

func TestMemory(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := fill.NewMemory(time.Minute, 100)
	m.Add(start, "a")
	if !m.Has(start.Add(59*time.Second), "a") || m.Has(start.Add(time.Minute), "a") || m.Has(start, "b") {
		t.Error("a key is remembered for a wrong time")
	}
	m.Remove("a")
	if m.Has(start, "a") {
		t.Error("a removed key is remembered")
	}
	for i := range 1000 {
		m.Add(start, cdn.CacheKey(fmt.Sprint(i)))
	}
	known := 0
	for i := range 1000 {
		if m.Has(start, cdn.CacheKey(fmt.Sprint(i))) {
			known++
		}
	}
	if known != 100 {
		t.Errorf("%d keys are remembered, want 100", known)
	}
}

// TestCommitComesFirst: whoever has the last octet of a body finds it stored, and
// nobody joins a fill that has been.
func TestCommitComesFirst(t *testing.T) {
	for _, length := range []int64{5, -1} {
		g := fill.NewGroup[string](roomy())
		var stored atomic.Bool
		r, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] {
			return func(ctx context.Context, f *one) {
				f.Announce("head", true)
				f.ReadFrom(ctx, bytes.NewReader([]byte("hello")), length, func() {}, func(body store.Body) {
					f.Commit(func() { stored.Store(body.Len() == 5) })
				})
			}
		})
		if body, err := all(r); string(body) != "hello" || err != io.EOF || !stored.Load() {
			t.Errorf("length %d: %q, %v, stored %v", length, body, err, stored.Load())
		}
		looked := false
		if again, _, _ := g.Join("k", ask(true, anything), func() fill.Run[string] { looked = true; return nil }); again != nil || !looked {
			t.Errorf("length %d: a fill that has been stored was joined", length)
		}
		r.Close()
		g.Close()
	}
}
