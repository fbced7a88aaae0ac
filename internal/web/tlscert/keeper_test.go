package tlscert_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/internal/web/tlscert"
)

// journal is a log that a test reads.
type journal struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) count(s string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), s)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func TestReload(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test"}, ends: time.Now().Add(time.Hour).Truncate(time.Second)})
	k := open(t, tlscert.Options{}, pair)
	before := k.Set()
	key, err := os.ReadFile(pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	other, otherKey := ca.issue(t, leaf{names: []string{"a.test"}})
	write(t, pair.Key, keyPEM(t, otherKey))
	if err := k.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), pair.Key) || k.Set() != before {
		t.Errorf("after half a renewal: %v", err)
	}
	write(t, pair.Chain, chainPEM(other, ca.intermediate))
	if err := k.Reload(t.Context()); err != nil || !k.NotAfter().Equal(other.NotAfter) {
		t.Errorf("after all of it: %v, until %v", err, k.NotAfter())
	}
	write(t, pair.Key, key)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Reload(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Never act on emptiness.
func TestLoss(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test", "b.test", "*.c.test"}})
	k := open(t, tlscert.Options{}, pair)
	before := k.Set()
	ca.rewrite(t, pair, leaf{names: []string{"a.test"}})
	if err := k.Reload(t.Context()); !errors.Is(err, tlscert.ErrLoss) || k.Set() != before {
		t.Errorf("got %v", err)
	}
	if err := k.Replace(t.Context(), false, pair); !errors.Is(err, tlscert.ErrLoss) || k.Set() != before {
		t.Errorf("got %v", err)
	}
	if err := k.Replace(t.Context(), true); err == nil || k.Set() != before {
		t.Errorf("nothing is taken: %v", err)
	}
	if err := k.Replace(t.Context(), true, pair); err != nil || k.Set() == before {
		t.Errorf("got %v", err)
	}
	if err := k.Reload(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWatch(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test"}})
	synctest.Test(t, func(t *testing.T) {
		var log journal
		k := open(t, tlscert.Options{Log: log.logger()}, pair)
		ctx, cancel := context.WithCancel(t.Context())
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			k.Watch(ctx)
		}()
		tick := func() {
			<-time.After(10 * time.Second)
			synctest.Wait()
		}
		before := k.Set()
		tick()
		if k.Set() != before {
			t.Error("reloaded for no reason")
		}
		write(t, pair.Chain, []byte("half"))
		tick()
		tick()
		if k.Set() != before || log.count("cannot be used") != 1 {
			t.Errorf("logged %d times", log.count("cannot be used"))
		}
		renewed := ca.rewrite(t, pair, leaf{names: []string{"a.test"}, ends: time.Now().Add(1000 * time.Hour).Truncate(time.Second)})
		tick()
		if k.Set() == before || !k.NotAfter().Equal(renewed.NotAfter) || log.count("certificates reloaded") != 1 {
			t.Errorf("until %v", k.NotAfter())
		}
		cancel()
		<-watched
	})
}

// A file that changes and keeps its size and time is noticed if it is another file.
func TestWatchRenamed(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test"}})
	synctest.Test(t, func(t *testing.T) {
		k := open(t, tlscert.Options{Interval: time.Second}, pair)
		ctx, cancel := context.WithCancel(t.Context())
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			k.Watch(ctx)
		}()
		before := k.Set()
		info, err := os.Stat(pair.Chain)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(pair.Chain)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pair.Chain+".new", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(pair.Chain+".new", info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(pair.Chain+".new", pair.Chain); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		synctest.Wait()
		if k.Set() == before {
			t.Error("not noticed")
		}
		cancel()
		<-watched
	})
}
