package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/edge/store"
	"nearcast/internal/fsys"
)

// relic is what a store has left, for others to damage.
type relic struct {
	*story
	fs    *fsys.Mem
	older *fsys.Mem // the same a while before
	instant
}

// relics returns those of some stories, half of them closed in order.
func relics(t *testing.T) (list []*relic) {
	t.Helper()
	for seed := uint64(100); len(list) < 8; seed++ {
		synctest.Test(t, func(t *testing.T) {
			m := fsys.NewMem(fsys.MemConfig{})
			r := &relic{story: newStory(t, seed, m)}
			if r.weak {
				return
			}
			r.open()
			for i := range 160 {
				if i == 100 {
					r.older = m.Kill()
				}
				r.step()
			}
			if len(list)%2 == 0 {
				r.fs = m.Kill()
			}
			r.close()
			if r.fs == nil {
				r.fs = m.Kill()
			}
			r.instant = r.look()
			r.begun, r.rotten = r.ended, true
			list = append(list, r)
		})
	}
	return list
}

// damage changes the files of a file system, and says what it did.
type damage func(m *fsys.Mem, rng *rand.Rand) string

// suffer damages a copy of a relic, while a store runs on it or while none does, and looks at everything several times.
func (r *relic) suffer(rng *rand.Rand, running bool, harm damage) (err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := r.fs.Kill()
	what := ""
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
	}()
	var log journal
	if running {
		if err := r.use(m, rng, &log, func() { what = harm(m, rng) }); err != nil {
			return err
		}
	} else {
		what = harm(m, rng)
	}
	for range 2 {
		if err := r.use(m, rng, &log, nil); err != nil {
			return err
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 256<<20 {
		return fmt.Errorf("it took %d octets of memory", got)
	}
	return nil
}

// use opens a store, does everything one can do with it, in the middle of which there may be harm, and closes it.
func (r *relic) use(m *fsys.Mem, rng *rand.Rand, log *journal, harm func()) error {
	s, err := r.openShop(m, int(r.disks.Load()), r.now, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		return r.refused(err)
	}
	defer func() { _ = s.shut() }() // what has been damaged need not be writable
	<-s.Warm()
	has := make(map[*spot]bool)
	if harm != nil {
		for _, spot := range r.spots {
			has[spot] = s.Peek(spot.lookup()) != nil
		}
		harm()
	}
	for _, spot := range r.spots {
		o, _ := s.Get(spot.lookup())
		if _, err := r.judge(spot, o, &r.instant); err != nil {
			return err
		}
		if o == nil && has[spot] && damaged(s) == 0 {
			return fmt.Errorf("%v: a miss that is not counted as damage: %+v", spot, s.Stats().Disks)
		}
	}
	for o := range s.All {
		if o = s.Load(o); o == nil {
			continue
		}
		if err := r.judgeAny(o); err != nil {
			return err
		}
	}
	if _, err := s.Verify(context.Background(), 0); err != nil {
		return err
	}
	return r.change(s, rng)
}

func damaged(s shop) (n int64) {
	for _, d := range s.Stats().Disks {
		n += d.Damaged
	}
	return n
}

// refused judges why a store did not open: only if that is said to be for the operator to mend.
func (r *relic) refused(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("it does not open: %w", err)
}

// judgeAny judges an object of whichever spot. All goes by the index, and a purge is noticed by Get only.
func (r *relic) judgeAny(o *store.Object) error {
	coding := o.Response.Selecting().Get("Accept-Encoding")
	for _, s := range r.spots {
		if s.key == o.Key && s.variant == o.Variant && s.coding == coding {
			_, err := r.recognise(s, o)
			return err
		}
	}
	return fmt.Errorf("an object of no spot: %s|%s|%s", o.Key, o.Variant, coding)
}

// change puts, forgets and deletes: that must go well, and none of it may depend on what is damaged.
func (r *relic) change(s shop, rng *rand.Rand) error {
	for range 3 {
		spot := r.spots[rng.IntN(len(r.spots))]
		e := r.publish(edition{spot: spot, size: rng.IntN(3000), at: r.at, born: s.epoch()}, nil)
		r.happenLater(spot, e)
		if !s.Put(e.object(), accepting(spot.coding)) {
			return fmt.Errorf("%v: nothing is taken: %+v", spot, s.Stats().Disks)
		}
		o, _ := s.Get(spot.lookup())
		if got, err := r.recognise(spot, o); err != nil || got != e {
			return fmt.Errorf("after it was put: %v, %w", got, err)
		}
	}
	spot := r.spots[rng.IntN(len(r.spots))]
	s.Forget(spot.lookup())
	if rng.IntN(4) == 0 {
		s.Delete(spot.key)
	}
	return nil
}

// happenLater notes that something may be in a spot from now on, in one copy or another.
func (r *relic) happenLater(s *spot, e *edition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.events = append(s.events, &happening{op: r.begun - 1, edition: e, over: r.at})
}

func (r *relic) now() time.Time { return r.at }

// files returns the paths of all files.
func files(m *fsys.Mem, match func(name string) bool) (list []string) {
	for _, dir := range []string{"/d", "/e", "/f", "/p"} {
		names, err := m.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, name := range names {
			if match(name) {
				list = append(list, path.Join(dir, name))
			}
		}
	}
	return list
}

func anyFile(string) bool { return true }

func segmentFile(name string) bool { return strings.HasSuffix(name, ".segment") }

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// content reads a file.
func content(m *fsys.Mem, name string) []byte {
	f, err := m.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	size, _ := f.Size()
	b := make([]byte, size)
	_, _ = f.ReadAt(b, 0)
	return b
}

// overwrite writes to a file as another program does it.
func overwrite(m *fsys.Mem, name string, b []byte, off int64) {
	f, err := m.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteAt(b, off)
	_ = f.Sync()
}
